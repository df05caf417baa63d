// SPDX-License-Identifier: GPL-2.0-or-later
// ftpalg run: the daemon.
#include <fmt/format.h>
#include <malloc.h>
#include <poll.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "conntrack/netlink/ctnetlink.h"
#include "conntrack/netlink/leftovers.h"
#include "conntrack/netlink/packet_queue.h"
#include "tools/commands.h"
#include "tools/control/control_server.h"
#include "tools/control/control_socket.h"
#include "tools/descriptor_post.h"
#include "tools/errands.h"
#include "tools/failure.h"
#include "tools/gateway_options.h"
#include "tools/handover.h"
#include "tools/journal.h"
#include "tools/keeper.h"
#include "tools/last_warnings.h"
#include "tools/privileges.h"
#include "tools/reloads.h"
#include "tools/running_config.h"
#include "tools/service_notice.h"
#include "tools/status.h"
#include "tools/stored_descriptors.h"
#include "tools/takeover.h"
#include "tools/totals.h"
#include "tools/transfer_watch.h"
#include "tools/web/web_process.h"
#include "tools/worker.h"

namespace ftpalg::tools {
namespace {

constexpr std::size_t mebibyte = std::size_t{1024} * 1024;

struct RunOptions {
  GatewayOptions gateway;
  std::string log_level = "info";
  bool apply_rules = false;
  bool keep_rules = false;
  bool takes_over = false;
  std::size_t queue_room_mib = PacketQueue::default_room_bytes / mebibyte;
};

constexpr std::size_t queue_room_mib_max = 1024;

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

/// Removes what a gateway that was killed has left in conntrack, or this one that forgot a session.
void remove_leftovers(Ctnetlink& ctnetlink, const rules::Ruleset& ruleset) {
  const auto removed = ftpalg::remove_leftovers(ctnetlink, ruleset.carrier, ruleset.control_ports);
  if (!removed) {
    spdlog::warn("expectations of an earlier run may be left: {}", removed.error());
  } else if (*removed > 0) {
    spdlog::info("{} expectations that were left over are removed", *removed);
  }
}

using Workers = std::vector<std::unique_ptr<Worker>>;

/// What the service manager has kept of the queues that this gateway serves.
Legacies legacies_of(StoredDescriptors& stored, const rules::Ruleset& ruleset) {
  Legacies legacies;
  for (unsigned number = ruleset.queue; number <= ruleset.last_queue(); ++number) {
    const auto queue = static_cast<std::uint16_t>(number);
    Descriptor socket = stored.take(StoredDescriptors::queue_name(queue));
    Descriptor file = stored.take(StoredDescriptors::state_name(queue));
    if (!socket.is_open()) continue;
    auto legacy = Legacy::read(queue, std::move(socket), std::move(file));
    if (!legacy) {
      spdlog::warn("queue {} is taken anew: {}", queue, legacy.error());
      continue;
    }
    if (!legacy->trouble.empty()) {
      spdlog::warn("the sessions of queue {} are taken up where they speak: {}", queue,
                   legacy->trouble);
    }
    legacies.emplace(queue, std::move(*legacy));
  }
  return legacies;
}

tl::expected<Workers, std::string> open_workers(const Config& config, std::size_t queue_room_mib,
                                                TransferWatch& transfers, Legacies legacies) {
  Workers workers;
  const Policy share = config.policy.share_of(config.ruleset.queues);
  for (unsigned queue = config.ruleset.queue; queue <= config.ruleset.last_queue(); ++queue) {
    const auto legacy = legacies.find(static_cast<std::uint16_t>(queue));
    auto worker = Worker::open(
        config.ruleset, static_cast<std::uint16_t>(queue), queue_room_mib, share,
        transfers.witness(),
        legacy == legacies.end() ? std::nullopt : std::optional{std::move(legacy->second)});
    if (!worker) return tl::unexpected(worker.error());
    workers.push_back(std::move(*worker));
  }
  return workers;
}

/// Only when all workers come round does the service manager's watchdog hear that all is well.
void feed_watchdog(const Workers& workers, unsigned first_queue, ServiceNotice& notice) {
  std::vector<std::uint64_t> turns;
  for (const auto& worker : workers) turns.push_back(worker->turns());
  for (const std::size_t stuck : notice.feed(turns)) {
    spdlog::error(
        "the worker of queue {} stands still; if it goes on so, the service manager ends this "
        "gateway and starts it anew",
        first_queue + stuck);
  }
}

Time now() {
  return std::chrono::steady_clock::now().time_since_epoch();
}

std::vector<const Records*> records_of(const Workers& workers) {
  std::vector<const Records*> records;
  for (const auto& worker : workers) records.push_back(&worker->records());
  return records;
}

/// The control server with all that can be asked, or none where nobody can ask: neither on its
/// socket, nor the process that shows the page, as `viewer`.
std::optional<ControlServer> open_control_server(Descriptor listener, Descriptor viewer,
                                                 const Workers& workers, const Reloads& reloads) {
  if (!listener.is_open() && !viewer.is_open()) return std::nullopt;
  std::optional<ControlServer> server;
  server.emplace(std::move(listener), records_of(workers), [&reloads] {
    return Viewpoint{.now = now(),
                     .to_unix = std::chrono::system_clock::now().time_since_epoch() - now(),
                     .expectation_life = reloads.config().policy.expectation_life};
  });
  if (viewer.is_open()) server->admit_viewer(std::move(viewer), now());
  return server;
}

/// What can be asked besides sessions and events. `server` stays where it is.
void answer_questions(ControlServer& server, const Status& status, Reloads& reloads) {
  using Answer = std::optional<nlohmann::ordered_json>;
  server.answer_to("status", [&status](const auto&, const auto&) -> Answer {
    return nlohmann::ordered_json{{"status", status.json()}};
  });
  server.answer_to("reload", [&](const ControlServer::Asker& asker, const auto&) -> Answer {
    if (!asker.is_owner) {
      return nlohmann::ordered_json{{"error", "only root may have the gateway reload; use sudo"}};
    }
    reloads.begin([&server, id = asker.id](const Reloads::Outcome& outcome) {
      server.answer(id, outcome ? nlohmann::ordered_json{{"reload", {{"changed", *outcome}}}}
                                : nlohmann::ordered_json{{"error", outcome.error()}});
    });
    return std::nullopt;
  });
}

/// The next gateway finds the queues and their states with the service manager.
void keep_for_next(const Workers& workers, const StoredDescriptors& untaken,
                   const ServiceNotice& notice) {
  // A queue that nobody reads any more must not be kept from having no reader.
  for (const std::string& name : untaken.names()) notice.forget(name);
  for (const auto& worker : workers) {
    const std::uint16_t queue = worker->queue_number();
    notice.keep(StoredDescriptors::queue_name(queue), worker->queue_descriptor());
    notice.keep(StoredDescriptors::state_name(queue), worker->state_descriptor());
  }
}

/// What the main thread attends to while the workers serve.
struct Attended {
  Workers& workers;
  const Signals& signals;
  Reloads& reloads;
  ServiceNotice& notice;
  Status& status;
  TransferWatch& transfers;
  std::optional<WebProcess>& web;
  Keeper& keeper;
  const ControlSocketFile& socket;
  /// It goes on where another has stood: what the kernel expects is not left over.
  bool succeeds_another;
  bool succeeds_killed;  ///< what the kernel expects nobody looks after then
  /// The service manager keeps what the next one is to go on with.
  bool is_followed;
};

/// How the gateway has ended.
struct End {
  int exit_status = EXIT_SUCCESS;
  bool has_given_way = false;  ///< rules and socket are another's
};

/// Has the workers end so that the next gateway goes on where they stand. False when they cannot.
bool leave_to_next(const Workers& workers) {
  auto left = stand_still(workers, Worker::Standstill::once_settled);
  if (left) left = write_states(workers);
  if (!left) {
    spdlog::warn("the next gateway takes sessions up where they speak: {}", left.error());
    return false;
  }
  for (const auto& worker : workers) worker->leave();
  return true;
}

/// How long to wait for anything: as long as both may, negative for ever.
int sooner(int milliseconds, std::optional<Time> at) {
  if (!at) return milliseconds;
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(std::max(*at - now(), Time{}));
  const auto other = static_cast<int>(std::min<std::int64_t>(left.count(), 60'000));
  return milliseconds < 0 ? other : std::min(milliseconds, other);
}

/// It is no reason to serve less.
void note_end_of(std::optional<WebProcess>& web) {
  spdlog::warn(
      "the process that shows the page (ftpalg-web) is gone; packets go on; mend: start the "
      "gateway anew");
  web->bury();
  web.reset();
}

/// Waits, while the workers serve, for a signal or a worker's failure that ends the gateway.
void attend(const Attended& attended, std::optional<ControlServer>& control,
            std::optional<Handover>& handover) {
  auto& workers = attended.workers;
  auto& reloads = attended.reloads;
  auto& notice = attended.notice;
  auto& transfers = attended.transfers;
  auto& web = attended.web;
  constexpr int handover_milliseconds = 50;
  bool is_to_end = false;
  constexpr std::size_t fixed_sources = 6;
  std::vector<Records*> records;
  for (const auto& worker : workers) records.push_back(&worker->records());
  bool is_reloading = false;
  for (;;) {
    std::vector<pollfd> sources{pollfd{attended.signals.descriptor(), POLLIN, 0},
                                pollfd{reloads.descriptor(), POLLIN, 0},
                                pollfd{notice.descriptor(), POLLIN, 0},
                                pollfd{transfers.events_descriptor(), POLLIN, 0},
                                pollfd{transfers.bell_descriptor(), POLLIN, 0},
                                pollfd{web ? web->descriptor() : -1, POLLIN, 0}};
    for (const auto& worker : workers) sources.push_back({worker->descriptor(), POLLIN, 0});
    if (control) control->add_to(sources);
    const bool gives_way = handover && handover->is_under_way();
    const int timeout =
        gives_way ? handover_milliseconds
                  : sooner(control ? control->timeout_milliseconds() : -1, transfers.next());
    if (poll(sources.data(), sources.size(), timeout) < 0 && errno != EINTR) {
      spdlog::error("cannot wait for signals: {}", std::strerror(errno));
      return;
    }
    while (const auto signal = attended.signals.take()) {
      if (*signal == SIGHUP) {
        reloads.begin();
      } else {
        is_to_end = true;
      }
    }
    const auto of_workers = std::span{sources}.subspan(fixed_sources, workers.size());
    if (std::ranges::any_of(of_workers, [](const pollfd& source) { return source.revents != 0; })) {
      return;
    }
    if (sources[5].revents != 0) note_end_of(web);
    if (sources[2].revents != 0) feed_watchdog(workers, reloads.config().ruleset.queue, notice);
    if (sources[1].revents != 0 && reloads.finish()) {
      const Policy share = reloads.config().policy.share_of(reloads.config().ruleset.queues);
      for (const auto& worker : workers) worker->set_policy(share);
      transfers.set_control_ports(reloads.config().ruleset.control_ports);
    }
    if (const auto report = reloads.take_rules_report()) {
      attended.status.note_rules(*report, unix_now());
    }
    transfers.attend(records, now());
    if (control) control->serve(std::span{sources}.subspan(fixed_sources + workers.size()), now());
    if (handover) handover->look_after(now());
    if (handover && handover->is_complete()) return;
    // Whoever takes over may have everything already: that is waited for.
    if (is_to_end && !(handover && handover->is_under_way())) return;
    if (is_reloading != reloads.is_under_way()) {
      is_reloading = !is_reloading;
      is_reloading ? notice.reloading() : notice.ready();
      if (!is_reloading) transfers.go_on_in_new_file();
    }
  }
}

/// From the drop of rights to the end.
End work(Ctnetlink& ctnetlink, const Attended& attended, Descriptor listener) {
  auto& workers = attended.workers;
  auto& reloads = attended.reloads;
  auto& notice = attended.notice;
  auto& transfers = attended.transfers;
  auto& web = attended.web;
  if (!attended.succeeds_another) {
    remove_leftovers(ctnetlink, reloads.config().ruleset);
  } else if (attended.succeeds_killed) {
    const auto& ruleset = reloads.config().ruleset;
    const auto life =
        std::chrono::ceil<std::chrono::seconds>(reloads.config().policy.expectation_life);
    static_cast<void>(limit_leftovers(ctnetlink, ruleset.carrier, ruleset.control_ports, life));
  }
  if (const auto dropped = drop_capabilities(Role::worker); !dropped) {
    return {failed(dropped.error()), false};
  }
  // Else the C library asks for the number of processors, by calls that are refused then.
  mallopt(M_ARENA_MAX, static_cast<int>(workers.size()) + 1);
  // And opens the file of the time zone, be it to tell UTC.
  tzset();
  auto control = open_control_server(std::move(listener), web ? web->take_channel() : Descriptor{},
                                     workers, reloads);
  std::optional<Handover> handover;
  if (control) {
    answer_questions(*control, attended.status, reloads);
    handover.emplace(Handover::Parts{*control, workers, reloads, attended.keeper, attended.socket});
  }
  for (const auto& worker : workers) worker->start();
  // Kernels without it are no reason not to serve.
  if (const auto restricted = restrict_system_calls(Duty::attendance); !restricted) {
    spdlog::warn("{}; the gateway serves without this protection", restricted.error());
  }

  // Not fmt::print, which throws where nobody reads.
  const std::string ready =
      fmt::format("ftpalg: ready on {}\n", queues_text(reloads.config().ruleset));
  std::fputs(ready.c_str(), stderr);
  notice.ready();
  notice.status(fmt::format("serves {}", queues_text(reloads.config().ruleset)));
  attend(attended, control, handover);
  notice.stopping();

  const bool has_given_way = handover && handover->is_complete();
  if (has_given_way) {
    for (const auto& worker : workers) worker->leave();
    spdlog::info("another gateway has taken over");
  }
  const bool is_left = has_given_way || (attended.is_followed && leave_to_next(workers));
  for (const auto& worker : workers) worker->ask_to_end();
  int exit_status = EXIT_SUCCESS;
  Totals totals;
  for (const auto& worker : workers) {
    if (const auto failure = worker->end()) {
      spdlog::error("{}", *failure);
      exit_status = EXIT_FAILURE;
    }
    totals.add(worker->engine());
  }
  transfers.settle(now());
  reloads.settle();
  handover.reset();
  control.reset();
  totals.tell();
  if (!is_left) remove_leftovers(ctnetlink, reloads.config().ruleset);
  return {exit_status, has_given_way};
}

/// Nobody to tell is no reason not to serve.
ServiceNotice service_notice() {
  auto notice = ServiceNotice::open();
  if (notice) return std::move(*notice);
  spdlog::warn("{}; the service manager hears nothing of this gateway", notice.error());
  return {};
}

/// Without it the gateway serves too.
ControlSocket open_control_socket(const Service& service) {
  if (service.socket.empty()) return {};
  auto made = ControlSocket::open(service.socket, service.group);
  if (made) return std::move(*made);
  spdlog::warn("{}", made.error());
  return {};
}

/// The process that shows the page, where one is wanted; without it the gateway serves too.
std::optional<WebProcess> start_web(const Config& config) {
  if (!config.http_listen) return std::nullopt;
  auto web = WebProcess::start(*config.http_listen);
  if (web) return std::move(*web);
  spdlog::warn("there is no page at http://{}/: {}", config.http_listen->text(), web.error());
  return std::nullopt;
}

int run(const RunOptions& options) {
  GatewayOptions gateway = options.gateway;
  // A file that is there now and gone later is an error then, and not the defaults.
  gateway.config_file = config_file_or_default(gateway.config_file);
  const auto config = gateway.config();
  if (!config) return failed(config.error());
  if (const auto reason = obstacle(*config)) return failed(*reason);

  const auto warnings = std::make_shared<LastWarnings>();
  spdlog::sink_ptr journal = Journal::open();
  const spdlog::sink_ptr reader =
      journal ? journal : std::make_shared<spdlog::sinks::stderr_sink_mt>();
  spdlog::set_default_logger(
      std::make_shared<spdlog::logger>("ftpalg", spdlog::sinks_init_list{reader, warnings}));
  spdlog::set_pattern("%^%l%$ %v");
  spdlog::set_level(spdlog::level::from_str(options.log_level));

  const Signals signals;
  auto web = start_web(*config);
  auto post = DescriptorPost::open();
  if (!post) return failed(post.error());
  StoredDescriptors stored = StoredDescriptors::take();
  ControlSocket socket =
      options.takes_over ? ControlSocket{} : open_control_socket(config->service);
  const LogFile log_file{config->transfers.file,
                         std::make_shared<const DescriptorPost>(std::move(*post))};
  const auto give_up = [&](const std::string& reason) {
    if (!options.takes_over) socket.file.remove();
    return failed(reason);
  };
  const auto at_end =
      options.keep_rules ? RunningConfig::AtEnd::keep_rules : RunningConfig::AtEnd::remove_rules;
  auto keeper = Keeper::start(
      errands(RunningConfig(gateway, *config, at_end), options.apply_rules, socket.file, log_file),
      stored.numbers());
  if (!keeper) return give_up(keeper.error());
  auto notice = service_notice();
  auto ctnetlink = Ctnetlink::open();
  if (!ctnetlink) return give_up(ctnetlink.error());
  const auto transfers = TransferWatch::open(*config, log_file.post);
  if (!transfers) return give_up(transfers.error());

  std::optional<Takeover> takeover;
  Legacies legacies;
  Answer begun;
  if (options.takes_over) {
    // All that takes time comes before the other stands still.
    begun = keeper->ask(begin_takeover_errand);
    if (!begun) return give_up(begun.error());
    auto asked = Takeover::ask(config->service.socket, config->ruleset);
    if (!asked) return give_up(asked.error());
    takeover.emplace(std::move(*asked));
    legacies = takeover->take_queues();
    socket = takeover->take_socket();
  } else {
    legacies = legacies_of(stored, config->ruleset);
  }
  const bool succeeds_another = !legacies.empty();
  const bool succeeds_killed =
      std::ranges::any_of(legacies, [](const auto& legacy) { return !legacy.second.sessions; });
  auto workers = open_workers(*config, options.queue_room_mib, **transfers, std::move(legacies));
  if (!workers) return give_up(workers.error());
  if (takeover) {
    const auto adopted = keeper->ask(adoption(takeover->rules_format(), socket.file));
    if (!adopted) return give_up(adopted.error());
    if (const auto completed = takeover->complete(); !completed) return give_up(completed.error());
    takeover.reset();
  } else {
    begun = keeper->ask(begin_errand);
    if (!begun) return give_up(begun.error());
  }
  keep_for_next(*workers, stored, notice);

  Status status(records_of(*workers), *warnings, config->ruleset.queue);
  if (const auto report = RulesReport::from_text(*begun)) status.note_rules(*report, unix_now());
  Reloads reloads(gateway, *config, *keeper);
  const End end = work(*ctnetlink,
                       {*workers, signals, reloads, notice, status, **transfers, web, *keeper,
                        socket.file, succeeds_another, succeeds_killed, stored.are_kept()},
                       std::move(socket.listener));
  if (end.has_given_way) return end.exit_status;
  if (const auto ended = keeper->ask(end_errand); !ended) {
    spdlog::error("rules of this run may be left: {}; mend: ftpalg rules remove", ended.error());
    return EXIT_FAILURE;
  }
  return end.exit_status;
}

}  // namespace

void add_run_command(CLI::App& app, int& exit_status) {
  auto* command = app.add_subcommand("run", "run the gateway in the foreground");
  auto options = std::make_shared<RunOptions>();
  add_gateway_options(*command, options->gateway);
  command->add_option("--data-ports", options->gateway.public_ports,
                      "public ports for data connections that are rewritten, as FIRST-LAST "
                      "(default: the announced port where it is free, else any)");
  command->add_option("--socket", options->gateway.socket,
                      fmt::format("Unix socket on which ftpalg status and its like reach this "
                                  "gateway, or none (default: {})",
                                  default_control_socket));
  auto* apply_rules =
      command->add_flag("--apply-rules", options->apply_rules,
                        "put the firewall rules in place, and remove them at the end");
  command
      ->add_flag("--keep-rules", options->keep_rules,
                 "leave the rules of --apply-rules in place at the end, for the next run")
      ->needs(apply_rules);
  command->add_flag(
      "--takeover", options->takes_over,
      "take the place of the gateway that runs, without losing a session or a packet");
  command
      ->add_option("--queue-room", options->queue_room_mib,
                   "MiB for packets that wait, in each queue; beyond, packets pass unread")
      ->check(CLI::Range(std::size_t{1}, queue_room_mib_max))
      ->capture_default_str();
  command->add_option("--log-level", options->log_level, "how much to tell on standard error")
      ->check(CLI::IsMember({"debug", "info", "warn", "error", "off"}))
      ->capture_default_str();
  command->callback([options, &exit_status] { exit_status = run(*options); });
}

}  // namespace ftpalg::tools
