// SPDX-License-Identifier: GPL-2.0-or-later
// The options of the commands that ask a running gateway.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

namespace CLI {
class App;
}

namespace ftpalg::tools {

struct ControlOptions {
  std::string socket;  ///< empty: the default, or what the configuration file names
  bool json = false;

  /// Where the gateway is to be reached.
  std::string path() const;
};

struct FilterOptions {
  std::optional<std::string> address;
  std::optional<std::string> user;

  /// The filter of a request (PROTOCOL.md).
  nlohmann::ordered_json filter() const;
};

/// Registers --socket, and --json.
void add_control_options(CLI::App& app, ControlOptions& options);
/// Registers --address and --user.
void add_filter_options(CLI::App& app, FilterOptions& options);

}  // namespace ftpalg::tools
