// SPDX-License-Identifier: GPL-2.0-or-later
#include "rules/iptables_text.h"

#include <fmt/format.h>

#include <array>

#include "rules/payload_filter.h"

namespace ftpalg::rules {
namespace {

struct OwnChain {
  std::string_view table;
  std::string_view name;
};

constexpr std::array own_chains{OwnChain{"raw", carrier_chain}, OwnChain{"mangle", queue_chain}};
constexpr std::array hooked_chains{std::string_view{"PREROUTING"}, std::string_view{"OUTPUT"}};

std::vector<std::string> carrier_rules(const Ruleset& ruleset) {
  std::vector<std::string> rules{
      fmt::format("-m mark --mark 0x{:x} -j CT --notrack", ruleset.untracked_mark),
      "-i lo -j RETURN",
      "-o lo -j RETURN",
  };
  for (const auto port : ruleset.control_ports) {
    rules.push_back(
        fmt::format("-p tcp -m tcp --dport {} -j CT --helper {}", port, ruleset.carrier));
  }
  return rules;
}

// As iptables-save prints it: a mask of all bits is left out.
std::string not_done(std::uint32_t done_mark) {
  if (done_mark == 0) return {};
  if (done_mark == ~0U) return "-m connmark ! --mark 0xffffffff ";
  return fmt::format("-m connmark ! --mark 0x{0:x}/0x{0:x} ", done_mark);
}

std::vector<std::string> queue_rules(const Ruleset& ruleset, Family family) {
  std::vector<std::string> rules{
      fmt::format("-m mark --mark 0x{:x} -j RETURN", ruleset.unqueued_mark),
      "-i lo -j RETURN",
      "-o lo -j RETURN",
  };
  const std::string filter =
      ruleset.queue_acknowledgements
          ? std::string{}
          : fmt::format("-m bpf --bytecode \"{}\" ", bytecode(more_than_acknowledgement(family)));
  // One rule a port: --ctorigdstport takes one port or a range. The test that most packets fail
  // stands first, so that the others run for control connections alone.
  for (const auto port : ruleset.control_ports) {
    rules.push_back(
        fmt::format("-p tcp -m conntrack --ctorigdstport {} {}{}"
                    "-j NFQUEUE --queue-num {} --queue-bypass",
                    port, not_done(ruleset.done_mark), filter, ruleset.queue));
  }
  return rules;
}

bool is_jump_to(const IptablesRule& rule, std::string_view chain) {
  return rule.target() == chain && rule.chain != chain;
}

}  // namespace

IptablesListing own_listing(const Ruleset& ruleset, Family family) {
  std::string text;
  for (const OwnChain& own : own_chains) {
    text += fmt::format("*{}\n:{} - [0:0]\n", own.table, own.name);
    for (const std::string_view hooked : hooked_chains) {
      text += fmt::format("-A {} {}\n", hooked, jump_specification(own.name));
    }
    const auto rules =
        own.name == carrier_chain ? carrier_rules(ruleset) : queue_rules(ruleset, family);
    for (const std::string& rule : rules) text += fmt::format("-A {} {}\n", own.name, rule);
  }
  return parse_iptables_listing(text);
}

std::string iptables_replace_text(const IptablesListing& existing, const IptablesListing& desired) {
  std::string text;
  for (const OwnChain& own : own_chains) {
    const IptablesTable& before = existing.table(own.table);
    const IptablesTable& after = desired.table(own.table);
    if (!before.has_chain(own.name) && !after.has_chain(own.name)) continue;

    // To declare a chain makes it, or empties it.
    text += fmt::format("*{}\n:{} - [0:0]\n", own.table, own.name);
    for (const IptablesRule& rule : before.rules) {
      if (is_jump_to(rule, own.name)) {
        text += fmt::format("-D {} {}\n", rule.chain, rule.specification);
      }
    }
    for (const IptablesRule& rule : after.rules) {
      if (rule.chain == own.name) text += fmt::format("-A {} {}\n", own.name, rule.specification);
    }
    for (const IptablesRule& rule : after.rules) {
      if (is_jump_to(rule, own.name)) {
        text += fmt::format("-I {} 1 {}\n", rule.chain, rule.specification);
      }
    }
    if (!after.has_chain(own.name)) text += fmt::format("-X {}\n", own.name);
    text += "COMMIT\n";
  }
  return text;
}

std::string iptables_shell_text(const Ruleset& ruleset, Format format) {
  std::string text;
  for (const Family family : {Family::ipv4, Family::ipv6}) {
    text +=
        fmt::format("{} --noflush <<'EOF'\n{}EOF\n", iptables_program(format, family, "restore"),
                    iptables_replace_text({}, own_listing(ruleset, family)));
  }
  return text;
}

std::string jump_specification(std::string_view own_chain) {
  return fmt::format("-p tcp -m comment --comment {} -j {}", own_name, own_chain);
}

std::string iptables_program(Format format, Family family, std::string_view verb) {
  return fmt::format("{}-{}-{}", family == Family::ipv4 ? "iptables" : "ip6tables",
                     format == Format::iptables_legacy ? "legacy" : "nft", verb);
}

}  // namespace ftpalg::rules
