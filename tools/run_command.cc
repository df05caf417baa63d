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
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <utility>

#include "alg/engine.h"
#include "conntrack/netlink/ctnetlink.h"
#include "conntrack/netlink/leftovers.h"
#include "conntrack/netlink/own_addresses.h"
#include "conntrack/netlink/packet_queue.h"
#include "conntrack/netlink/raw_injector.h"
#include "tools/commands.h"
#include "tools/decision_log.h"
#include "tools/errands.h"
#include "tools/failure.h"
#include "tools/gateway_options.h"
#include "tools/keeper.h"
#include "tools/privileges.h"
#include "tools/reloads.h"
#include "tools/running_config.h"
#include "tools/totals.h"

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
/// the process ends. That nobody reads the log any more ends nothing.
class Signals {
 public:
  Signals() {
    std::signal(SIGPIPE, SIG_IGN);
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

KeyedHash::Key random_key() {
  KeyedHash::Key key;
  // Up to 256 bytes come whole and at once (getrandom(2)).
  if (getrandom(key.data(), key.size(), 0) != static_cast<ssize_t>(key.size())) std::abort();
  return key;
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

/// What the kernel has for the worker, open before the worker gives up the right to open it.
struct Kernel {
  Ctnetlink ctnetlink;
  OwnAddresses own_addresses;
  RawInjector injector;
  PacketQueue queue;
};

tl::expected<Kernel, std::string> open_kernel(const rules::Ruleset& ruleset,
                                              std::size_t queue_room_bytes) {
  auto ctnetlink = Ctnetlink::open();
  if (!ctnetlink) return tl::unexpected(ctnetlink.error());
  auto own_addresses = OwnAddresses::open();
  if (!own_addresses) return tl::unexpected(own_addresses.error());
  auto injector = RawInjector::open(ruleset.untracked_mark, ruleset.unqueued_mark);
  if (!injector) return tl::unexpected(injector.error());
  auto queue = PacketQueue::open(ruleset.queue, queue_room_bytes);
  if (!queue) return tl::unexpected(queue.error());
  return Kernel{std::move(*ctnetlink), std::move(*own_addresses), std::move(*injector),
                std::move(*queue)};
}

/// Interfaces come and go. When the kernel does not tell, the engine goes on with what it knows.
void note_own_addresses(Kernel& kernel, Engine& engine) {
  if (auto addresses = kernel.own_addresses.list()) {
    engine.set_gateway_addresses(std::move(*addresses));
  }
}

/// Serves the queue until a signal ends it. Returns the exit status.
int serve(Kernel& kernel, Engine& engine, const Signals& signals, Reloads& reloads,
          LossWarning loss_warning) {
  DecisionLog decision_log;
  const auto tell = [&](std::span<const Decision> decisions, Time at) {
    decision_log.tell(decisions, reloads.config().policy, kernel.ctnetlink.last_error(), at);
  };
  const auto decide = [&](std::span<const std::uint8_t> packet) {
    const Time at = now();
    const Outcome outcome = engine.on_packet(packet, at);
    tell(outcome.decisions, at);
    return outcome.verdict;
  };

  Time next_tick = now();
  for (;;) {
    std::array<pollfd, 3> sources{pollfd{kernel.queue.descriptor(), POLLIN, 0},
                                  pollfd{signals.descriptor(), POLLIN, 0},
                                  pollfd{reloads.descriptor(), POLLIN, 0}};
    if (poll(sources.data(), sources.size(), tick_milliseconds) < 0 && errno != EINTR) {
      spdlog::error("cannot wait for packets: {}", std::strerror(errno));
      return EXIT_FAILURE;
    }
    while (const auto signal = signals.take()) {
      if (*signal != SIGHUP) return EXIT_SUCCESS;
      reloads.begin();
    }
    if (sources[2].revents != 0) reloads.finish(engine);
    if (const int served = kernel.queue.serve(decide); served < 0) {
      spdlog::error("the packet queue failed: {}", std::strerror(-served));
      return EXIT_FAILURE;
    }
    if (const Time at = now(); at >= next_tick) {
      tell(engine.on_tick(at), at);
      decision_log.tell_left_out(at);
      note_own_addresses(kernel, engine);
      loss_warning.look_at(kernel.queue.lost(), at);
      next_tick = at + std::chrono::milliseconds{tick_milliseconds};
    }
  }
}

tl::expected<void, std::string> confine_worker() {
  const auto dropped = drop_capabilities(Role::worker);
  if (!dropped) return dropped;
  // Kernels without it are no reason not to serve.
  if (const auto restricted = restrict_system_calls(); !restricted) {
    spdlog::warn("{}; the gateway serves without this protection", restricted.error());
  }
  return {};
}

/// From the drop of rights to the end. Returns the exit status.
int work(Kernel& kernel, Reloads& reloads, const Signals& signals, std::size_t queue_room_mib) {
  remove_leftovers(kernel.ctnetlink, reloads.config().ruleset);
  Engine engine(reloads.config().policy, {kernel.ctnetlink, kernel.ctnetlink, kernel.injector},
                random_key());
  note_own_addresses(kernel, engine);
  if (const auto confined = confine_worker(); !confined) return failed(confined.error());

  // Not fmt::print, which throws where nobody reads.
  const std::string ready =
      fmt::format("ftpalg: ready on queue {}\n", reloads.config().ruleset.queue);
  std::fputs(ready.c_str(), stderr);
  const int exit_status = serve(kernel, engine, signals, reloads, LossWarning{queue_room_mib});
  reloads.settle(engine);
  engine.withdraw_all(now());
  tell_totals(engine);
  remove_leftovers(kernel.ctnetlink, reloads.config().ruleset);
  return exit_status;
}

int run(const RunOptions& options) {
  GatewayOptions gateway = options.gateway;
  // A file that is there now and gone later is an error then, and not the defaults.
  gateway.config_file = config_file_or_default(gateway.config_file);
  const auto config = gateway.config();
  if (!config) return failed(config.error());
  if (const auto reason = obstacle(*config)) return failed(*reason);

  spdlog::set_default_logger(spdlog::stderr_logger_st("ftpalg"));
  spdlog::set_pattern("%^%l%$ %v");
  spdlog::set_level(spdlog::level::from_str(options.log_level));

  const Signals signals;
  auto keeper = Keeper::start(errands(RunningConfig(gateway, *config), options.apply_rules));
  if (!keeper) return failed(keeper.error());
  auto kernel = open_kernel(config->ruleset, options.queue_room_mib * mebibyte);
  if (!kernel) return failed(kernel.error());
  if (const auto begun = keeper->ask(begin_errand); !begun) return failed(begun.error());

  Reloads reloads(gateway, *config, *keeper);
  const int exit_status = work(*kernel, reloads, signals, options.queue_room_mib);
  if (const auto ended = keeper->ask(end_errand); !ended) {
    spdlog::error("rules of this run may be left: {}; mend: ftpalg rules remove", ended.error());
    return EXIT_FAILURE;
  }
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
