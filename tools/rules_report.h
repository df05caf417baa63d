// SPDX-License-Identifier: GPL-2.0-or-later
// What the firewall's rules were found to be, as the keeper tells the worker, which may not look.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "rules/ruleset.h"
#include "rules/verification.h"

namespace ftpalg::tools {

struct RulesReport {
  std::optional<rules::Format> format;
  std::vector<rules::Discrepancy> lacks;

  /// As text, for from_text().
  std::string text() const;
  static std::optional<RulesReport> from_text(std::string_view text);
};

/// {format, state, lacks}, as in the status.
nlohmann::ordered_json json_of(const RulesReport& report);

}  // namespace ftpalg::tools
