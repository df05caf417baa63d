// SPDX-License-Identifier: GPL-2.0-or-later
// The ruleset in the language of iptables-restore, one text per family. The rules are spelled as
// iptables-save prints them, so that a listing can be compared word by word.
//
// Every text is for `iptables-restore --noflush`, which commits table by table: within raw and
// within mangle a packet sees all of the old rules or all of the new ones; between the two commits
// it may see the new raw and the old mangle. That is harmless: a carrier without queue does
// nothing, a queue without carrier forwards unchanged.
#pragma once

#include <array>
#include <string>
#include <string_view>

#include "conntrack/address.h"
#include "rules/iptables_listing.h"
#include "rules/ruleset.h"

namespace ftpalg::rules {

struct OwnChain {
  std::string_view table;
  std::string_view name;
  bool is_hooked;  ///< a chain of the table's own jumps to it, and not only one of ours
};

/// All that are ever ours. The last is there only with several queues.
inline constexpr std::array own_chains{OwnChain{"raw", carrier_chain, true},
                                       OwnChain{"mangle", queue_chain, true},
                                       OwnChain{"mangle", spread_chain, false}};

/// The chains of the kernel that jump to ours.
inline constexpr std::array hooked_chains{std::string_view{"PREROUTING"},
                                          std::string_view{"OUTPUT"}};

/// The rules as a listing shows them once they are applied and nothing else is there.
IptablesListing own_listing(const Ruleset& ruleset, Family family);

/// Puts what of ours `desired` shows in the place of what of ours `existing` shows, jumps first in
/// their chains. Empty when neither shows anything of ours.
std::string iptables_replace_text(const IptablesListing& existing, const IptablesListing& desired);

/// What a person can paste into a root shell of a machine that has none of our rules yet, both
/// families. `format` is one of the two iptables formats.
std::string iptables_shell_text(const Ruleset& ruleset, Format format);

/// The jump into one of our chains, as it stands in a chain of the table's own.
std::string jump_specification(std::string_view own_chain);

/// Name of a program of iptables: "iptables-nft-save", "ip6tables-legacy-restore", ...
std::string iptables_program(Format format, Family family, std::string_view verb);

}  // namespace ftpalg::rules
