// SPDX-License-Identifier: GPL-2.0-or-later
// ftpalg watch: the running gateway and its sessions, live.
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <nlohmann/json.hpp>
#include <thread>

#include "tools/commands.h"
#include "tools/control/gateway_connection.h"
#include "tools/control/session_list.h"
#include "tools/control_options.h"
#include "tools/failure.h"
#include "tools/screen_text.h"
#include "tools/status.h"
#include "tools/status_text.h"
#include "tools/terminal.h"

namespace ftpalg::tools {
namespace {

constexpr unsigned interval_max = 3600;
constexpr std::size_t columns_of_text = 100;
/// Where there is no screen that says how many fit.
constexpr std::size_t sessions_of_text = 1000;

struct WatchOptions {
  ControlOptions control;
  FilterOptions filter;
  unsigned interval = 1;  ///< seconds
  unsigned count = 0;     ///< of looks; 0: no end
};

/// What is seen in one look.
struct Look {
  nlohmann::ordered_json status;
  SessionList stuck;
  SessionList sessions;
};

tl::expected<Look, std::string> look(GatewayConnection& gateway, const WatchOptions& options,
                                     std::size_t sessions_max) {
  auto status = gateway.ask({{"ask", "status"}});
  if (!status) return tl::unexpected(std::move(status.error()));
  nlohmann::ordered_json request{
      {"ask", "sessions"}, {"filter", options.filter.filter()}, {"limit", sessions_max}};
  auto sessions = ask_for_sessions(gateway, request);
  if (!sessions) return tl::unexpected(std::move(sessions.error()));
  request["stuck"] = true;
  auto stuck = ask_for_sessions(gateway, request);
  if (!stuck) return tl::unexpected(std::move(stuck.error()));
  return Look{std::move((*status)["status"]), std::move(*stuck), std::move(*sessions)};
}

std::vector<std::string> lines_of(const Look& look, ScreenSize size) {
  return watch_lines(look.status, look.stuck.sessions, look.sessions.sessions, look.sessions.of,
                     unix_now(), size.columns, size.rows);
}

bool print(const WatchOptions& options, const Look& seen) {
  std::string text;
  if (options.control.json) {
    text = nlohmann::ordered_json{{"status", seen.status}, {"sessions", seen.sessions.sessions}}
               .dump() +
           "\n";
  } else {
    for (const std::string& line : lines_of(seen, {columns_of_text, sessions_of_text})) {
      text += line + "\n";
    }
    text += "\n";
  }
  return std::fputs(text.c_str(), stdout) >= 0 && std::fflush(stdout) == 0;
}

/// For another program, or a file: one look after the other.
int watch_as_text(GatewayConnection& gateway, const WatchOptions& options) {
  for (unsigned turn = 1;; ++turn) {
    const auto seen = look(gateway, options, sessions_of_text);
    if (!seen) return failed(seen.error());
    if (!print(options, *seen)) return EXIT_FAILURE;
    if (turn == options.count) return EXIT_SUCCESS;
    std::this_thread::sleep_for(std::chrono::seconds{options.interval});
  }
}

int watch_on_screen(GatewayConnection& gateway, const WatchOptions& options) {
  std::string failure;
  {
    Terminal terminal;
    for (unsigned turn = 1; failure.empty(); ++turn) {
      const auto seen = look(gateway, options, std::max<std::size_t>(1, screen_size().rows));
      if (!seen) {
        failure = seen.error();
        break;
      }
      terminal.show(lines_of(*seen, screen_size()));
      if (turn == options.count ||
          terminal.wait(std::chrono::seconds{options.interval}) == Terminal::Event::end) {
        break;
      }
    }
  }
  return failure.empty() ? EXIT_SUCCESS : failed(failure);
}

int watch(const WatchOptions& options) {
  auto gateway = GatewayConnection::open(options.control.path());
  if (!gateway) return failed(gateway.error());
  const bool on_screen = !options.control.json && Terminal::is_there();
  return on_screen ? watch_on_screen(*gateway, options) : watch_as_text(*gateway, options);
}

}  // namespace

void add_watch_command(CLI::App& app, int& exit_status) {
  CLI::App* const command =
      app.add_subcommand("watch", "watch the running gateway and its sessions, live; q ends it");
  const auto options = std::make_shared<WatchOptions>();
  add_control_options(*command, options->control);
  add_filter_options(*command, options->filter);
  command->add_option("--interval", options->interval, "seconds from one look to the next")
      ->check(CLI::Range(1U, interval_max))
      ->capture_default_str();
  command->add_option("--count", options->count, "how many looks (default: no end)");
  command->callback([options, &exit_status] { exit_status = watch(*options); });
}

}  // namespace ftpalg::tools
