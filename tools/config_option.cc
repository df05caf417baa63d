// SPDX-License-Identifier: GPL-2.0-or-later
#include "tools/config_option.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "tools/config_file.h"

namespace ftpalg::tools {

void add_config_option(CLI::App& app, std::string& path) {
  app.add_option(
      "--config", path,
      fmt::format("configuration file, over which options go (default: {}, if it exists)",
                  default_config_file));
}

}  // namespace ftpalg::tools
