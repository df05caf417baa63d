// SPDX-License-Identifier: GPL-2.0-or-later
// ftpalg check: would `ftpalg run` work here?
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <nlohmann/json.hpp>

#include "conntrack/netlink/probe.h"
#include "rules/machine.h"
#include "rules/preflight.h"
#include "tools/commands.h"
#include "tools/failure.h"
#include "tools/gateway_options.h"
#include "tools/transfer_watch.h"

namespace ftpalg::tools {
namespace {

struct CheckOptions {
  GatewayOptions gateway;
  bool json = false;
};

rules::Trial trial_of(const Ability& ability) {
  if (ability) return std::nullopt;
  return ability.error();
}

rules::Trials trials_of(const KernelAbilities& abilities) {
  return {trial_of(abilities.nfqueue),          trial_of(abilities.connections),
          trial_of(abilities.ctnetlink),        trial_of(abilities.marks),
          trial_of(abilities.ipv4.carrier),     trial_of(abilities.ipv6.carrier),
          trial_of(abilities.ipv4.offsets),     trial_of(abilities.ipv6.offsets),
          trial_of(abilities.ipv4.expectation), trial_of(abilities.ipv6.expectation)};
}

std::string_view severity_name(rules::Severity severity) {
  switch (severity) {
    case rules::Severity::needed:
      return "needed";
    case rules::Severity::warning:
      return "warning";
    case rules::Severity::note:
      break;
  }
  return "note";
}

std::string_view label(const rules::Finding& finding) {
  if (finding.ok) return "ok";
  switch (finding.severity) {
    case rules::Severity::needed:
      return "FAIL";
    case rules::Severity::warning:
      return "warn";
    case rules::Severity::note:
      break;
  }
  return "note";
}

void print_lines(const std::vector<rules::Finding>& findings) {
  for (const rules::Finding& finding : findings) {
    fmt::print("{:<4} {}: {}", label(finding), finding.name, finding.detail);
    if (!finding.mend.empty()) fmt::print("; mend: {}", finding.mend);
    fmt::print("\n");
  }
}

void print_json(const std::vector<rules::Finding>& findings) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const rules::Finding& finding : findings) {
    list.push_back({{"name", finding.name},
                    {"ok", finding.ok},
                    {"severity", severity_name(finding.severity)},
                    {"detail", finding.detail},
                    {"mend", finding.mend}});
  }
  const nlohmann::ordered_json report{{"ok", rules::would_work(findings)},
                                      {"findings", std::move(list)}};
  fmt::print("{}\n", report.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
}

/// Whether what is to be logged of transfers can be known; nothing where none are logged.
std::optional<rules::Finding> finding_on_log(const TransferLogSettings& settings) {
  if (settings.place == TransferLogSettings::Place::off) return std::nullopt;
  const auto lack = TransferWatch::lack(settings);
  if (!lack) return rules::Finding{"transfer log", true, {}, "conntrack counts the bytes", {}};
  return rules::Finding{"transfer log", false, rules::Severity::warning, lack->what, lack->mend};
}

int check(const CheckOptions& options) {
  const auto config = options.gateway.config();
  if (!config) return failed(config.error());
  const rules::Ruleset& ruleset = config->ruleset;
  rules::Machine machine = rules::look_at_this_machine(ruleset, options.gateway.rules_format());
  machine.trials = probe_kernel(ruleset.carrier).map(trials_of);

  auto findings = rules::preflight(ruleset, machine);
  if (const auto finding = finding_on_log(config->transfers)) findings.push_back(*finding);
  options.json ? print_json(findings) : print_lines(findings);
  return rules::would_work(findings) ? EXIT_SUCCESS : EXIT_FAILURE;
}

}  // namespace

void add_check_command(CLI::App& app, int& exit_status) {
  CLI::App* const command =
      app.add_subcommand("check", "say whether the gateway would work here, and what to do if not");
  const auto options = std::make_shared<CheckOptions>();
  add_gateway_options(*command, options->gateway);
  command->add_flag("--json", options->json, "print one JSON object");
  command->callback([options, &exit_status] { exit_status = check(*options); });
}

}  // namespace ftpalg::tools
