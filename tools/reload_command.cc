// SPDX-License-Identifier: GPL-2.0-or-later
// ftpalg reload: has the running gateway read its configuration anew.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <memory>
#include <nlohmann/json.hpp>

#include "tools/commands.h"
#include "tools/control/gateway_connection.h"
#include "tools/control_options.h"
#include "tools/failure.h"

namespace ftpalg::tools {
namespace {

int reload(const ControlOptions& options) {
  auto gateway = GatewayConnection::open(options.path());
  if (!gateway) return failed(gateway.error());
  const auto answer = gateway->ask({{"ask", "reload"}});
  if (!answer) {
    failed(answer.error());
    return failed("the configuration that was running stays");
  }
  if (options.json) {
    fmt::print("{}\n", answer->dump());
  } else if ((*answer)["reload"]["changed"] == true) {
    fmt::print("the configuration is read anew\n");
  } else {
    fmt::print("the configuration is read anew; it says what it said before\n");
  }
  return EXIT_SUCCESS;
}

}  // namespace

void add_reload_command(CLI::App& app, int& exit_status) {
  CLI::App* const command = app.add_subcommand(
      "reload", "have the running gateway read its configuration anew; no session is lost");
  const auto options = std::make_shared<ControlOptions>();
  add_control_options(*command, *options);
  command->callback([options, &exit_status] { exit_status = reload(*options); });
}

}  // namespace ftpalg::tools
