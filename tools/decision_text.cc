// SPDX-License-Identifier: GPL-2.0-or-later
#include "tools/decision_text.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "tools/redaction.h"

namespace ftpalg::tools {

std::string_view name(Action action) {
  switch (action) {
    case Action::forward:
      return "forward";
    case Action::rewrite:
      return "rewrite";
    case Action::refuse:
      return "refuse";
    case Action::wait:
      return "wait";
  }
  return "";
}

std::string_view sender(Direction direction) {
  return direction == Direction::original ? "client" : "server";
}

std::string escaped(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '\\') {
      result += "\\\\";
    } else if (byte >= 0x20 && byte < 0x7f) {
      result += c;
    } else {
      result += fmt::format("\\x{:02x}", byte);
    }
  }
  return result;
}

std::string expectation_text(const Expectation& expectation) {
  return fmt::format("{} -> {}, mapped to {}", expectation.source.text(),
                     expectation.destination.text(), expectation.inside.text());
}

nlohmann::ordered_json expectation_json(const Decision& decision) {
  if (!decision.expectation) return nullptr;
  return {{"source", decision.expectation->source.text()},
          {"destination", decision.expectation->destination.address.text()},
          {"port", decision.expectation->destination.port.number},
          {"maps_to", decision.expectation->inside.text()}};
}

std::string decision_text(const Decision& decision) {
  const auto shown = [&](std::string_view line) {
    return escaped(without_secret(decision.direction, line));
  };
  std::string result = fmt::format("{}: ", decision.control.text());
  if (decision.before.empty()) {
    result += text(decision.reason);
  } else if (decision.action == Action::rewrite || decision.action == Action::refuse) {
    result += fmt::format("{} line '{}' becomes '{}': {}", sender(decision.direction),
                          shown(decision.before), escaped(after_without_secret(decision)),
                          text(decision.reason));
  } else {
    result += fmt::format("{} line '{}': {}", sender(decision.direction), shown(decision.before),
                          text(decision.reason));
  }
  if (decision.expectation) result += fmt::format(" ({})", expectation_text(*decision.expectation));
  return result;
}

nlohmann::json decision_json(const Decision& decision) {
  const auto shown = [&](std::string_view line) {
    return escaped(without_secret(decision.direction, line));
  };
  return {{"control",
           {{"client", decision.control.source.text()},
            {"server", decision.control.destination.text()}}},
          {"from", sender(decision.direction)},
          {"action", name(decision.action)},
          {"reason", text(decision.reason)},
          {"before", shown(decision.before)},
          {"after", escaped(after_without_secret(decision))},
          {"expectation", expectation_json(decision)}};
}

}  // namespace ftpalg::tools
