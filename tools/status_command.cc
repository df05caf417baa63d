// SPDX-License-Identifier: GPL-2.0-or-later
// ftpalg status: one screen that tells how the running gateway does.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <nlohmann/json.hpp>

#include "tools/commands.h"
#include "tools/control/gateway_connection.h"
#include "tools/control_options.h"
#include "tools/failure.h"
#include "tools/screen_text.h"
#include "tools/status.h"
#include "tools/status_text.h"

namespace ftpalg::tools {
namespace {

int show_status(const ControlOptions& options) {
  auto gateway = GatewayConnection::open(options.path());
  if (!gateway) return failed(gateway.error());
  const auto answer = gateway->ask({{"ask", "status"}});
  if (!answer) return failed(answer.error());
  const auto& status = answer->at("status");
  const std::string text =
      options.json ? status.dump(2) + "\n" : status_text(status, unix_now(), screen_size().columns);
  std::fputs(text.c_str(), stdout);
  return EXIT_SUCCESS;
}

}  // namespace

void add_status_command(CLI::App& app, int& exit_status) {
  CLI::App* const command =
      app.add_subcommand("status", "tell on one screen how the running gateway does");
  const auto options = std::make_shared<ControlOptions>();
  add_control_options(*command, *options);
  command->callback([options, &exit_status] { exit_status = show_status(*options); });
}

}  // namespace ftpalg::tools
