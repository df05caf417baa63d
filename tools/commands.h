// SPDX-License-Identifier: GPL-2.0-or-later
// The subcommands of ftpalg. Each add_* function registers one subcommand with its options on
// `app`; when that subcommand is chosen on the command line it runs from CLI11's callback and
// stores the program's exit status.
#pragma once

namespace CLI {
class App;
}

namespace ftpalg::tools {

void add_run_command(CLI::App& app, int& exit_status);
void add_rules_command(CLI::App& app, int& exit_status);
void add_check_command(CLI::App& app, int& exit_status);
void add_status_command(CLI::App& app, int& exit_status);
void add_sessions_command(CLI::App& app, int& exit_status);
void add_watch_command(CLI::App& app, int& exit_status);
void add_events_command(CLI::App& app, int& exit_status);
void add_reload_command(CLI::App& app, int& exit_status);
void add_replay_command(CLI::App& app, int& exit_status);
void add_explain_command(CLI::App& app, int& exit_status);
void add_demo_command(CLI::App& app, int& exit_status);

}  // namespace ftpalg::tools
