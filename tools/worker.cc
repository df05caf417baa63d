// SPDX-License-Identifier: GPL-2.0-or-later
#include "tools/worker.h"

#include <fmt/format.h>
#include <poll.h>
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
constexpr int wait_milliseconds = 1000;
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

/// What was killed between an offset and the verdict on the packet that it was for has left the
/// offset alone: it would stand for an edit that nobody makes.
void undo_offsets(const Legacy& legacy, PacketQueue& queue, Ctnetlink& ctnetlink) {
  const auto noted = legacy.file.noted_offsets();
  legacy.file.note_offsets({});
  if (legacy.queue.last_packet_id) return;
  for (const StateFile::Offset& each : noted) {
    if (!queue.drop_unanswered(each.packet_id)) continue;
    SequenceOffset before = each.offset;
    before.after = before.before;
    if (ctnetlink.set_offset(each.master, each.direction, before) == OffsetResult::failed) {
      spdlog::warn("the connection {} may be broken by an edit that was not completed",
                   each.master.original.text());
    }
  }
}

}  // namespace

tl::expected<Legacy, std::string> Legacy::read(std::uint16_t queue, Descriptor socket,
                                               Descriptor file) {
  if (!file.is_open()) {
    auto made = StateFile::make(queue);
    if (!made) return tl::unexpected(made.error());
    return Legacy{std::move(socket), std::move(*made), {}, {}, {}};
  }
  Legacy legacy{std::move(socket), StateFile(std::move(file)), {}, {}, {}};
  auto content = legacy.file.read();
  if (!content) {
    legacy.trouble = content.error();
    return legacy;
  }
  legacy.queue = content->queue;
  if (!content->queue.last_packet_id) return legacy;
  auto sessions = EngineState::read(content->engine);
  if (sessions) {
    legacy.sessions = std::move(*sessions);
  } else {
    legacy.trouble = sessions.error();
  }
  return legacy;
}

tl::expected<Kernel, std::string> Kernel::open(const rules::Ruleset& ruleset, std::uint16_t queue,
                                               std::size_t queue_room_mib, Legacy* legacy) {
  auto ctnetlink = Ctnetlink::open();
  if (!ctnetlink) return tl::unexpected(ctnetlink.error());
  auto own_addresses = OwnAddresses::open();
  if (!own_addresses) return tl::unexpected(own_addresses.error());
  auto injector = RawInjector::open(ruleset.untracked_mark, ruleset.unqueued_mark);
  if (!injector) return tl::unexpected(injector.error());
  auto packets = legacy != nullptr
                     ? PacketQueue::take_over(legacy->socket.release(), queue, legacy->queue)
                     : PacketQueue::open(queue, queue_room_mib * mebibyte);
  if (!packets) return tl::unexpected(packets.error());
  if (legacy != nullptr) undo_offsets(*legacy, *packets, *ctnetlink);
  return Kernel{std::move(*ctnetlink), std::move(*own_addresses), std::move(*injector),
                std::move(*packets)};
}

tl::expected<std::unique_ptr<Worker>, std::string> Worker::open(
    const rules::Ruleset& ruleset, std::uint16_t queue, std::size_t queue_room_mib,
    const Policy& policy, std::unique_ptr<Witness> witness, std::optional<Legacy> legacy) {
  auto kernel = Kernel::open(ruleset, queue, queue_room_mib, legacy ? &*legacy : nullptr);
  if (!kernel) return tl::unexpected(kernel.error());
  auto end = Wakeup::open();
  auto standstill = Wakeup::open();
  auto wish = Wakeup::open();
  for (const auto* each : {&end, &standstill, &wish}) {
    if (!*each) return tl::unexpected(each->error());
  }
  auto file = legacy ? tl::expected<StateFile, std::string>(std::move(legacy->file))
                     : StateFile::make(queue);
  if (!file) return tl::unexpected(file.error());
  return std::make_unique<Worker>(std::move(*kernel),
                                  Bells{std::move(*end), std::move(*standstill), std::move(*wish)},
                                  std::move(*file), queue_room_mib, policy, std::move(witness),
                                  legacy ? std::move(legacy->sessions) : std::nullopt);
}

Worker::Worker(Kernel kernel, Bells bells, StateFile state_file, std::size_t queue_room_mib,
               Policy policy, std::unique_ptr<Witness> witness, std::optional<EngineState> sessions)
    : kernel_(std::move(kernel)),
      state_file_(std::move(state_file)),
      masters_(kernel_.ctnetlink),
      records_(kernel_.queue.number(), random_key()),
      witness_(std::move(witness)),
      witnesses_(records_, witness_.get()),
      engine_(policy, {masters_, kernel_.ctnetlink, kernel_.injector},
              sessions ? sessions->key : random_key(), &witnesses_),
      policy_(std::move(policy)),
      queue_room_mib_(queue_room_mib),
      bells_(std::move(bells)) {
  if (sessions) engine_.take_over(std::move(*sessions), now());
  masters_.tell_of_offsets([this](std::uint32_t packet_id, const Master& master,
                                  Direction direction, const SequenceOffset& offset) {
    noted_offsets_.push_back({packet_id, master, direction, offset});
    state_file_.note_offsets(noted_offsets_);
  });
}

Worker::~Worker() {
  end();
}

void Worker::start() {
  if (const auto noted = state_file_.note_reading(kernel_.queue.standing()); !noted) {
    spdlog::warn("{}", noted.error());
  }
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
  ask(Wish::end);
}

void Worker::ask_to_stand_still(Standstill when) {
  bells_.standstill.silence();
  ask(when == Standstill::at_once ? Wish::stand_still : Wish::settle);
}

tl::expected<void, std::string> Worker::write_state() const {
  return state_file_.write({kernel_.queue.standing(), engine_.state()});
}

void Worker::go_on() {
  if (const auto noted = state_file_.note_reading(kernel_.queue.standing()); !noted) {
    spdlog::warn("{}", noted.error());
  }
  ask(Wish::serve);
}

void Worker::leave() {
  ask(Wish::leave);
  if (thread_.joinable()) thread_.join();
}

void Worker::ask(Wish wish) {
  {
    const std::lock_guard held(box_.lock);
    // What has left has nothing to end any more.
    if (box_.wish == Wish::leave) return;
    box_.wish = wish;
    box_.is_full = true;
  }
  bells_.wish.ring();
  // Who has left must leave nothing behind in the queue.
  if (wish != Wish::leave) kernel_.queue.wake();
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
  // The addresses of this machine that nobody may announce are known from the first packet on.
  tick(now());
  serve();
  while (!failure_ && wish_ != Wish::end && wish_ != Wish::leave) {
    bells_.standstill.ring();
    wait_for_wish();
    if (wish_ == Wish::serve) serve();
  }
  if (wish_ != Wish::leave) engine_.withdraw_all(now());
  bells_.end.ring();
}

/// Serves the queue until it is to do something else, or cannot go on.
void Worker::serve() {
  Time next_tick = now();
  for (;; ++turns_) {
    if (const int error = kernel_.queue.receive(); error != 0) {
      failure_ = fmt::format("queue {} failed: {}", kernel_.queue.number(), std::strerror(error));
      return;
    }
    if (box_.is_full) look_into_box();
    const Time at = now();
    kernel_.queue.answer([&](const QueuedPacket& packet) { return decide(packet, at); });
    forget_offsets();
    if (is_to_stop(at)) return;
    if (at >= next_tick) {
      tick(at);
      next_tick = at + tick_interval;
    }
  }
}

void Worker::look_into_box() {
  const std::lock_guard held(box_.lock);
  box_.is_full = false;
  if (box_.policy) {
    policy_ = *std::exchange(box_.policy, std::nullopt);
    engine_.set_policy(policy_);
  }
  wish_ = box_.wish;
}

bool Worker::is_to_stop(Time at) {
  if (wish_ != Wish::settle) {
    settles_until_.reset();
    return wish_ != Wish::serve;
  }
  if (!settles_until_) settles_until_ = at + settling_time_max;
  return at >= *settles_until_ || !engine_.holds_any();
}

void Worker::wait_for_wish() {
  while (wish_ == Wish::settle || wish_ == Wish::stand_still) {
    pollfd source{bells_.wish.descriptor(), POLLIN, 0};
    // It comes round now and then, for the watchdog.
    if (poll(&source, 1, wait_milliseconds) > 0) {
      bells_.wish.silence();
      look_into_box();
    }
    ++turns_;
  }
  settles_until_.reset();
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

/// The packets that they were set for have their verdicts.
void Worker::forget_offsets() {
  if (noted_offsets_.empty()) return;
  noted_offsets_.clear();
  state_file_.note_offsets(noted_offsets_);
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
