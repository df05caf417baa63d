// SPDX-License-Identifier: GPL-2.0-or-later
#include "rules/firewall.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <tl/expected.hpp>

#include "rules/iptables_exchange.h"
#include "rules/nft_transaction.h"
#include "rules/program.h"

namespace ftpalg::rules {
namespace {

constexpr std::array both_families{Family::ipv4, Family::ipv6};
constexpr std::array iptables_formats{Format::iptables, Format::iptables_legacy};

// Foreign tables go through the program, not through libnftables: nft 1.0.6 aborts on some
// listings (a concatenation with a field of less than 8 bits), and that must not end this process.
tl::expected<std::vector<NftTable>, std::string> list_nft_ruleset() {
  const auto nft = find_program("nft");
  if (!nft) return tl::make_unexpected("nft is not installed; mend: apt-get install nftables");
  const auto result = run_program({*nft, "-a", "-s", "-y", "-nn", "list", "ruleset"});
  if (!result) return tl::make_unexpected(result.error());
  if (result->exit_status != 0) {
    return tl::make_unexpected(
        fmt::format("'nft list ruleset' failed (exit status {})", result->exit_status));
  }
  return parse_nft_listing(result->out);
}

}  // namespace

Firewall read_firewall() {
  Firewall firewall;
  for (const Format format : iptables_formats) {
    for (const Family family : both_families) {
      if (!has_iptables(format, family)) continue;
      if (auto listing = read_iptables(format, family)) {
        firewall.iptables.push_back({format, family, std::move(*listing)});
      } else if (family == Family::ipv4) {
        firewall.unreadable.push_back(
            {fmt::format("rules of format {} cannot be read: {}", name(format), listing.error()),
             "run this command as root"});
      }
    }
  }

  if (const auto own = run_nft(fmt::format("list table inet {}", own_name))) {
    auto tables = parse_nft_listing(*own);
    if (!tables.empty()) firewall.own_table = std::move(tables.front());
  }
  if (auto tables = list_nft_ruleset()) {
    // What iptables-nft keeps there is looked at in iptables' own words.
    std::erase_if(*tables, [&](const NftTable& table) {
      return std::ranges::any_of(firewall.iptables, [&](const FamilyListing& each) {
        const std::string_view family = each.family == Family::ipv4 ? "ip" : "ip6";
        return each.format == Format::iptables && table.family == family &&
               !each.listing.table(table.name).name.empty();
      });
    });
    firewall.nft_tables = std::move(*tables);
  } else if (find_program("nft")) {
    firewall.unreadable.push_back(
        {fmt::format("foreign nft rules cannot be read: {}", tables.error()),
         "run this command as root, and see that 'nft list ruleset' works"});
  }
  return firewall;
}

std::vector<Discrepancy> zones_in_the_way(const Firewall& firewall, const Ruleset& ruleset) {
  std::vector<Discrepancy> found = zones_in_nft(firewall.nft_tables, ruleset);
  for (const FamilyListing& each : firewall.iptables) {
    std::ranges::move(zones_in_iptables(each.listing, ruleset, each.family),
                      std::back_inserter(found));
  }
  return found;
}

}  // namespace ftpalg::rules
