// SPDX-License-Identifier: GPL-2.0-or-later
// ftpalg run: the daemon.
#include <fmt/format.h>
#include <poll.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "alg/engine.h"
#include "conntrack/netlink/ctnetlink.h"
#include "conntrack/netlink/leftovers.h"
#include "conntrack/netlink/packet_queue.h"
#include "conntrack/netlink/raw_injector.h"
#include "rules/application.h"
#include "rules/machine.h"
#include "tools/commands.h"
#include "tools/decision_text.h"
#include "tools/gateway_options.h"

namespace ftpalg::tools {
namespace {

constexpr std::size_t mebibyte = std::size_t{1024} * 1024;

struct RunOptions {
  GatewayOptions gateway;
  std::string data_ports;
  std::string log_level = "info";
  bool apply_rules = false;
  std::size_t queue_room_mib = PacketQueue::default_room_bytes / mebibyte;
};

constexpr std::size_t queue_room_mib_max = 1024;
constexpr int tick_milliseconds = 1000;
constexpr Time loss_warning_interval = std::chrono::minutes{1};

/// "50000-50999" as a range, or nothing when it is none.
std::optional<PortRange> parse_port_range(const std::string& text) {
  PortRange range;
  const char* const end = text.data() + text.size();
  const auto [after_first, first_error] = std::from_chars(text.data(), end, range.first.number);
  if (first_error != std::errc{} || after_first == end || *after_first != '-') return std::nullopt;
  const auto [after_last, last_error] = std::from_chars(after_first + 1, end, range.last.number);
  if (last_error != std::errc{} || after_last != end) return std::nullopt;
  if (range.first.number == 0 || range.last < range.first) return std::nullopt;
  return range;
}

/// The signals that end the daemon, as a descriptor to poll. They stay blocked until the process
/// ends.
class EndSignals {
 public:
  EndSignals() {
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigprocmask(SIG_BLOCK, &signals, nullptr);
    descriptor_ = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
  }
  EndSignals(const EndSignals&) = delete;
  EndSignals& operator=(const EndSignals&) = delete;
  ~EndSignals() { close(descriptor_); }
  int descriptor() const { return descriptor_; }

 private:
  int descriptor_;
};

/// The rules of this run: put in place, and taken out again at its end.
class AppliedRules {
 public:
  static tl::expected<std::unique_ptr<AppliedRules>, std::string> apply(
      const rules::Ruleset& ruleset, std::optional<rules::Format> format) {
    const auto applied = rules::apply(ruleset, format);
    if (!applied) return tl::unexpected(applied.error());
    for (const std::string& note : applied->notes) spdlog::warn("{}", note);
    spdlog::info("rules are in place, format {}", rules::name(applied->format));
    return std::unique_ptr<AppliedRules>(new AppliedRules(applied->format));
  }
  AppliedRules(const AppliedRules&) = delete;
  AppliedRules& operator=(const AppliedRules&) = delete;
  ~AppliedRules() {
    const auto removed = rules::remove(format_);
    if (!removed) spdlog::error("{}", removed.error());
  }

 private:
  explicit AppliedRules(rules::Format format) : format_(format) {}
  rules::Format format_;
};

Time now() {
  return std::chrono::steady_clock::now().time_since_epoch();
}

std::uint32_t random_number() {
  std::uint32_t number = 0;
  // Up to 256 bytes come whole and at once (getrandom(2)).
  if (getrandom(&number, sizeof number, 0) != sizeof number) std::abort();
  return number;
}

void log(const Decision& decision, const Ctnetlink& ctnetlink) {
  const bool kernel_refused =
      decision.reason == Reason::expectation_failed || decision.reason == Reason::offsets_failed;
  if (kernel_refused) {
    spdlog::warn("{}: {}", decision_text(decision), std::strerror(ctnetlink.last_error()));
  } else if (decision.action == Action::wait) {
    spdlog::debug("{}", decision_text(decision));
  } else {
    spdlog::info("{}", decision_text(decision));
  }
}

/// Warns of packets that found no room in the queue, not oftener than loss_warning_interval.
class LossWarning {
 public:
  explicit LossWarning(std::size_t queue_room_mib) : queue_room_mib_(queue_room_mib) {}

  void look_at(std::uint64_t lost, Time at) {
    if (lost == told_ || at < next_) return;
    spdlog::warn(
        "{} packets passed unread, because the queue's room of {} MiB was full; what they announce "
        "does not work, the sessions go on; mend: give the queue more room, as in --queue-room {}, "
        "or this program more of a processor",
        lost - told_, queue_room_mib_, 2 * queue_room_mib_);
    told_ = lost;
    next_ = at + loss_warning_interval;
  }

 private:
  std::size_t queue_room_mib_;
  std::uint64_t told_ = 0;
  Time next_{};
};

/// Removes what a gateway that was killed has left in conntrack, or this one that forgot a session.
void remove_leftovers(Ctnetlink& ctnetlink, const rules::Ruleset& ruleset) {
  const auto removed = ftpalg::remove_leftovers(ctnetlink, ruleset.carrier, ruleset.control_ports);
  if (!removed) {
    spdlog::warn("expectations of an earlier run may be left: {}", removed.error());
  } else if (*removed > 0) {
    spdlog::info("{} expectations that were left over are removed", *removed);
  }
}

/// Serves the queue until a signal ends it. Returns the exit status.
int serve(PacketQueue& queue, Engine& engine, const Ctnetlink& ctnetlink,
          const EndSignals& end_signals, LossWarning loss_warning) {
  const auto decide = [&](std::span<const std::uint8_t> packet) {
    const Outcome outcome = engine.on_packet(packet, now());
    for (const Decision& decision : outcome.decisions) log(decision, ctnetlink);
    return outcome.verdict;
  };

  std::array<pollfd, 2> sources{pollfd{queue.descriptor(), POLLIN, 0},
                                pollfd{end_signals.descriptor(), POLLIN, 0}};
  Time next_tick = now();
  for (;;) {
    if (poll(sources.data(), sources.size(), tick_milliseconds) < 0 && errno != EINTR) {
      spdlog::error("cannot wait for packets: {}", std::strerror(errno));
      return EXIT_FAILURE;
    }
    if (sources[1].revents != 0) return EXIT_SUCCESS;
    if (const int served = queue.serve(decide); served < 0) {
      spdlog::error("the packet queue failed: {}", std::strerror(-served));
      return EXIT_FAILURE;
    }
    if (now() >= next_tick) {
      for (const Decision& decision : engine.on_tick(now())) log(decision, ctnetlink);
      loss_warning.look_at(queue.lost(), now());
      next_tick = now() + std::chrono::milliseconds{tick_milliseconds};
    }
  }
}

int failed(std::string_view reason) {
  fmt::print(stderr, "ftpalg: {}\n", reason);
  return EXIT_FAILURE;
}

int run(const RunOptions& options) {
  const auto ruleset = options.gateway.ruleset();
  if (!ruleset) return failed(ruleset.error());
  Policy policy;
  policy.external_addresses = *options.gateway.external();
  policy.done_mark = ruleset->done_mark;
  if (!options.data_ports.empty()) {
    policy.data_ports = parse_port_range(options.data_ports);
    if (!policy.data_ports) {
      return failed(
          fmt::format("--data-ports {}: not a range of ports; write it as "
                      "50000-50999, both ends from 1 to 65535, the lower one first",
                      options.data_ports));
    }
  }
  constexpr std::string_view liberal = "net.netfilter.nf_conntrack_tcp_be_liberal";
  if (ruleset->queue_acknowledgements && rules::read_sysctl(liberal).value_or(1) == 0) {
    return failed(
        fmt::format("{0} is 0, and conntrack would take control connections with an "
                    "external address for broken; set it: sysctl -w {0}=1",
                    liberal));
  }
  spdlog::set_default_logger(spdlog::stderr_logger_st("ftpalg"));
  spdlog::set_pattern("%^%l%$ %v");
  spdlog::set_level(spdlog::level::from_str(options.log_level));

  const EndSignals end_signals;
  auto ctnetlink = Ctnetlink::open();
  if (!ctnetlink) return failed(ctnetlink.error());
  auto injector = RawInjector::open(ruleset->untracked_mark, ruleset->unqueued_mark);
  if (!injector) return failed(injector.error());
  auto queue = PacketQueue::open(ruleset->queue, options.queue_room_mib * mebibyte);
  if (!queue) return failed(queue.error());

  std::unique_ptr<AppliedRules> applied_rules;
  if (options.apply_rules) {
    auto applied = AppliedRules::apply(*ruleset, options.gateway.rules_format());
    if (!applied) return failed(applied.error());
    applied_rules = std::move(*applied);
  }

  remove_leftovers(*ctnetlink, *ruleset);

  Engine engine(policy, {*ctnetlink, *ctnetlink, *injector, random_number});
  fmt::print(stderr, "ftpalg: ready on queue {}\n", ruleset->queue);
  const int exit_status =
      serve(*queue, engine, *ctnetlink, end_signals, LossWarning{options.queue_room_mib});
  engine.withdraw_all();
  remove_leftovers(*ctnetlink, *ruleset);
  return exit_status;
}

}  // namespace

void add_run_command(CLI::App& app, int& exit_status) {
  auto* command = app.add_subcommand("run", "run the gateway in the foreground");
  auto options = std::make_shared<RunOptions>();
  add_gateway_options(*command, options->gateway);
  command->add_option("--data-ports", options->data_ports,
                      "public ports for data connections that are rewritten, as FIRST-LAST "
                      "(default: the announced port where it is free, else the next)");
  command->add_flag("--apply-rules", options->apply_rules,
                    "put the firewall rules in place, and remove them at the end");
  command
      ->add_option("--queue-room", options->queue_room_mib,
                   "MiB for packets that wait; beyond, packets pass unread")
      ->check(CLI::Range(std::size_t{1}, queue_room_mib_max))
      ->capture_default_str();
  command->add_option("--log-level", options->log_level, "how much to tell on standard error")
      ->check(CLI::IsMember({"debug", "info", "warn", "error", "off"}))
      ->capture_default_str();
  command->callback([options, &exit_status] { exit_status = run(*options); });
}

}  // namespace ftpalg::tools
