// SPDX-License-Identifier: GPL-2.0-or-later
#include "rules/iptables_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>

#include "rules/payload_filter.h"

namespace ftpalg::rules {
namespace {

constexpr std::array own_tables{std::string_view{"raw"}, std::string_view{"mangle"}};

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

std::string queue_target(std::uint16_t queue) {
  return fmt::format("-j NFQUEUE --queue-num {} --queue-bypass", queue);
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
  const std::string target =
      ruleset.queues == 1 ? queue_target(ruleset.queue) : fmt::format("-j {}", spread_chain);
  // One rule a port: --ctorigdstport takes one port or a range. The test that most packets fail
  // stands first, so that the others run for control connections alone.
  for (const auto port : ruleset.control_ports) {
    rules.push_back(fmt::format("-p tcp -m conntrack --ctorigdstport {} {}{}{}", port,
                                not_done(ruleset.done_mark), filter, target));
  }
  return rules;
}

// The match draws by the source address of the original tuple, in IPv6 by its first 32 bits
// (xt_cluster_hash_ipv6 counts words as bytes), and leaves the packet's mark, which others route
// by, alone.
std::vector<std::string> spread_rules(const Ruleset& ruleset) {
  constexpr std::uint32_t seed = 0x66747000;
  std::vector<std::string> rules;
  for (std::uint16_t number = 0; number < ruleset.queues; ++number) {
    rules.push_back(
        fmt::format("-m cluster --cluster-local-nodemask 0x{:08x} --cluster-total-nodes {} "
                    "--cluster-hash-seed 0x{:08x} {}",
                    std::uint32_t{1} << number, ruleset.queues, seed,
                    queue_target(static_cast<std::uint16_t>(ruleset.queue + number))));
  }
  return rules;
}

std::vector<std::string> own_rules(const OwnChain& own, const Ruleset& ruleset, Family family) {
  if (own.name == carrier_chain) return carrier_rules(ruleset);
  if (own.name == queue_chain) return queue_rules(ruleset, family);
  return spread_rules(ruleset);
}

bool is_own(std::string_view chain) {
  return std::ranges::find(own_chains, chain, &OwnChain::name) != own_chains.end();
}

bool is_jump_to_own(const IptablesRule& rule) {
  return is_own(rule.target()) && !is_own(rule.chain);
}

// One table of iptables_replace_text(), without its frame.
std::string replace_text(const IptablesTable& before, const IptablesTable& after,
                         std::span<const OwnChain> chains) {
  std::string text;
  // To declare a chain makes it, or empties it.
  for (const OwnChain& own : chains) text += fmt::format(":{} - [0:0]\n", own.name);
  for (const IptablesRule& rule : before.rules) {
    if (is_jump_to_own(rule)) text += fmt::format("-D {} {}\n", rule.chain, rule.specification);
  }
  for (const IptablesRule& rule : after.rules) {
    if (is_own(rule.chain)) text += fmt::format("-A {} {}\n", rule.chain, rule.specification);
  }
  for (const IptablesRule& rule : after.rules) {
    if (is_jump_to_own(rule)) text += fmt::format("-I {} 1 {}\n", rule.chain, rule.specification);
  }
  for (const OwnChain& own : chains) {
    if (!after.has_chain(own.name)) text += fmt::format("-X {}\n", own.name);
  }
  return text;
}

}  // namespace

IptablesListing own_listing(const Ruleset& ruleset, Family family) {
  std::string text;
  for (const std::string_view table : own_tables) {
    text += fmt::format("*{}\n", table);
    for (const OwnChain& own : own_chains) {
      const bool is_needed = own.name != spread_chain || ruleset.queues > 1;
      if (own.table != table || !is_needed) continue;
      text += fmt::format(":{} - [0:0]\n", own.name);
      for (const std::string_view hooked : hooked_chains) {
        if (own.is_hooked) text += fmt::format("-A {} {}\n", hooked, jump_specification(own.name));
      }
      for (const std::string& rule : own_rules(own, ruleset, family)) {
        text += fmt::format("-A {} {}\n", own.name, rule);
      }
    }
  }
  return parse_iptables_listing(text);
}

std::string iptables_replace_text(const IptablesListing& existing, const IptablesListing& desired) {
  std::string text;
  for (const std::string_view name : own_tables) {
    const IptablesTable& before = existing.table(name);
    const IptablesTable& after = desired.table(name);
    std::vector<OwnChain> chains;
    for (const OwnChain& own : own_chains) {
      const bool is_there = before.has_chain(own.name) || after.has_chain(own.name);
      if (own.table == name && is_there) chains.push_back(own);
    }
    if (chains.empty()) continue;
    text += fmt::format("*{}\n{}COMMIT\n", name, replace_text(before, after, chains));
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
