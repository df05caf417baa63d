// SPDX-License-Identifier: GPL-2.0-or-later
// A decision told to a person, and to a machine.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "alg/decision.h"

namespace ftpalg::tools {

/// `text` with everything but printable ASCII as C escapes, so that no byte of a peer's reaches a
/// terminal or a log raw.
std::string escaped(std::string_view text);

/// One line without its end: who, which line, what became of it, why.
std::string decision_text(const Decision& decision);

/// {control: {client, server}, from, action, reason, before, after, expectation}; `expectation` is
/// null or {source, destination, port, maps_to}.
nlohmann::json decision_json(const Decision& decision);

}  // namespace ftpalg::tools
