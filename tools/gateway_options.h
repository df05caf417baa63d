// SPDX-License-Identifier: GPL-2.0-or-later
// The options that run, rules and check share: the configuration file, and what goes over it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <tl/expected.hpp>
#include <vector>

#include "rules/application.h"
#include "tools/config_file.h"

namespace CLI {
class App;
}

namespace ftpalg::tools {

struct GatewayOptions {
  std::string config_file;  ///< empty: as read_config() takes it

  // In the place of what the file says, where they are given.

  std::vector<std::uint16_t> control_ports;
  std::optional<std::uint16_t> queue;
  std::optional<std::uint16_t> queues;
  std::optional<std::string> carrier;
  std::optional<std::uint32_t> done_mark;
  std::vector<std::string> external_addresses;  ///< INSIDE=OUTSIDE each
  std::optional<std::string> public_ports;      ///< FIRST-LAST
  std::optional<std::string> socket;            ///< empty: none

  std::string format;  ///< empty: the one that fits this machine

  /// The file with the options over it, or what is wrong with them.
  tl::expected<Config, ConfigErrors> config() const;
  /// The same, of a file that was read already and says `file_text`.
  tl::expected<Config, ConfigErrors> config_of(std::string_view file_text) const;
  std::optional<rules::Format> rules_format() const { return rules::format_named(format); }
};

/// Registers --config, --port, --queue, --queues, --carrier, --done-mark, --external-address and
/// --format on `app`, to be stored in `options`.
void add_gateway_options(CLI::App& app, GatewayOptions& options);

}  // namespace ftpalg::tools
