// SPDX-License-Identifier: GPL-2.0-or-later
#include "rules/application.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "rules/firewall.h"
#include "rules/iptables_exchange.h"
#include "rules/iptables_text.h"
#include "rules/nft_text.h"
#include "rules/nft_transaction.h"
#include "rules/privilege.h"
#include "rules/scratch_namespace.h"

namespace ftpalg::rules {
namespace {

constexpr std::array all_formats{Format::nft, Format::iptables, Format::iptables_legacy};
constexpr std::array both_families{Family::ipv4, Family::ipv6};

bool kernel_has_ipv6() {
  return ::access("/proc/thread-self/net/if_inet6", F_OK) == 0;
}

std::string without_ipv6_note(std::string_view reason) {
  return fmt::format("rules are in place for IPv4 only: {}", reason);
}

bool holds_rules(Format format) {
  return std::ranges::any_of(both_families, [format](Family family) {
    const auto listing = read_iptables(format, family);
    return listing && std::ranges::any_of(listing->tables, [](const IptablesTable& table) {
             return !table.rules.empty();
           });
  });
}

tl::expected<void, std::string> may_change_rules() {
  if (effective_privileges().net_admin) return {};
  return tl::make_unexpected(
      "this process may not change firewall rules (it lacks CAP_NET_ADMIN); mend: run it as root");
}

bool shows_ours(const IptablesListing& listing) {
  return !iptables_replace_text(listing, {}).empty();
}

tl::expected<Applied, std::string> apply_nft(const Ruleset& ruleset) {
  Applied applied{Format::nft, {}};
  auto result = run_nft(nft_apply_text(ruleset));
  if (!result && !kernel_has_ipv6()) {
    result = run_nft(nft_apply_text(ruleset, IpVersions::ipv4_only));
    applied.notes.push_back(without_ipv6_note("this kernel runs without IPv6"));
  }
  if (result) return applied;
  if (!nft_has_queue()) {
    return tl::make_unexpected(
        "this kernel has no 'queue' for nft, nothing was changed; mend: modprobe nft_queue, or use "
        "--format iptables");
  }
  return tl::make_unexpected(
      fmt::format("nft refused the rules, nothing was changed: {}\nmend: a kernel without the "
                  "helper '{}' takes another by --carrier{}",
                  result.error(), ruleset.carrier,
                  ruleset.queues > 1 ? ", one without 'jhash' for nft --queues 1" : ""));
}

// One family: from what is there to what is desired. The listing from before is what a rollback
// goes back to.
tl::expected<IptablesListing, std::string> apply_iptables(Format format, Family family,
                                                          const IptablesListing& desired) {
  auto before = read_iptables(format, family);
  if (!before) return before;
  const auto written = write_iptables(format, family, iptables_replace_text(*before, desired));
  if (written) return before;
  // Tables commit one by one: raw may be new already where mangle was refused.
  if (const auto now = read_iptables(format, family)) {
    static_cast<void>(write_iptables(format, family, iptables_replace_text(*now, *before)));
  }
  return tl::make_unexpected(written.error());
}

std::string nothing_changed(const Ruleset& ruleset) {
  return fmt::format(
      "; nothing was changed; mend: see by 'ftpalg check' whether this kernel has the helper '{}', "
      "and that it has the iptables matches bpf, comment, connmark (or give --done-mark 0), "
      "conntrack and mark{}, and the targets CT and NFQUEUE",
      ruleset.carrier, ruleset.queues > 1 ? ", cluster (or give --queues 1)" : "");
}

tl::expected<Applied, std::string> apply_iptables(const Ruleset& ruleset, Format format) {
  Applied applied{format, {}};
  const auto before = apply_iptables(format, Family::ipv4, own_listing(ruleset, Family::ipv4));
  if (!before) {
    return tl::make_unexpected(fmt::format("{}{}", before.error(), nothing_changed(ruleset)));
  }

  const auto ipv6 = apply_iptables(format, Family::ipv6, own_listing(ruleset, Family::ipv6));
  if (ipv6) return applied;
  if (!kernel_has_ipv6()) {
    applied.notes.push_back(without_ipv6_note("this kernel runs without IPv6"));
    return applied;
  }
  if (!has_iptables(format, Family::ipv6) || !read_iptables(format, Family::ipv6)) {
    applied.notes.push_back(without_ipv6_note(ipv6.error()));
    return applied;
  }
  static_cast<void>(apply_iptables(format, Family::ipv4, *before));
  return tl::make_unexpected(fmt::format("{}{}", ipv6.error(), nothing_changed(ruleset)));
}

// Whether there was anything of ours.
tl::expected<bool, std::string> remove_nft() {
  if (!run_nft(fmt::format("list table inet {}", own_name))) return false;
  return run_nft(nft_remove_text()).map([](const std::string&) { return true; });
}

tl::expected<bool, std::string> remove_iptables(Format format) {
  bool found = false;
  for (const Family family : both_families) {
    if (!has_iptables(format, family)) continue;
    const auto listing = read_iptables(format, family);
    // What cannot be read cannot have been written: no ip6tables in the kernel, say.
    if (!listing || !shows_ours(*listing)) continue;
    found = true;
    const auto written = write_iptables(format, family, iptables_replace_text(*listing, {}));
    if (!written) return tl::make_unexpected(written.error());
    if (format == Format::iptables) delete_empty_chains(family);
  }
  return found;
}

}  // namespace

Format default_format() {
  if (nft_has_queue()) return Format::nft;
  if (legacy_tables_hold_rules() && !holds_rules(Format::iptables)) return Format::iptables_legacy;
  return Format::iptables;
}

tl::expected<Applied, std::string> apply(const Ruleset& ruleset, std::optional<Format> format) {
  if (const auto may = may_change_rules(); !may) return tl::make_unexpected(may.error());
  const Format chosen = format ? *format : default_format();
  if (const auto reason = obstacle(ruleset, chosen)) return tl::make_unexpected(*reason);
  if (chosen != Format::nft) {
    const auto zones = zones_in_the_way(read_firewall(), ruleset);
    if (!zones.empty()) {
      return tl::make_unexpected(
          fmt::format("{}; nothing was changed; mend: {}", zones.front().what, zones.front().mend));
    }
  }
  auto applied = chosen == Format::nft ? apply_nft(ruleset) : apply_iptables(ruleset, chosen);
  if (!applied) return applied;

  // Two sets would queue every packet twice.
  for (const Format other : all_formats) {
    if (other == chosen) continue;
    const auto removed = remove(other);
    if (!removed) {
      applied->notes.push_back(fmt::format("older rules of format {} could not be removed: {}",
                                           name(other), removed.error()));
    } else if (!removed->formats.empty()) {
      applied->notes.push_back(fmt::format("older rules of format {} were removed", name(other)));
    }
  }
  return applied;
}

std::optional<tl::expected<Applied, std::string>> rehearse(const Ruleset& ruleset, Format format) {
  std::optional<tl::expected<Applied, std::string>> applied;
  const auto done = in_scratch_namespace([&] { applied = apply(ruleset, format); });
  return done ? applied : std::nullopt;
}

tl::expected<Removed, std::string> remove(std::optional<Format> format) {
  if (const auto may = may_change_rules(); !may) return tl::make_unexpected(may.error());
  Removed removed;
  std::string failures;
  for (const Format each : all_formats) {
    if (format && *format != each) continue;
    const auto found = each == Format::nft ? remove_nft() : remove_iptables(each);
    if (!found) {
      failures += fmt::format("{}rules of format {} could not be removed: {}",
                              failures.empty() ? "" : "\n", name(each), found.error());
    } else if (*found) {
      removed.formats.push_back(each);
    }
  }
  if (!failures.empty()) return tl::make_unexpected(failures);
  return removed;
}

}  // namespace ftpalg::rules
