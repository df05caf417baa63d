// SPDX-License-Identifier: GPL-2.0-or-later
// A report of sessions as one HTML file, to be mailed to somebody: it loads nothing, and what the
// sessions' peers have said is data in it and nothing else.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace ftpalg::tools {

/// The file. `data` is what tools/web/page/report.js draws: {capture, packets, nat, version,
/// sessions: [a session of the control protocol with its ladder...]}.
std::string html_report(const nlohmann::ordered_json& data);

/// `json` as it can stand within <script>, whatever is in it.
std::string json_in_html(const nlohmann::ordered_json& json);

}  // namespace ftpalg::tools
