// SPDX-License-Identifier: GPL-2.0-or-later
// ftpalg rules show|apply|remove|verify
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>

#include "rules/application.h"
#include "rules/inspection.h"
#include "rules/iptables_text.h"
#include "rules/nft_text.h"
#include "tools/commands.h"
#include "tools/failure.h"
#include "tools/gateway_options.h"

namespace ftpalg::tools {
namespace {

int show(const rules::Ruleset& ruleset, std::optional<rules::Format> asked) {
  const rules::Format format = asked.value_or(rules::default_format());
  if (const auto reason = rules::obstacle(ruleset, format)) return failed(*reason);
  fmt::print("{}", format == rules::Format::nft ? rules::nft_shell_text(ruleset)
                                                : rules::iptables_shell_text(ruleset, format));
  return EXIT_SUCCESS;
}

int apply(const rules::Ruleset& ruleset, std::optional<rules::Format> format) {
  const auto applied = rules::apply(ruleset, format);
  if (!applied) return failed(applied.error());
  fmt::print("rules are in place, format {}\n", rules::name(applied->format));
  for (const std::string& note : applied->notes) fmt::print("note: {}\n", note);
  return EXIT_SUCCESS;
}

int verify(const rules::Ruleset& ruleset, std::optional<rules::Format> format) {
  const auto discrepancies = rules::verify(ruleset, format);
  for (const auto& [what, mend] : discrepancies) fmt::print("{}; mend: {}\n", what, mend);
  if (!discrepancies.empty()) return EXIT_FAILURE;
  fmt::print("rules are in place and nothing is in their way\n");
  return EXIT_SUCCESS;
}

template <auto action>
int with_ruleset(const GatewayOptions& options) {
  const auto config = options.config();
  return config ? action(config->ruleset, options.rules_format()) : failed(config.error());
}

/// Whatever the configuration says, and be it nonsense.
int remove(const GatewayOptions& options) {
  const auto removed = rules::remove(options.rules_format());
  if (!removed) return failed(removed.error());
  if (removed->formats.empty()) fmt::print("no rules of ftpalg were there\n");
  for (const rules::Format each : removed->formats) {
    fmt::print("rules are removed, format {}\n", rules::name(each));
  }
  return EXIT_SUCCESS;
}

}  // namespace

void add_rules_command(CLI::App& app, int& exit_status) {
  CLI::App* const command =
      app.add_subcommand("rules", "the firewall rules that the gateway needs");
  command->require_subcommand(1);
  const auto options = std::make_shared<GatewayOptions>();

  using Action = int (*)(const GatewayOptions&);
  const auto add = [&](const char* name, const char* description, Action action) {
    CLI::App* const subcommand = command->add_subcommand(name, description);
    add_gateway_options(*subcommand, *options);
    subcommand->callback([options, action, &exit_status] { exit_status = action(*options); });
  };
  add("show", "print the rules, to be pasted into a root shell", with_ruleset<show>);
  add("apply", "put the rules in place, all or none; to do it twice is to do it once",
      with_ruleset<apply>);
  add("remove", "remove the rules, of --format or of every format", remove);
  add("verify", "say what is missing, different or in the way; exit status 1 if anything is",
      with_ruleset<verify>);
}

}  // namespace ftpalg::tools
