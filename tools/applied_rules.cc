// SPDX-License-Identifier: GPL-2.0-or-later
#include "tools/applied_rules.h"

#include <spdlog/spdlog.h>

namespace ftpalg::tools {
namespace {

tl::expected<rules::Format, std::string> put_in_place(const rules::Ruleset& ruleset,
                                                      std::optional<rules::Format> format) {
  const auto applied = rules::apply(ruleset, format);
  if (!applied) return tl::unexpected(applied.error());
  for (const std::string& note : applied->notes) spdlog::warn("{}", note);
  spdlog::info("rules are in place, format {}", rules::name(applied->format));
  return applied->format;
}

}  // namespace

tl::expected<AppliedRules, std::string> AppliedRules::apply(const rules::Ruleset& ruleset,
                                                            std::optional<rules::Format> format) {
  return put_in_place(ruleset, format).map([](rules::Format used) { return AppliedRules(used); });
}

tl::expected<void, std::string> AppliedRules::replace(const rules::Ruleset& ruleset) const {
  return put_in_place(ruleset, format_).map([](rules::Format) {});
}

tl::expected<void, std::string> AppliedRules::remove() const {
  return rules::remove(format_).map([](const rules::Removed&) {});
}

}  // namespace ftpalg::tools
