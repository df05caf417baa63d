// SPDX-License-Identifier: GPL-2.0-or-later
#include "tools/worker.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <sys/prctl.h>
#include <sys/random.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "tools/privileges.h"

namespace ftpalg::tools {
namespace {

constexpr std::size_t mebibyte = std::size_t{1024} * 1024;
constexpr Time tick_interval = std::chrono::seconds{1};
constexpr Time loss_warning_interval = std::chrono::minutes{1};

Time now() {
  return std::chrono::steady_clock::now().time_since_epoch();
}

KeyedHash::Key random_key() {
  KeyedHash::Key key;
  // Up to 256 bytes come whole and at once (getrandom(2)).
  if (getrandom(key.data(), key.size(), 0) != static_cast<ssize_t>(key.size())) std::abort();
  return key;
}

}  // namespace

tl::expected<Kernel, std::string> Kernel::open(const rules::Ruleset& ruleset, std::uint16_t queue,
                                               std::size_t queue_room_mib) {
  auto ctnetlink = Ctnetlink::open();
  if (!ctnetlink) return tl::unexpected(ctnetlink.error());
  auto own_addresses = OwnAddresses::open();
  if (!own_addresses) return tl::unexpected(own_addresses.error());
  auto injector = RawInjector::open(ruleset.untracked_mark, ruleset.unqueued_mark);
  if (!injector) return tl::unexpected(injector.error());
  auto packets = PacketQueue::open(queue, queue_room_mib * mebibyte);
  if (!packets) return tl::unexpected(packets.error());
  return Kernel{std::move(*ctnetlink), std::move(*own_addresses), std::move(*injector),
                std::move(*packets)};
}

tl::expected<std::unique_ptr<Worker>, std::string> Worker::open(const rules::Ruleset& ruleset,
                                                                std::uint16_t queue,
                                                                std::size_t queue_room_mib,
                                                                const Policy& policy,
                                                                std::unique_ptr<Witness> witness) {
  auto kernel = Kernel::open(ruleset, queue, queue_room_mib);
  if (!kernel) return tl::unexpected(kernel.error());
  auto end_bell = Wakeup::open();
  if (!end_bell) return tl::unexpected(end_bell.error());
  return std::make_unique<Worker>(std::move(*kernel), std::move(*end_bell), queue_room_mib, policy,
                                  std::move(witness));
}

Worker::Worker(Kernel kernel, Wakeup end_bell, std::size_t queue_room_mib, Policy policy,
               std::unique_ptr<Witness> witness)
    : kernel_(std::move(kernel)),
      masters_(kernel_.ctnetlink),
      records_(kernel_.queue.number(), random_key()),
      witness_(std::move(witness)),
      witnesses_(records_, witness_.get()),
      engine_(policy, {masters_, kernel_.ctnetlink, kernel_.injector}, random_key(), &witnesses_),
      policy_(std::move(policy)),
      queue_room_mib_(queue_room_mib),
      end_bell_(std::move(end_bell)) {}

Worker::~Worker() {
  end();
}

void Worker::start() {
  thread_ = std::thread([this] { work(); });
}

void Worker::set_policy(Policy policy) {
  {
    const std::lock_guard held(box_.lock);
    box_.policy = std::move(policy);
    box_.is_full = true;
  }
  kernel_.queue.wake();
}

void Worker::ask_to_end() {
  {
    const std::lock_guard held(box_.lock);
    box_.is_to_end = true;
    box_.is_full = true;
  }
  kernel_.queue.wake();
}

std::optional<std::string> Worker::end() {
  ask_to_end();
  if (thread_.joinable()) thread_.join();
  return failure_;
}

void Worker::work() {
  prctl(PR_SET_NAME, fmt::format("ftpalg-{}", kernel_.queue.number()).c_str());
  // The program has told already where the kernel cannot.
  static_cast<void>(restrict_system_calls());
  serve();
  engine_.withdraw_all(now());
  end_bell_.ring();
}

/// Serves the queue until it is told to end, or cannot go on.
void Worker::serve() {
  Time next_tick = now();
  for (;; ++turns_) {
    if (const int error = kernel_.queue.receive(); error != 0) {
      failure_ = fmt::format("queue {} failed: {}", kernel_.queue.number(), std::strerror(error));
      return;
    }
    const bool is_to_end = box_.is_full && look_into_box();
    const Time at = now();
    kernel_.queue.answer([&](const QueuedPacket& packet) { return decide(packet, at); });
    if (is_to_end) return;
    if (at >= next_tick) {
      tick(at);
      next_tick = at + tick_interval;
    }
  }
}

/// Returns whether the end was asked for.
bool Worker::look_into_box() {
  const std::lock_guard held(box_.lock);
  box_.is_full = false;
  if (box_.policy) {
    policy_ = *std::exchange(box_.policy, std::nullopt);
    engine_.set_policy(policy_);
  }
  return box_.is_to_end;
}

void Worker::tick(Time at) {
  tell(engine_.on_tick(at), at);
  decision_log_.tell_left_out(at);
  // Interfaces come and go. When the kernel does not tell, the engine goes on with what it knows.
  if (auto addresses = kernel_.own_addresses.list()) {
    engine_.set_gateway_addresses(std::move(*addresses));
  }
  tell_losses(at);
  records_.note_figures(
      {packets_, kernel_.queue.lost(), engine_.expectations(), packet_told_connection_}, at);
}

Verdict Worker::decide(const QueuedPacket& packet, Time at) {
  ++packets_;
  packet_told_connection_ = packet_told_connection_ || !packet.connection.empty();
  masters_.note(packet);
  const Outcome outcome = engine_.on_packet(packet.bytes, at);
  tell(outcome.decisions, at);
  return outcome.verdict;
}

void Worker::tell(std::span<const Decision> decisions, Time at) {
  decision_log_.tell(decisions, policy_, kernel_.ctnetlink.last_error(), at);
}

/// Of packets that found no room in the queue, not oftener than loss_warning_interval.
void Worker::tell_losses(Time at) {
  const std::uint64_t lost = kernel_.queue.lost();
  if (lost == losses_told_ || at < next_losses_) return;
  spdlog::warn(
      "{} packets passed unread, because the room of queue {}, {} MiB, was full; what they "
      "announce does not work, the sessions go on; mend: give the queue more room, as in "
      "--queue-room {}, or this program more of a processor",
      lost - losses_told_, kernel_.queue.number(), queue_room_mib_, 2 * queue_room_mib_);
  losses_told_ = lost;
  next_losses_ = at + loss_warning_interval;
}

}  // namespace ftpalg::tools
