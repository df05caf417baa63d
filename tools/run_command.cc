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
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "alg/engine.h"
#include "conntrack/netlink/ctnetlink.h"
#include "conntrack/netlink/leftovers.h"
#include "conntrack/netlink/own_addresses.h"
#include "conntrack/netlink/packet_queue.h"
#include "conntrack/netlink/raw_injector.h"
#include "tools/applied_rules.h"
#include "tools/commands.h"
#include "tools/decision_text.h"
#include "tools/failure.h"
#include "tools/gateway_options.h"
#include "tools/log_limit.h"
#include "tools/running_config.h"

namespace ftpalg::tools {
namespace {

constexpr std::size_t mebibyte = std::size_t{1024} * 1024;

struct RunOptions {
  GatewayOptions gateway;
  std::string log_level = "info";
  bool apply_rules = false;
  std::size_t queue_room_mib = PacketQueue::default_room_bytes / mebibyte;
};

constexpr std::size_t queue_room_mib_max = 1024;
constexpr int tick_milliseconds = 1000;
constexpr Time loss_warning_interval = std::chrono::minutes{1};

/// The signals that end the daemon, and SIGHUP, as a descriptor to poll. They stay blocked until
/// the process ends.
class Signals {
 public:
  Signals() {
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGHUP);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigprocmask(SIG_BLOCK, &signals, nullptr);
    descriptor_ = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
  }
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;
  ~Signals() { close(descriptor_); }
  int descriptor() const { return descriptor_; }
  /// The next one that has come, if any.
  std::optional<int> take() const {
    signalfd_siginfo signal{};
    if (read(descriptor_, &signal, sizeof signal) != sizeof signal) return std::nullopt;
    return static_cast<int>(signal.ssi_signo);
  }

 private:
  int descriptor_;
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

/// Tells decisions, of one client not more than LogLimit admits.
class DecisionLog {
 public:
  explicit DecisionLog(const Ctnetlink& ctnetlink) : ctnetlink_(ctnetlink) {}

  void tell(std::span<const Decision> decisions) {
    for (const Decision& decision : decisions) {
      if (limit_.admits(decision.control.source.address, now())) tell(decision);
    }
  }
  void tell_left_out() {
    for (const auto& [client, lines] : limit_.take_left_out(now())) {
      spdlog::warn("{}: {} more lines within {} s are left out",
                   client.is_unspecified() ? "other clients" : client.text(), lines,
                   std::chrono::duration_cast<std::chrono::seconds>(LogLimit::window).count());
    }
  }

 private:
  void tell(const Decision& decision) const {
    const bool kernel_refused =
        decision.reason == Reason::expectation_failed || decision.reason == Reason::offsets_failed;
    if (kernel_refused) {
      spdlog::warn("{}: {}", decision_text(decision), std::strerror(ctnetlink_.last_error()));
    } else if (is_cap(decision.reason)) {
      spdlog::warn("{}", decision_text(decision));
    } else if (decision.action == Action::wait) {
      spdlog::debug("{}", decision_text(decision));
    } else {
      spdlog::info("{}", decision_text(decision));
    }
  }

  const Ctnetlink& ctnetlink_;
  LogLimit limit_;
};

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
int serve(PacketQueue& queue, Engine& engine, const Ctnetlink& ctnetlink, const Signals& signals,
          RunningConfig& config, LossWarning loss_warning) {
  DecisionLog decision_log(ctnetlink);
  const auto decide = [&](std::span<const std::uint8_t> packet) {
    const Outcome outcome = engine.on_packet(packet, now());
    decision_log.tell(outcome.decisions);
    return outcome.verdict;
  };

  std::array<pollfd, 2> sources{pollfd{queue.descriptor(), POLLIN, 0},
                                pollfd{signals.descriptor(), POLLIN, 0}};
  Time next_tick = now();
  for (;;) {
    if (poll(sources.data(), sources.size(), tick_milliseconds) < 0 && errno != EINTR) {
      spdlog::error("cannot wait for packets: {}", std::strerror(errno));
      return EXIT_FAILURE;
    }
    while (const auto signal = signals.take()) {
      if (*signal != SIGHUP) return EXIT_SUCCESS;
      config.read_anew(engine);
    }
    if (const int served = queue.serve(decide); served < 0) {
      spdlog::error("the packet queue failed: {}", std::strerror(-served));
      return EXIT_FAILURE;
    }
    if (now() >= next_tick) {
      decision_log.tell(engine.on_tick(now()));
      decision_log.tell_left_out();
      engine.set_gateway_addresses(own_addresses());
      loss_warning.look_at(queue.lost(), now());
      next_tick = now() + std::chrono::milliseconds{tick_milliseconds};
    }
  }
}

int run(const RunOptions& options) {
  GatewayOptions gateway = options.gateway;
  // A file that is there now and gone later is an error then, and not the defaults.
  gateway.config_file = config_file_or_default(gateway.config_file);
  const auto config = gateway.config();
  if (!config) return failed(config.error());
  if (const auto reason = obstacle(*config)) return failed(*reason);
  const rules::Ruleset& ruleset = config->ruleset;

  spdlog::set_default_logger(spdlog::stderr_logger_st("ftpalg"));
  spdlog::set_pattern("%^%l%$ %v");
  spdlog::set_level(spdlog::level::from_str(options.log_level));

  const Signals signals;
  auto ctnetlink = Ctnetlink::open();
  if (!ctnetlink) return failed(ctnetlink.error());
  auto injector = RawInjector::open(ruleset.untracked_mark, ruleset.unqueued_mark);
  if (!injector) return failed(injector.error());
  auto queue = PacketQueue::open(ruleset.queue, options.queue_room_mib * mebibyte);
  if (!queue) return failed(queue.error());

  std::unique_ptr<AppliedRules> applied_rules;
  if (options.apply_rules) {
    auto applied = AppliedRules::apply(ruleset, gateway.rules_format());
    if (!applied) return failed(applied.error());
    applied_rules = std::move(*applied);
  }

  remove_leftovers(*ctnetlink, ruleset);

  RunningConfig running(gateway, *config, applied_rules.get());
  Engine engine(config->policy, {*ctnetlink, *ctnetlink, *injector, random_number});
  fmt::print(stderr, "ftpalg: ready on queue {}\n", ruleset.queue);
  const int exit_status =
      serve(*queue, engine, *ctnetlink, signals, running, LossWarning{options.queue_room_mib});
  engine.withdraw_all();
  remove_leftovers(*ctnetlink, running.config().ruleset);
  return exit_status;
}

}  // namespace

void add_run_command(CLI::App& app, int& exit_status) {
  auto* command = app.add_subcommand("run", "run the gateway in the foreground");
  auto options = std::make_shared<RunOptions>();
  add_gateway_options(*command, options->gateway);
  command->add_option("--data-ports", options->gateway.public_ports,
                      "public ports for data connections that are rewritten, as FIRST-LAST "
                      "(default: the announced port where it is free, else any)");
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
