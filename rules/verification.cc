// SPDX-License-Identifier: GPL-2.0-or-later
#include "rules/verification.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <utility>

#include "rules/iptables_text.h"
#include "rules/mark_use.h"
#include "rules/rule_reach.h"

namespace ftpalg::rules {
namespace {

// Priority of our nft chains and of iptables' mangle.
constexpr int queue_priority = -150;

constexpr std::array ending_targets{
    std::string_view{"ACCEPT"},  std::string_view{"DROP"},   std::string_view{"REJECT"},
    std::string_view{"RETURN"},  std::string_view{"QUEUE"},  std::string_view{"NFQUEUE"},
    std::string_view{"NOTRACK"}, std::string_view{"TPROXY"},
};

std::string_view ip_version(Family family) {
  return family == Family::ipv4 ? "IPv4" : "IPv6";
}

std::string iptables_command(Format format, Family family) {
  return fmt::format("{}{}", family == Family::ipv4 ? "iptables" : "ip6tables",
                     format == Format::iptables_legacy ? "-legacy" : "");
}

// A rule for a person to read: the filter's bytecode says nothing to anybody.
std::string readable(const std::string& rule) {
  constexpr std::string_view option = "--bytecode \"";
  const std::size_t begin = rule.find(option);
  if (begin == rule.npos) return rule;
  const std::size_t end = std::min(rule.find('"', begin + option.size()), rule.size());
  return rule.substr(0, begin + option.size()) + "..." + rule.substr(end);
}

// The rules that `more` has and `fewer` has not, quoted, or nothing.
std::string only_in(const std::vector<std::string>& more, const std::vector<std::string>& fewer) {
  std::string list;
  for (const std::string& rule : more) {
    if (std::ranges::count(fewer, rule) >= std::ranges::count(more, rule)) continue;
    list += fmt::format("{}'{}'", list.empty() ? "" : ", ", readable(rule));
  }
  return list;
}

void compare_rules(std::string_view place, const std::vector<std::string>& expected,
                   const std::vector<std::string>& actual, std::string_view mend,
                   std::vector<Discrepancy>& found) {
  if (expected == actual) return;
  const std::string lacking = only_in(expected, actual);
  const std::string surplus = only_in(actual, expected);
  std::string what{place};
  if (!lacking.empty()) what += fmt::format(" lacks {}", lacking);
  if (!surplus.empty()) {
    what += fmt::format("{} has {} instead or beside", lacking.empty() ? "" : " and", surplus);
  }
  if (lacking.empty() && surplus.empty()) what += " has its rules out of order";
  found.push_back({what, std::string{mend}});
}

std::vector<std::string> specifications(const std::vector<IptablesRule>& rules) {
  std::vector<std::string> texts;
  for (const IptablesRule& rule : rules) texts.push_back(rule.specification);
  return texts;
}

bool changes_tracking(const IptablesRule& rule) {
  if (rule.target() == "NOTRACK") return true;
  return rule.target() == "CT" && (std::ranges::find(rule.words, "--notrack") != rule.words.end() ||
                                   std::ranges::find(rule.words, "--helper") != rule.words.end());
}

bool ends_the_chain(const IptablesRule& rule) {
  return std::ranges::find(ending_targets, rule.target()) != ending_targets.end() ||
         changes_tracking(rule);
}

// The first rule in `rules`, or in a chain of the table they lead to, that can match control
// connections and satisfies `takes_away`. Nothing is looked for behind a jump of ours.
template <typename Predicate>
const IptablesRule* first_taker(const IptablesTable& table, std::string_view chain,
                                const Ruleset& ruleset, Predicate takes_away, int depth = 0) {
  constexpr int jump_depth_max = 16;  // the kernel refuses loops; a forged listing may hold one
  if (depth > jump_depth_max) return nullptr;
  for (const IptablesRule& rule : table.rules) {
    if (rule.chain != chain || !may_reach(rule, ruleset.control_ports)) continue;
    if (rule.target() == carrier_chain || rule.target() == queue_chain) return nullptr;
    if (table.has_chain(rule.target())) {
      if (const auto* taker = first_taker(table, rule.target(), ruleset, takes_away, depth + 1)) {
        return taker;
      }
      continue;
    }
    // RETURN from a chain that was jumped to leads back; only in a hooked chain does it end it.
    if (rule.target() == "RETURN" && depth > 0) continue;
    if (takes_away(rule)) return &rule;
  }
  return nullptr;
}

bool is_word_of(std::string_view word, std::string_view text) {
  const std::string padded = fmt::format(" {} ", text);
  return padded.find(fmt::format(" {} ", word)) != padded.npos;
}

std::string_view chain_called_by(std::string_view rule) {
  for (const std::string_view verb : {" jump ", " goto "}) {
    if (const std::size_t at = rule.rfind(verb); at != rule.npos) {
      return rule.substr(at + verb.size());
    }
  }
  return {};
}

std::string nft_delete_command(const NftTable& table, const NftChain& chain, const NftRule& rule) {
  return fmt::format("nft delete rule {} {} handle {}", table.title(), chain.name, rule.handle);
}

void find_nft_shadows(const NftTable& table, const NftChain& chain, const Ruleset& ruleset,
                      std::vector<Discrepancy>& found, int depth = 0) {
  constexpr int jump_depth_max = 16;
  if (depth > jump_depth_max) return;
  for (const NftRule& rule : chain.rules) {
    if (!may_reach(rule.text, ruleset.control_ports)) continue;
    if (const NftChain* called = table.chain(chain_called_by(fmt::format(" {}", rule.text)))) {
      find_nft_shadows(table, *called, ruleset, found, depth + 1);
    }
    std::string_view does;
    if (is_word_of("notrack", rule.text)) does = "can leave control connections untracked";
    if (is_word_of("queue", rule.text)) does = "can queue control connections to another program";
    if (rule.text.find("ct helper set") != rule.text.npos) {
      does = "can give control connections another helper";
    }
    if (does.empty()) continue;
    found.push_back({fmt::format("nft rule '{}' in table {}, chain {}, {} before ftpalg sees them",
                                 rule.text, table.title(), chain.name, does),
                     nft_delete_command(table, chain, rule)});
  }
}

Discrepancy zone_conflict(const std::string& rule, std::string_view effect,
                          const Ruleset& ruleset) {
  return {
      fmt::format("{} puts control connections into a conntrack zone, {}", rule, effect),
      fmt::format("{}, on a kernel that has 'queue' for nft; or leave control connections out of "
                  "that rule",
                  apply_command(ruleset, Format::nft))};
}

std::vector<std::string> texts(const std::vector<NftRule>& rules) {
  std::vector<std::string> result;
  for (const NftRule& rule : rules) result.push_back(rule.text);
  return result;
}

}  // namespace

std::vector<Discrepancy> verify_iptables(const IptablesListing& listing, const Ruleset& ruleset,
                                         Format format, Family family) {
  std::vector<Discrepancy> found;
  const std::string mend = apply_command(ruleset, format);
  const IptablesListing expected = own_listing(ruleset, family);
  if (iptables_replace_text(listing, {}).empty()) {
    return {{fmt::format("the rules for {} are missing", ip_version(family)), mend}};
  }

  for (const OwnChain& own : own_chains) {
    const IptablesTable& table = listing.table(own.table);
    const std::string place =
        fmt::format("{} chain {} of table {}", ip_version(family), own.name, own.table);
    if (!expected.table(own.table).has_chain(own.name)) {
      if (table.has_chain(own.name)) {
        found.push_back({fmt::format("{} is not part of the rules", place), mend});
      }
      continue;
    }
    if (!table.has_chain(own.name)) {
      found.push_back({fmt::format("{} is missing", place), mend});
      continue;
    }
    compare_rules(place, specifications(expected.table(own.table).rules_of(own.name)),
                  specifications(table.rules_of(own.name)), mend, found);

    if (!own.is_hooked) continue;
    for (const std::string_view hooked : hooked_chains) {
      std::vector<std::string> jumps;
      for (const IptablesRule& rule : table.rules_of(hooked)) {
        if (rule.target() == own.name) jumps.push_back(rule.specification);
      }
      compare_rules(fmt::format("{} chain {} of table {}", ip_version(family), hooked, own.table),
                    {jump_specification(own.name)}, jumps, mend, found);
      if (jumps.empty()) continue;
      if (const auto* taker = first_taker(table, hooked, ruleset, ends_the_chain)) {
        found.push_back(
            {fmt::format("{} rule '-A {} {}' of table {} stands before the jump to {} and can take "
                         "control connections away from it",
                         ip_version(family), taker->chain, taker->specification, own.table,
                         own.name),
             mend});
      }
    }
  }
  return found;
}

std::vector<Discrepancy> verify_nft_table(const NftTable& table, const NftTable& expected,
                                          const Ruleset& ruleset) {
  std::vector<Discrepancy> found;
  const std::string mend = apply_command(ruleset, Format::nft);
  for (const auto& [name, lines] : expected.helpers) {
    const auto helper = table.helpers.find(name);
    if (helper == table.helpers.end()) {
      found.push_back(
          {fmt::format("object 'ct helper {}' of table {} is missing", name, table.title()), mend});
    } else if (helper->second != lines) {
      found.push_back(
          {fmt::format("object 'ct helper {}' of table {} is another", name, table.title()), mend});
    }
  }
  for (const NftChain& chain : expected.chains) {
    const std::string place = fmt::format("chain {} of table {}", chain.name, table.title());
    const NftChain* actual = table.chain(chain.name);
    if (actual == nullptr) {
      found.push_back({fmt::format("{} is missing", place), mend});
      continue;
    }
    if (actual->type != chain.type) {
      found.push_back(
          {fmt::format("{} is hooked as '{}', not as '{}'", place, actual->type, chain.type),
           mend});
    }
    compare_rules(place, texts(chain.rules), texts(actual->rules), mend, found);
  }
  for (const NftChain& chain : table.chains) {
    if (expected.chain(chain.name) == nullptr) {
      found.push_back(
          {fmt::format("chain {} of table {} is not part of it", chain.name, table.title()), mend});
    }
  }
  return found;
}

std::vector<Discrepancy> ftp_helper_in_iptables(const IptablesListing& listing,
                                                const Ruleset& ruleset, Format format,
                                                Family family) {
  std::vector<Discrepancy> found;
  for (const IptablesRule& rule : listing.table("raw").rules) {
    if (rule.target() != "CT" || rule.value_of("--helper") != "ftp") continue;
    if (rule.chain == carrier_chain || !may_reach(rule, ruleset.control_ports)) continue;
    found.push_back({fmt::format("{} rule '-A {} {}' of table raw gives the kernel's ftp helper to "
                                 "control connections",
                                 ip_version(family), rule.chain, rule.specification),
                     fmt::format("{} -t raw -D {} {}", iptables_command(format, family), rule.chain,
                                 rule.specification)});
  }
  return found;
}

std::vector<Discrepancy> ftp_helper_in_nft(const std::vector<NftTable>& tables,
                                           const Ruleset& ruleset) {
  std::vector<Discrepancy> found;
  for (const NftTable& table : tables) {
    std::vector<std::string> ftp_helpers;
    for (const auto& [name, lines] : table.helpers) {
      if (lines.find("type \"ftp\"") != lines.npos) ftp_helpers.push_back(name);
    }
    if (ftp_helpers.empty()) continue;
    for (const NftChain& chain : table.chains) {
      for (const NftRule& rule : chain.rules) {
        // A named map may lead to any helper of the table.
        const std::size_t set = rule.text.find("ct helper set ");
        if (set == rule.text.npos || !may_reach(rule.text, ruleset.control_ports)) continue;
        const bool by_map = rule.text.find('@', set) != rule.text.npos;
        if (!by_map && std::ranges::none_of(ftp_helpers, [&](const std::string& name) {
              return rule.text.find(fmt::format("\"{}\"", name), set) != rule.text.npos;
            })) {
          continue;
        }
        found.push_back({fmt::format("nft rule '{}' in table {}, chain {}, gives the kernel's ftp "
                                     "helper to control connections",
                                     rule.text, table.title(), chain.name),
                         nft_delete_command(table, chain, rule)});
      }
    }
  }
  return found;
}

std::vector<Discrepancy> shadows_in_iptables(const IptablesListing& listing, const Ruleset& ruleset,
                                             Format format, Family family) {
  std::vector<Discrepancy> found;
  for (const std::string_view hooked : hooked_chains) {
    const auto* taker = first_taker(listing.table("raw"), hooked, ruleset, changes_tracking);
    if (taker == nullptr || taker->value_of("--helper") == "ftp") continue;
    found.push_back(
        {fmt::format("{} rule '-A {} {}' of table raw can leave control connections untracked or "
                     "give them another helper before ftpalg sees them",
                     ip_version(family), taker->chain, taker->specification),
         fmt::format("{} -t raw -D {} {}", iptables_command(format, family), taker->chain,
                     taker->specification)});
  }
  return found;
}

std::vector<Discrepancy> shadows_in_nft(const std::vector<NftTable>& tables,
                                        const Ruleset& ruleset) {
  std::vector<Discrepancy> found;
  for (const NftTable& table : tables) {
    if (table.title() == fmt::format("inet {}", own_name)) continue;
    for (const NftChain& chain : table.chains) {
      const bool same_hook = chain.hook() == "prerouting" || chain.hook() == "output";
      if (same_hook && chain.priority().value_or(0) < queue_priority) {
        find_nft_shadows(table, chain, ruleset, found);
      }
    }
  }
  return found;
}

std::vector<Discrepancy> zones_in_iptables(const IptablesListing& listing, const Ruleset& ruleset,
                                           Family family) {
  constexpr std::array options{std::string_view{"--zone"}, std::string_view{"--zone-orig"},
                               std::string_view{"--zone-reply"}};
  std::vector<Discrepancy> found;
  for (const IptablesRule& rule : listing.table("raw").rules) {
    const bool sets_zone =
        rule.target() == "CT" && std::ranges::any_of(options, [&](std::string_view option) {
          return !rule.value_of(option).empty();
        });
    if (!sets_zone || !may_reach(rule, ruleset.control_ports)) continue;
    found.push_back(
        zone_conflict(fmt::format("{} rule '-A {} {}' of table raw", ip_version(family), rule.chain,
                                  rule.specification),
                      "which rules of ftpalg for iptables would take one direction of them "
                      "out of, and so break them",
                      ruleset));
  }
  return found;
}

std::vector<Discrepancy> zones_in_nft(const std::vector<NftTable>& tables, const Ruleset& ruleset) {
  constexpr std::array statements{std::string_view{"ct zone set"},
                                  std::string_view{"ct original zone set"},
                                  std::string_view{"ct reply zone set"}};
  std::vector<Discrepancy> found;
  for (const NftTable& table : tables) {
    for (const NftChain& chain : table.chains) {
      for (const NftRule& rule : chain.rules) {
        const bool sets_zone = std::ranges::any_of(statements, [&](std::string_view statement) {
          return rule.text.find(statement) != rule.text.npos;
        });
        if (!sets_zone || !may_reach(rule.text, ruleset.control_ports)) continue;
        found.push_back(zone_conflict(
            fmt::format("nft rule '{}' in table {}, chain {},", rule.text, table.title(),
                        chain.name),
            "where rules of ftpalg for iptables cannot give them a carrier", ruleset));
      }
    }
  }
  return found;
}

std::vector<Discrepancy> mark_conflicts(const std::vector<IptablesListing>& listings,
                                        const std::vector<NftTable>& tables,
                                        const Ruleset& ruleset) {
  std::uint32_t bits_used = 0;
  std::vector<std::string> rules;
  const auto note = [&](std::uint32_t bits, std::string rule) {
    bits_used |= bits;
    if ((bits & ruleset.done_mark) != 0) rules.push_back(std::move(rule));
  };
  for (const IptablesListing& listing : listings) {
    for (const IptablesTable& table : listing.tables) {
      for (const IptablesRule& rule : table.rules) {
        if (rule.chain == queue_chain || !may_reach(rule, ruleset.control_ports)) continue;
        note(mark_bits_used(rule),
             fmt::format("'-A {} {}' of table {}", rule.chain, rule.specification, table.name));
      }
    }
  }
  for (const NftTable& table : tables) {
    if (table.title() == fmt::format("inet {}", own_name)) continue;
    for (const NftChain& chain : table.chains) {
      for (const NftRule& rule : chain.rules) {
        if (!may_reach(rule.text, ruleset.control_ports)) continue;
        note(mark_bits_used(rule.text),
             fmt::format("'{}' in table {}, chain {},", rule.text, table.title(), chain.name));
      }
    }
  }

  Ruleset other = ruleset;
  other.done_mark = std::bit_floor(~bits_used);
  std::vector<Discrepancy> found;
  for (const std::string& rule : rules) {
    found.push_back(
        {fmt::format("rule {} uses bits of the connection mark that ftpalg sets once it has done "
                     "with a connection (0x{:x})",
                     rule, ruleset.done_mark),
         fmt::format("{}, with the same --done-mark on check and run{}",
                     apply_command(other, std::nullopt),
                     other.done_mark == 0 ? "; or give these rules masks" : "")});
  }
  return found;
}

std::string apply_command(const Ruleset& ruleset, std::optional<Format> format) {
  const Ruleset defaults;
  std::string command = "ftpalg rules apply";
  if (format) command += fmt::format(" --format {}", name(*format));
  if (ruleset.control_ports != defaults.control_ports) {
    for (const auto port : ruleset.control_ports) command += fmt::format(" --port {}", port);
  }
  if (ruleset.queue != defaults.queue) command += fmt::format(" --queue {}", ruleset.queue);
  if (ruleset.queues != defaults.queues) command += fmt::format(" --queues {}", ruleset.queues);
  if (ruleset.carrier != defaults.carrier) command += fmt::format(" --carrier {}", ruleset.carrier);
  if (ruleset.done_mark != defaults.done_mark) {
    command += fmt::format(" --done-mark 0x{:x}", ruleset.done_mark);
  }
  return command;
}

}  // namespace ftpalg::rules
