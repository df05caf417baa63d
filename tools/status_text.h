// SPDX-License-Identifier: GPL-2.0-or-later
// The status of a gateway, its sessions and its events as a person reads them: made of what the
// control protocol tells (tools/control/PROTOCOL.md), so that a field that is missing is left out.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace ftpalg::tools {

/// The screen of ftpalg status, with lines of `columns` at most.
std::string status_text(const nlohmann::ordered_json& status, double unix_now, std::size_t columns);

/// All about one session, in a few lines.
std::string session_text(const nlohmann::ordered_json& session, double unix_now,
                         std::size_t columns);

/// A screen of `rows` lines: how the gateway does, the sessions that are stuck and why, and the
/// others; `of` is how many of these there are.
std::vector<std::string> watch_lines(const nlohmann::ordered_json& status,
                                     const std::vector<nlohmann::ordered_json>& stuck,
                                     const std::vector<nlohmann::ordered_json>& sessions,
                                     std::size_t of, double unix_now, std::size_t columns,
                                     std::size_t rows);

/// A rung of a session's ladder, one line without its end.
std::string rung_text(const nlohmann::ordered_json& rung, double unix_now);

/// One line without its end.
std::string event_text(const nlohmann::ordered_json& event, double unix_now);

}  // namespace ftpalg::tools
