// SPDX-License-Identifier: GPL-2.0-or-later
// The ftpalg program: one subcommand a file.
#include <CLI/CLI.hpp>
#include <cstdlib>

#include "tools/commands.h"

int main(int argc, char** argv) {
  CLI::App app{"ftpalg: transparent FTP application-layer gateway for Linux routers"};
  app.name("ftpalg");
  app.set_version_flag("--version", FTPALG_VERSION);
  app.require_subcommand(1);

  int exit_status = EXIT_SUCCESS;
  ftpalg::tools::add_run_command(app, exit_status);
  ftpalg::tools::add_rules_command(app, exit_status);
  ftpalg::tools::add_check_command(app, exit_status);
  ftpalg::tools::add_status_command(app, exit_status);
  ftpalg::tools::add_sessions_command(app, exit_status);
  ftpalg::tools::add_watch_command(app, exit_status);
  ftpalg::tools::add_events_command(app, exit_status);
  ftpalg::tools::add_reload_command(app, exit_status);
  ftpalg::tools::add_replay_command(app, exit_status);
  ftpalg::tools::add_explain_command(app, exit_status);
  ftpalg::tools::add_demo_command(app, exit_status);

  CLI11_PARSE(app, argc, argv);
  return exit_status;
}
