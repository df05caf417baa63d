// SPDX-License-Identifier: GPL-2.0-or-later
// ftpalg events: follows what the running gateway decides, as it happens.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "tools/commands.h"
#include "tools/control/gateway_connection.h"
#include "tools/control_options.h"
#include "tools/failure.h"
#include "tools/status.h"
#include "tools/status_text.h"

namespace ftpalg::tools {
namespace {

struct EventsOptions {
  ControlOptions control;
  FilterOptions filter;
};

std::string line_of_event(const nlohmann::ordered_json& line, bool json) {
  if (json) return line.dump();
  if (const auto event = line.find("event"); event != line.end()) {
    return event_text(*event, unix_now());
  }
  if (const auto left_out = line.find("left_out"); left_out != line.end()) {
    return fmt::format("({} events are left out)", left_out->dump());
  }
  return {};
}

int follow(const EventsOptions& options) {
  auto gateway = GatewayConnection::open(options.control.path());
  if (!gateway) return failed(gateway.error());
  if (auto sent = gateway->send({{"ask", "events"}, {"filter", options.filter.filter()}}); !sent) {
    return failed(sent.error());
  }
  for (;;) {
    const auto line = gateway->receive();
    if (!line) return failed(line.error());
    const std::string text = line_of_event(*line, options.control.json);
    if (text.empty()) continue;
    // At once: what reads it may be another program.
    std::puts(text.c_str());
    std::fflush(stdout);
  }
}

}  // namespace

void add_events_command(CLI::App& app, int& exit_status) {
  CLI::App* const command = app.add_subcommand(
      "events", "follow what the running gateway decides, until it is interrupted");
  const auto options = std::make_shared<EventsOptions>();
  add_control_options(*command, options->control);
  add_filter_options(*command, options->filter);
  command->callback([options, &exit_status] { exit_status = follow(*options); });
}

}  // namespace ftpalg::tools
