// SPDX-License-Identifier: GPL-2.0-or-later
// The options that run, rules and check share: which connections are control connections, and where
// they go.
#pragma once

#include <cstdint>
#include <string>
#include <tl/expected.hpp>
#include <vector>

#include "alg/policy.h"
#include "rules/application.h"
#include "rules/ruleset.h"

namespace CLI {
class App;
}

namespace ftpalg::tools {

struct GatewayOptions {
  std::vector<std::uint16_t> control_ports{21};
  std::uint16_t queue = 21;
  std::string carrier = "sane";
  std::uint32_t done_mark = rules::Ruleset{}.done_mark;
  std::vector<std::string> external_addresses;  ///< INSIDE=OUTSIDE each
  std::string format;                           ///< empty: the one that fits this machine

  /// The external addresses, or which of them is none.
  tl::expected<std::vector<ExternalAddress>, std::string> external() const;
  /// What the firewall has to do for these options, or what is wrong with them.
  tl::expected<rules::Ruleset, std::string> ruleset() const;
  std::optional<rules::Format> rules_format() const { return rules::format_named(format); }
};

/// Registers --port, --queue, --carrier, --done-mark, --external-address and --format on `app`, to
/// be stored in `options`.
void add_gateway_options(CLI::App& app, GatewayOptions& options);

}  // namespace ftpalg::tools
