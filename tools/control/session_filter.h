// SPDX-License-Identifier: GPL-2.0-or-later
// Which sessions a person wants to see.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <tl/expected.hpp>

#include "conntrack/master.h"
#include "conntrack/network.h"

namespace ftpalg::tools {

struct SessionFilter {
  std::optional<Network> address;  ///< of either end, inside or outside
  std::optional<std::string> user;

  /// {"address": "10.0.0.0/8", "user": "anna"}, either or none; or what is wrong with it.
  static tl::expected<SessionFilter, std::string> parse(const nlohmann::json& filter);

  bool admits(const Master& master, const std::optional<std::string>& its_user) const;
};

}  // namespace ftpalg::tools
