// SPDX-License-Identifier: GPL-2.0-or-later
// The option that names the configuration file, for each subcommand that reads one.
#pragma once

#include <string>

namespace CLI {
class App;
}

namespace ftpalg::tools {

/// Registers --config on `app`, to be stored in `path`, for read_config().
void add_config_option(CLI::App& app, std::string& path);

}  // namespace ftpalg::tools
