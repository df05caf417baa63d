// SPDX-License-Identifier: GPL-2.0-or-later
// What iptables-save prints, read into tables, chains and rules. Pure text work.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace ftpalg::rules {

struct IptablesRule {
  std::string chain;
  std::string specification;       ///< all behind the chain's name, as printed
  std::vector<std::string> words;  ///< of the specification, quotes resolved

  /// The word behind `option` ("-j", "--helper"), or nothing where the rule has no such option.
  std::string_view value_of(std::string_view option) const;
  /// What -j or -g names, or nothing.
  std::string_view target() const;
  bool operator==(const IptablesRule& other) const {
    return chain == other.chain && words == other.words;
  }
};

struct IptablesChain {
  std::string name;
  std::string policy;  ///< "ACCEPT", "DROP", or "-" for a chain made by a user
};

struct IptablesTable {
  std::string name;
  std::vector<IptablesChain> chains;
  std::vector<IptablesRule> rules;  ///< of all chains, in the order printed

  bool has_chain(std::string_view chain) const;
  std::vector<IptablesRule> rules_of(std::string_view chain) const;
};

/// One family's tables, in the order printed.
struct IptablesListing {
  std::vector<IptablesTable> tables;

  /// An empty table when there is none of that name.
  const IptablesTable& table(std::string_view name) const;
};

/// Lines that are neither table, chain nor rule (comments, COMMIT) count for nothing.
IptablesListing parse_iptables_listing(std::string_view text);

}  // namespace ftpalg::rules
