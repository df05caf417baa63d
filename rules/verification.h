// SPDX-License-Identifier: GPL-2.0-or-later
// Compares what is in the firewall with what the ruleset asks for. Pure: works on listings.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "conntrack/address.h"
#include "rules/iptables_listing.h"
#include "rules/nft_listing.h"
#include "rules/ruleset.h"

namespace ftpalg::rules {

struct Discrepancy {
  std::string what;  ///< what is missing, different or in the way
  std::string mend;  ///< a command

  bool operator==(const Discrepancy&) const = default;
};

/// Our chains and jumps in one family's listing, and foreign rules before a jump of ours that take
/// packets of control connections away.
std::vector<Discrepancy> verify_iptables(const IptablesListing& listing, const Ruleset& ruleset,
                                         Format format, Family family);

/// Our table, against the same table as this kernel and this nft print it.
std::vector<Discrepancy> verify_nft_table(const NftTable& table, const NftTable& expected,
                                          const Ruleset& ruleset);

/// Rules that give the kernel's own `ftp` helper to control connections.
std::vector<Discrepancy> ftp_helper_in_iptables(const IptablesListing& listing,
                                                const Ruleset& ruleset, Format format,
                                                Family family);
std::vector<Discrepancy> ftp_helper_in_nft(const std::vector<NftTable>& tables,
                                           const Ruleset& ruleset);

/// Foreign rules, not in the tables that ours stand in, that keep control connections from ours:
/// hooked before them they leave the connections untracked, queue them, or give them another
/// helper.
std::vector<Discrepancy> shadows_in_iptables(const IptablesListing& listing, const Ruleset& ruleset,
                                             Format format, Family family);
std::vector<Discrepancy> shadows_in_nft(const std::vector<NftTable>& tables,
                                        const Ruleset& ruleset);

/// Rules that put control connections into a conntrack zone. Rules of format iptables break these
/// beside a CT target for zones, since of two CT targets the first one counts, so that the
/// carrier's takes the packets of one direction out of the zone again (xt_ct_target; tried). Where
/// nft has set the zone they have no effect.
std::vector<Discrepancy> zones_in_iptables(const IptablesListing& listing, const Ruleset& ruleset,
                                           Family family);
std::vector<Discrepancy> zones_in_nft(const std::vector<NftTable>& tables, const Ruleset& ruleset);

/// Foreign rules that read or write bits of the done mark: they take the gateway's mark for theirs,
/// or theirs is taken for the gateway's.
std::vector<Discrepancy> mark_conflicts(const std::vector<IptablesListing>& listings,
                                        const std::vector<NftTable>& tables,
                                        const Ruleset& ruleset);

/// The command that applies `ruleset`, without what is default anyway.
std::string apply_command(const Ruleset& ruleset, std::optional<Format> format);

}  // namespace ftpalg::rules
