// SPDX-License-Identifier: GPL-2.0-or-later
// The answer to "sessions" as a whole.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <tl/expected.hpp>
#include <vector>

#include "tools/control/gateway_connection.h"

namespace ftpalg::tools {

struct SessionList {
  std::vector<nlohmann::ordered_json> sessions;
  std::size_t of = 0;  ///< so many there are, of which these are shown
};

/// `request` as PROTOCOL.md has it.
tl::expected<SessionList, std::string> ask_for_sessions(GatewayConnection& gateway,
                                                        const nlohmann::ordered_json& request);

}  // namespace ftpalg::tools
