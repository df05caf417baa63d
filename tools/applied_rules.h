// SPDX-License-Identifier: GPL-2.0-or-later
// The firewall rules of one run of the gateway: put in place, and taken out again at its end.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <tl/expected.hpp>

#include "rules/application.h"

namespace ftpalg::tools {

class AppliedRules {
 public:
  static tl::expected<std::unique_ptr<AppliedRules>, std::string> apply(
      const rules::Ruleset& ruleset, std::optional<rules::Format> format);
  AppliedRules(const AppliedRules&) = delete;
  AppliedRules& operator=(const AppliedRules&) = delete;
  ~AppliedRules();

  /// Puts others in their place. With an error those that are there stay.
  tl::expected<void, std::string> replace(const rules::Ruleset& ruleset);

 private:
  explicit AppliedRules(rules::Format format) : format_(format) {}
  rules::Format format_;
};

}  // namespace ftpalg::tools
