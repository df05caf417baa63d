// SPDX-License-Identifier: GPL-2.0-or-later
// The ruleset: what the firewall has to do for the gateway, whoever writes it down (nft, iptables).
//
// Three things, for IPv4 and IPv6, for traffic that passes the router and for the router's own:
// - carrier: the first packet of a control connection gets a conntrack helper, because conntrack
//   takes expectations only for connections that have one;
// - queue: every packet of a control connection, both directions, goes to NFQUEUE, except pure
//   acknowledgements, which have nothing to read. Without a listener the queue is bypassed, and
//   connections that bear the done mark are queued no more;
// - injected: packets that the gateway sends itself bear a mark: one kind is not tracked, the other
//   not queued again.
// Traffic over the loopback interface is left alone.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

namespace ftpalg::rules {

/// Everything of ours in the firewall bears this name: the nft table `inet ftpalg`, the comment of
/// the iptables jumps.
inline constexpr std::string_view own_name = "ftpalg";
inline constexpr std::string_view carrier_chain = "FTPALG-CARRIER";
inline constexpr std::string_view queue_chain = "FTPALG-QUEUE";
inline constexpr std::string_view spread_chain = "FTPALG-SPREAD";

inline constexpr std::uint16_t queues_max = 64;
/// The match cluster of iptables 1.8 takes no node mask above 32 (libxt_cluster), though it prints
/// them: what iptables-save has written could not be restored.
inline constexpr std::uint16_t iptables_queues_max = 6;

/// One for each processor, up to four. The same as long as the process lives.
std::uint16_t default_queues();

struct Ruleset {
  std::vector<std::uint16_t> control_ports{21};  ///< as clients dial them, before NAT
  /// The first of `queues` that follow each other by number. All packets of a client, by the source
  /// address of the connection's original tuple (in IPv6 its first 64 bits or less), go to the same
  /// one.
  std::uint16_t queue = 21;
  std::uint16_t queues = default_queues();
  std::string carrier = "sane";  ///< conntrack helper that is inert on FTP
  // Marks of the gateway's own packets; all 32 bits must match.
  std::uint32_t untracked_mark = 0x66747000;
  std::uint32_t unqueued_mark = 0x66747001;
  /// Bits of the connection mark of connections that the gateway has done with. 0: there are none.
  std::uint32_t done_mark = 0x01000000;
  /// Pure acknowledgements are queued too: the gateway shifts their numbers where the kernel does
  /// not, which is so for connections without NAT.
  bool queue_acknowledgements = false;

  std::uint16_t last_queue() const { return static_cast<std::uint16_t>(queue + queues - 1); }

  bool operator==(const Ruleset&) const = default;
};

/// "queue 21", or "queues 21-24".
std::string queues_text(const Ruleset& ruleset);

/// The ruleset itself, or what is wrong with it and what would be right.
tl::expected<Ruleset, std::string> validated(Ruleset ruleset);

enum class Format {
  nft,              ///< a table of our own, through libnftables
  iptables,         ///< iptables over nf_tables
  iptables_legacy,  ///< iptables over the older x_tables
};

/// Nothing, or why `format` cannot write the ruleset, and what would be right.
std::optional<std::string> obstacle(const Ruleset& ruleset, Format format);

/// "nft", "iptables" or "iptables-legacy", as the option --format takes it.
std::string_view name(Format format);
std::optional<Format> format_named(std::string_view name);

}  // namespace ftpalg::rules
