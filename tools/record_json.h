// SPDX-License-Identifier: GPL-2.0-or-later
// Records, ladders, events and totals for a machine: the objects of the control protocol
// (tools/control/PROTOCOL.md), which a replay writes too.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string_view>
#include <vector>

#include "tools/hint.h"
#include "tools/records.h"

namespace ftpalg::tools {

std::string_view name(SessionState state);
std::string_view name(Tls tls);
std::string_view name(DataConnection::Mode mode);
std::string_view name(DataConnection::State state);
/// As it stands in alg/reason.h: "foreign_address".
std::string_view name(Reason reason);

/// A session without its ladder.
nlohmann::ordered_json session_json(std::string_view id, const Record::Shown& session,
                                    const Viewpoint& view);
nlohmann::ordered_json ladder_json(const std::vector<Rung>& ladder, const Viewpoint& view);
nlohmann::ordered_json event_json(const Event& event, const Viewpoint& view);

/// One line of UTF-8 with its end, whatever bytes are in it.
std::string line_of(const nlohmann::ordered_json& json);

}  // namespace ftpalg::tools
