// SPDX-License-Identifier: GPL-2.0-or-later
#include "tools/running_config.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <utility>

#include "rules/inspection.h"
#include "rules/machine.h"
#include "tools/reload.h"

namespace ftpalg::tools {

std::optional<std::string> obstacle(const Config& config) {
  constexpr std::string_view liberal = "net.netfilter.nf_conntrack_tcp_be_liberal";
  if (config.ruleset.queue_acknowledgements && rules::read_sysctl(liberal).value_or(1) == 0) {
    return fmt::format(
        "{0} is 0, and conntrack would take control connections with an external address for "
        "broken; set it: sysctl -w {0}=1",
        liberal);
  }
  return std::nullopt;
}

void tell_warnings(const Policy& policy) {
  for (const std::string& warning : warnings(policy)) spdlog::warn("{}", warning);
}

RunningConfig::RunningConfig(GatewayOptions options, Config config, AtEnd at_end)
    : options_(std::move(options)), config_(std::move(config)), at_end_(at_end) {}

tl::expected<void, std::string> RunningConfig::apply_rules() {
  const auto applied = AppliedRules::apply(config_.ruleset, options_.rules_format());
  if (!applied) return tl::unexpected(applied.error());
  applied_rules_ = *applied;
  return {};
}

RulesReport RunningConfig::look_at_rules() {
  if (!std::exchange(has_looked_, true)) {
    // What has just been applied is as it must be, and the service may make no namespace.
    expected_table_ =
        applied_rules_ ? rules::present_table() : rules::expected_table(config_.ruleset);
  }
  const auto format = applied_rules_ ? applied_rules_->format() : options_.rules_format();
  RulesReport report{format, rules::verify(config_.ruleset, format, expected_table_)};
  if (applied_rules_) return report;
  for (const auto& [what, mend] : report.lacks) spdlog::warn("{}; mend: {}", what, mend);
  return report;
}

tl::expected<std::string, ConfigErrors> RunningConfig::read_anew() {
  auto text = config_text(options_.config_file);
  const ConfigErrors errors = text ? take(*text) : text.error();
  if (!errors.empty()) return tl::unexpected(errors);
  tell_warnings(config_.policy);
  return std::move(*text);
}

std::optional<rules::Format> RunningConfig::format_of_own_rules() const {
  if (!applied_rules_) return std::nullopt;
  return applied_rules_->format();
}

tl::expected<void, std::string> RunningConfig::remove_rules() {
  if (!applied_rules_ || at_end_ == AtEnd::keep_rules) return {};
  return std::exchange(applied_rules_, std::nullopt)->remove();
}

ConfigErrors RunningConfig::take(std::string_view text) {
  const auto read = options_.config_of(text);
  if (!read) return read.error();
  auto [next, notes] = reload(config_, *read);
  if (const auto reason = obstacle(next)) return {*reason};
  if (next.ruleset != config_.ruleset) {
    if (!applied_rules_) {
      notes.emplace_back(
          "the rules of the firewall have to change too, which this run has not put in place; "
          "mend: ftpalg rules apply, with the options of this run");
      expected_table_.reset();
    } else if (const auto replaced = applied_rules_->replace(next.ruleset); !replaced) {
      return {replaced.error()};
    } else {
      expected_table_ = rules::present_table();
    }
  }
  for (const std::string& note : notes) spdlog::warn("{}", note);
  config_ = std::move(next);
  return {};
}

}  // namespace ftpalg::tools
