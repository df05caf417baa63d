// SPDX-License-Identifier: GPL-2.0-or-later
#include "tools/rules_report.h"

#include <nlohmann/json.hpp>

namespace ftpalg::tools {

using nlohmann::ordered_json;

std::string RulesReport::text() const {
  return json_of(*this).dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

std::optional<RulesReport> RulesReport::from_text(std::string_view text) {
  const auto json = ordered_json::parse(text, nullptr, false);
  if (!json.is_object()) return std::nullopt;
  RulesReport report;
  if (const auto& format = json.at("format"); format.is_string()) {
    report.format = rules::format_named(format.get<std::string>());
  }
  for (const auto& each : json.at("lacks")) {
    report.lacks.push_back(
        {each.at("what").get<std::string>(), each.at("mend").get<std::string>()});
  }
  return report;
}

ordered_json json_of(const RulesReport& report) {
  ordered_json lacks = ordered_json::array();
  for (const auto& [what, mend] : report.lacks) lacks.push_back({{"what", what}, {"mend", mend}});
  return {{"format", report.format ? ordered_json(rules::name(*report.format)) : nullptr},
          {"state", report.lacks.empty() ? "in place" : "incomplete"},
          {"lacks", std::move(lacks)}};
}

}  // namespace ftpalg::tools
