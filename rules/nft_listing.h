// SPDX-License-Identifier: GPL-2.0-or-later
// What `nft list ruleset` prints, read into tables, chains and rules. Pure text work, for the
// numeric form (nft -y -nn), with or without handles.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ftpalg::rules {

struct NftRule {
  std::string text;    ///< without the handle
  std::string handle;  ///< empty when the listing has none
};

struct NftChain {
  std::string name;
  std::string type;  ///< the line "type filter hook ...", empty where no hook calls the chain
  std::vector<NftRule> rules;

  /// "prerouting", "output", ... or nothing.
  std::string_view hook() const;
  std::optional<int> priority() const;
};

struct NftTable {
  std::string family;
  std::string name;
  std::vector<NftChain> chains;
  std::map<std::string, std::string> helpers;  ///< objects `ct helper`: name, and all lines of it

  std::string title() const { return family + " " + name; }
  const NftChain* chain(std::string_view name) const;
};

std::vector<NftTable> parse_nft_listing(std::string_view text);

}  // namespace ftpalg::rules
