// SPDX-License-Identifier: GPL-2.0-or-later
#include "rules/nft_text.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>

namespace ftpalg::rules {
namespace {

// nft has no arithmetic on header fields, so that a pure acknowledgement is recognised by its
// length for each length of the TCP header that acknowledgements have in practice: no option (5),
// timestamps (8), one to four selective blocks (8, 10, 12, 14), both together (11, 13, 15). What is
// not recognised is queued: harmless.
constexpr std::array acknowledgement_header_words{5, 8, 10, 11, 12, 13, 14, 15};

constexpr int ipv4_header_bytes = 20;

std::string acknowledgement_rules(IpVersions versions) {
  std::string text;
  for (const int words : acknowledgement_header_words) {
    text += fmt::format("    ip hdrlength 5 ip length {} tcp doff {} return\n",
                        ipv4_header_bytes + 4 * words, words);
  }
  if (versions == IpVersions::ipv4_only) return text;
  for (const int words : acknowledgement_header_words) {
    text += fmt::format("    ip6 nexthdr tcp ip6 length {} tcp doff {} return\n", 4 * words, words);
  }
  return text;
}

std::string carrier_object(std::string_view family, std::string_view protocol,
                           const Ruleset& ruleset) {
  return fmt::format(
      "  ct helper carrier_{} {{\n"
      "    type \"{}\" protocol tcp\n"
      "    l3proto {}\n"
      "  }}\n",
      family, ruleset.carrier, protocol);
}

std::string carrier_rule(std::string_view family, std::string_view ports) {
  return fmt::format(
      "    meta nfproto {0} ct state new tcp dport {1} ct helper set \"carrier_{0}\"\n", family,
      ports);
}

// To the queue of the client: in IPv6 of its network, which limits count as one client. All rules
// must draw alike, hence the seed.
std::string spread_rules(const Ruleset& ruleset, IpVersions versions) {
  constexpr std::uint32_t seed = 0x66747000;
  const auto rule = [&](std::string_view nfproto, std::string_view client) {
    return fmt::format(
        "    meta nfproto {} queue flags bypass to jhash ct original {} mod {} seed 0x{:08x} "
        "offset {}\n",
        nfproto, client, ruleset.queues, seed, ruleset.queue);
  };
  std::string text = rule("ipv4", "ip saddr");
  if (versions == IpVersions::both) text += rule("ipv6", "ip6 saddr & ffff:ffff:ffff:ffff::");
  return text;
}

}  // namespace

std::string nft_apply_text(const Ruleset& ruleset, IpVersions versions) {
  const bool both = versions == IpVersions::both;
  const std::string ports = fmt::format("{{ {} }}", fmt::join(ruleset.control_ports, ", "));

  std::string text = nft_remove_text();
  text += fmt::format("table inet {} {{\n", own_name);
  text += carrier_object("ipv4", "ip", ruleset);
  if (both) text += carrier_object("ipv6", "ip6", ruleset);

  // Priority raw is before conntrack: here a packet can still be kept out of it.
  text += fmt::format(
      "  chain injected {{\n"
      "    type filter hook output priority raw; policy accept;\n"
      "    meta mark 0x{:08x} notrack\n"
      "  }}\n",
      ruleset.untracked_mark);

  // Priority mangle is after conntrack and before NAT. The carrier comes first in the chain: a
  // queued packet goes on behind it, and confirmed connections take no helper any more.
  for (const std::string_view hook : {"prerouting", "output"}) {
    text += fmt::format(
        "  chain {0} {{\n"
        "    type filter hook {0} priority mangle; policy accept;\n"
        "    {1} \"lo\" return\n",
        hook, hook == "output" ? "oif" : "iif");
    if (hook == "output") {
      text += fmt::format("    meta mark 0x{:08x} return\n", ruleset.unqueued_mark);
    }
    text += carrier_rule("ipv4", ports);
    if (both) text += carrier_rule("ipv6", ports);
    // One rule a port: nft 1.0.6 lists a set of these as "[invalid type]", and could not read its
    // own listing back.
    for (const auto port : ruleset.control_ports) {
      text += fmt::format("    meta l4proto tcp ct original proto-dst {} jump control\n", port);
    }
    text += "  }\n";
  }

  const std::string queue = ruleset.queues == 1
                                ? fmt::format("queue flags bypass to {}", ruleset.queue)
                                : std::string{"goto spread"};
  text += "  chain control {\n";
  if (ruleset.done_mark != 0) {
    text += fmt::format("    ct mark & 0x{0:08x} == 0x{0:08x} return\n", ruleset.done_mark);
  }
  text += fmt::format("    tcp flags fin,syn,rst {}\n", queue);
  if (!ruleset.queue_acknowledgements) text += acknowledgement_rules(versions);
  text += fmt::format("    {}\n  }}\n", queue);
  if (ruleset.queues > 1) {
    text += fmt::format("  chain spread {{\n{}  }}\n", spread_rules(ruleset, versions));
  }
  text += "}\n";
  return text;
}

std::string nft_remove_text() {
  // A table must be there to be deleted, and to name it without a body makes it, or does nothing.
  return fmt::format("table inet {0}\ndelete table inet {0}\n", own_name);
}

std::string nft_shell_text(const Ruleset& ruleset) {
  return fmt::format("nft -f - <<'EOF'\n{}EOF\n", nft_apply_text(ruleset));
}

}  // namespace ftpalg::rules
