// SPDX-License-Identifier: GPL-2.0-or-later
// ftpalg sessions: the control sessions of the running gateway.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <nlohmann/json.hpp>

#include "tools/commands.h"
#include "tools/control/gateway_connection.h"
#include "tools/control/session_list.h"
#include "tools/control_options.h"
#include "tools/failure.h"
#include "tools/screen_text.h"
#include "tools/status.h"
#include "tools/status_text.h"

namespace ftpalg::tools {
namespace {

struct SessionsOptions {
  ControlOptions control;
  FilterOptions filter;
  bool with_ended = false;
  bool only_stuck = false;
  std::string id;
};

std::string ladder_text(const nlohmann::ordered_json& session, double now) {
  const auto ladder = session.find("ladder");
  if (ladder == session.end()) return {};
  std::string result;
  for (const auto& rung : *ladder) result += "  " + rung_text(rung, now) + "\n";
  return result;
}

void print(const std::string& text) {
  std::fputs(text.c_str(), stdout);
}

/// One session, with its ladder.
int show_session(GatewayConnection& gateway, const SessionsOptions& options) {
  const auto answer = gateway.ask({{"ask", "session"}, {"id", options.id}});
  if (!answer) return failed(answer.error());
  const auto& session = answer->at("session");
  if (options.control.json) {
    print(session.dump(2) + "\n");
  } else {
    const double now = unix_now();
    print(session_text(session, now, screen_size().columns) + "\n" + ladder_text(session, now));
  }
  return EXIT_SUCCESS;
}

int show_sessions(const SessionsOptions& options) {
  auto gateway = GatewayConnection::open(options.control.path());
  if (!gateway) return failed(gateway.error());
  if (!options.id.empty()) return show_session(*gateway, options);
  const auto list = ask_for_sessions(*gateway, {{"ask", "sessions"},
                                                {"filter", options.filter.filter()},
                                                {"ended", options.with_ended},
                                                {"stuck", options.only_stuck}});
  if (!list) return failed(list.error());
  if (options.control.json) {
    print(nlohmann::ordered_json(list->sessions).dump(2) + "\n");
    return EXIT_SUCCESS;
  }
  const double now = unix_now();
  for (const auto& session : list->sessions) {
    print(session_text(session, now, screen_size().columns) + "\n");
  }
  const std::size_t count = list->sessions.size();
  print(count == 0 ? "no session\n" : fmt::format("{} session{}\n", count, count == 1 ? "" : "s"));
  return EXIT_SUCCESS;
}

}  // namespace

void add_sessions_command(CLI::App& app, int& exit_status) {
  CLI::App* const command = app.add_subcommand(
      "sessions", "list the running gateway's sessions, and why a transfer is stuck");
  const auto options = std::make_shared<SessionsOptions>();
  add_control_options(*command, options->control);
  add_filter_options(*command, options->filter);
  command->add_option("session", options->id,
                      "show this one, as it is named in the list, with the lines that passed last");
  command->add_flag("--stuck", options->only_stuck,
                    "list only those that something seems wrong with");
  command->add_flag("--ended", options->with_ended, "list the last ones that have ended, too");
  command->callback([options, &exit_status] { exit_status = show_sessions(*options); });
}

}  // namespace ftpalg::tools
