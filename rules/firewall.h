// SPDX-License-Identifier: GPL-2.0-or-later
// The firewall of this machine, as far as it matters here: all of iptables' rules in either format,
// and nft's.
#pragma once

#include <optional>
#include <vector>

#include "conntrack/address.h"
#include "rules/iptables_listing.h"
#include "rules/nft_listing.h"
#include "rules/ruleset.h"
#include "rules/verification.h"

namespace ftpalg::rules {

struct FamilyListing {
  Format format;
  Family family;
  IptablesListing listing;
};

struct Firewall {
  std::vector<FamilyListing> iptables;
  std::optional<NftTable> own_table;
  /// All but what iptables keeps there, which is looked at in iptables' own words.
  std::vector<NftTable> nft_tables;
  std::vector<Discrepancy> unreadable;
};

/// Needs CAP_NET_ADMIN.
Firewall read_firewall();

/// Rules on which rules of ours for iptables would break control connections (verification.h).
std::vector<Discrepancy> zones_in_the_way(const Firewall& firewall, const Ruleset& ruleset);

}  // namespace ftpalg::rules
