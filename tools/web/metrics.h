// SPDX-License-Identifier: GPL-2.0-or-later
// What the gateway has counted, in the text format of Prometheus (version 0.0.4).
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace ftpalg::tools {

inline constexpr std::string_view metrics_type = "text/plain; version=0.0.4; charset=utf-8";

/// `status` as the control server answers it. What it does not know is left out, and not 0.
std::string metrics_text(const nlohmann::json& status);

}  // namespace ftpalg::tools
