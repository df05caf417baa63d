// SPDX-License-Identifier: GPL-2.0-or-later
#include "rules/inspection.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <tl/expected.hpp>

#include "rules/application.h"
#include "rules/firewall.h"
#include "rules/iptables_exchange.h"
#include "rules/iptables_text.h"
#include "rules/nft_text.h"
#include "rules/nft_transaction.h"
#include "rules/privilege.h"
#include "rules/program.h"
#include "rules/scratch_namespace.h"

namespace ftpalg::rules {
namespace {

const std::string list_own_table = fmt::format("list table inet {}", own_name);

void append(std::vector<Discrepancy>& to, std::vector<Discrepancy> from) {
  std::ranges::move(from, std::back_inserter(to));
}

bool shows_ours(const Firewall& firewall, Format format) {
  if (format == Format::nft) return firewall.own_table.has_value();
  return std::ranges::any_of(firewall.iptables, [format](const FamilyListing& each) {
    return each.format == format && !iptables_replace_text(each.listing, {}).empty();
  });
}

// Our table as this kernel and this nft print it: applied where it harms nobody.
tl::expected<NftTable, std::string> expected_nft_table(const Ruleset& ruleset) {
  tl::expected<std::string, std::string> listing;
  const auto done = in_scratch_namespace([&] {
    auto applied = run_nft(nft_apply_text(ruleset));
    if (!applied) applied = run_nft(nft_apply_text(ruleset, IpVersions::ipv4_only));
    listing = applied ? run_nft(list_own_table) : applied;
  });
  if (!done) return tl::make_unexpected(done.error());
  if (!listing) return tl::make_unexpected(listing.error());
  auto tables = parse_nft_listing(*listing);
  if (tables.empty()) return tl::make_unexpected("nft lists no table");
  return std::move(tables.front());
}

std::vector<Discrepancy> verify_own_nft(const Firewall& firewall, const Ruleset& ruleset,
                                        const std::optional<NftTable>& known) {
  if (!firewall.own_table) {
    return {
        {fmt::format("table inet {} is missing", own_name), apply_command(ruleset, Format::nft)}};
  }
  const auto expected =
      known ? tl::expected<NftTable, std::string>(*known) : expected_nft_table(ruleset);
  if (!expected) {
    return {{fmt::format("table inet {} is there, but what is in it cannot be judged: {}", own_name,
                         expected.error()),
             "run this command as root"}};
  }
  return verify_nft_table(*firewall.own_table, *expected, ruleset);
}

bool sysctl_assigns_helpers() {
  std::ifstream file("/proc/sys/net/netfilter/nf_conntrack_helper");
  int value = 0;
  return (file >> value) && value != 0;
}

std::vector<Discrepancy> ftp_helper_in(const Firewall& firewall, const Ruleset& ruleset) {
  std::vector<Discrepancy> found;
  for (const FamilyListing& each : firewall.iptables) {
    append(found, ftp_helper_in_iptables(each.listing, ruleset, each.format, each.family));
  }
  append(found, ftp_helper_in_nft(firewall.nft_tables, ruleset));
  if (sysctl_assigns_helpers()) {
    found.push_back(
        {"the sysctl net.netfilter.nf_conntrack_helper is 1, so that the kernel's ftp helper takes "
         "every connection to port 21 where its module is loaded",
         "sysctl -w net.netfilter.nf_conntrack_helper=0"});
  }
  return found;
}

}  // namespace

std::vector<Discrepancy> verify(const Ruleset& ruleset, std::optional<Format> format,
                                const std::optional<NftTable>& expected) {
  if (!effective_privileges().net_admin) {
    return {
        {"the firewall's rules cannot be read without CAP_NET_ADMIN", "run this command as root"}};
  }
  const Firewall firewall = read_firewall();
  std::vector<Discrepancy> found = firewall.unreadable;

  std::vector<Format> present;
  for (const Format each : {Format::nft, Format::iptables, Format::iptables_legacy}) {
    if (shows_ours(firewall, each)) present.push_back(each);
  }
  const Format chosen = format.value_or(present.empty() ? default_format() : present.front());
  if (const auto reason = obstacle(ruleset, chosen)) {
    Ruleset fewer = ruleset;
    fewer.queues = iptables_queues_max;
    return {{*reason, apply_command(fewer, chosen)}};
  }
  for (const Format other : present) {
    if (other == chosen) continue;
    found.push_back({fmt::format("rules of ftpalg are there in format {} too, so that packets are "
                                 "queued twice",
                                 name(other)),
                     fmt::format("ftpalg rules remove --format {}", name(other))});
  }

  if (chosen == Format::nft) {
    append(found, verify_own_nft(firewall, ruleset, expected));
  } else if (!has_iptables(chosen, Family::ipv4)) {
    found.push_back({fmt::format("the programs of format {} are not installed", name(chosen)),
                     "apt-get install iptables"});
  }
  for (const FamilyListing& each : firewall.iptables) {
    if (each.family == Family::ipv6 && !kernel_has_ipv6()) continue;
    append(found, each.format == chosen
                      ? verify_iptables(each.listing, ruleset, each.format, each.family)
                      : shadows_in_iptables(each.listing, ruleset, each.format, each.family));
  }

  if (chosen != Format::nft) append(found, zones_in_the_way(firewall, ruleset));
  const std::vector<Discrepancy> ftp_helper = ftp_helper_in(firewall, ruleset);
  std::vector<Discrepancy> shadows = shadows_in_nft(firewall.nft_tables, ruleset);
  // A rule that gives the ftp helper shadows ours as well; once is enough.
  std::erase_if(shadows, [&](const Discrepancy& shadow) {
    return std::ranges::find(ftp_helper, shadow.mend, &Discrepancy::mend) != ftp_helper.end();
  });
  append(found, std::move(shadows));
  append(found, ftp_helper);
  return found;
}

std::optional<NftTable> expected_table(const Ruleset& ruleset) {
  auto table = expected_nft_table(ruleset);
  if (!table) return std::nullopt;
  return std::move(*table);
}

std::optional<NftTable> present_table() {
  return read_firewall().own_table;
}

std::vector<Discrepancy> mark_conflicts(const Ruleset& ruleset) {
  if (ruleset.done_mark == 0 || !effective_privileges().net_admin) return {};
  Firewall firewall = read_firewall();
  std::vector<IptablesListing> listings;
  for (FamilyListing& each : firewall.iptables) listings.push_back(std::move(each.listing));
  return mark_conflicts(listings, firewall.nft_tables, ruleset);
}

}  // namespace ftpalg::rules
