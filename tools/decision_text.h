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

/// "forward", "rewrite", "refuse" or "wait".
std::string_view name(Action action);

/// "client" or "server".
std::string_view sender(Direction direction);

/// "198.51.100.7 -> 203.0.113.1:50000, mapped to 10.0.0.2:50000".
std::string expectation_text(const Expectation& expectation);

/// {source, destination, port, maps_to}: who may connect to which address and port, and where that
/// ends up behind NAT, as "address:port"; or null.
nlohmann::ordered_json expectation_json(const Decision& decision);

/// One line without its end: who, which line, what became of it, why.
std::string decision_text(const Decision& decision);

/// {control: {client, server}, from, action, reason, before, after, expectation}.
nlohmann::json decision_json(const Decision& decision);

}  // namespace ftpalg::tools
