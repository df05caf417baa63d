// SPDX-License-Identifier: GPL-2.0-or-later
// The firewall rules of one run of the gateway: put in place at its start, replaced when the
// configuration changes, and taken out at its end. Tells the log what a person should know of them.
#pragma once

#include <optional>
#include <string>
#include <tl/expected.hpp>

#include "rules/application.h"

namespace ftpalg::tools {

class AppliedRules {
 public:
  static tl::expected<AppliedRules, std::string> apply(const rules::Ruleset& ruleset,
                                                       std::optional<rules::Format> format);

  /// Those that another gateway has put in place, and hands over.
  static AppliedRules adopt(rules::Format format) { return AppliedRules(format); }

  /// Puts others in their place. With an error those that are there stay.
  tl::expected<void, std::string> replace(const rules::Ruleset& ruleset) const;

  tl::expected<void, std::string> remove() const;

  rules::Format format() const { return format_; }

 private:
  explicit AppliedRules(rules::Format format) : format_(format) {}
  rules::Format format_;
};

}  // namespace ftpalg::tools
