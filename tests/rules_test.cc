// SPDX-License-Identifier: GPL-2.0-or-later
#include <pcap/pcap.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstring>
#include <string>
#include <vector>

#include "rules/iptables_listing.h"
#include "rules/iptables_text.h"
#include "rules/machine.h"
#include "rules/mark_use.h"
#include "rules/nft_listing.h"
#include "rules/nft_text.h"
#include "rules/payload_filter.h"
#include "rules/preflight.h"
#include "rules/program.h"
#include "rules/rule_reach.h"
#include "rules/ruleset.h"
#include "rules/verification.h"

namespace {

using namespace ftpalg;
using namespace ftpalg::rules;

Ruleset ports(std::vector<std::uint16_t> control_ports) {
  Ruleset ruleset;
  ruleset.control_ports = std::move(control_ports);
  return ruleset;
}

// However many processors this machine has.
Ruleset with_queues(std::uint16_t queues, Ruleset ruleset = {}) {
  ruleset.queues = queues;
  return ruleset;
}

// The listing after `iptables-restore` has run `text` on an empty machine: its rules in the order
// that -I and -A give them. Enough of iptables for our own texts.
IptablesListing restored(const std::string& text) {
  IptablesListing listing = parse_iptables_listing(text);
  std::string_view rest = text;
  std::string table;
  while (!rest.empty()) {
    const std::string line{rest.substr(0, rest.find('\n'))};
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
    if (line.starts_with('*')) table = line.substr(1);
    if (!line.starts_with("-I ")) continue;
    const std::size_t number = line.find(" 1 ");
    const auto inserted = parse_iptables_listing(
        "*" + table + "\n-A " + line.substr(3, number - 3) + " " + line.substr(number + 3) + "\n");
    const auto into = std::ranges::find(listing.tables, table, &IptablesTable::name);
    into->rules.insert(into->rules.begin(), inserted.tables[0].rules[0]);
  }
  return listing;
}

std::vector<std::string> whats(const std::vector<Discrepancy>& found) {
  std::vector<std::string> texts;
  for (const auto& each : found) texts.push_back(each.what);
  return texts;
}

// ---- ruleset

TEST_CASE("a ruleset is validated", "[rules]") {
  CHECK(validated({}).has_value());
  CHECK(validated(ports({21, 2121, 65535})).has_value());
  std::vector<std::uint16_t> sixteen;
  for (std::uint16_t port = 2100; port < 2116; ++port) sixteen.push_back(port);
  CHECK(validated(ports(sixteen)).has_value());

  CHECK(validated(ports({})).error() ==
        "no control port is given; name at least one, as in --port 21");
  CHECK(validated(ports({21, 0})).error() ==
        "control port 0 does not exist; give a port from 1 to 65535");
  CHECK(validated(ports({2121, 21, 2121})).error() ==
        "control port 2121 is given twice; name it once");

  for (const char* carrier : {"", "sixteen-letters-", "sane\"; flush ruleset", "a b", "ftp"}) {
    Ruleset ruleset;
    ruleset.carrier = carrier;
    INFO(carrier);
    CHECK_FALSE(validated(ruleset).has_value());
  }
  CHECK(validated(with_queues(64)).has_value());
  CHECK(validated(with_queues(0)).error() ==
        "0 queues cannot be had; give 1 to 64, as in --queues 2");
  CHECK_FALSE(validated(with_queues(65)).has_value());
  CHECK(obstacle(with_queues(65), Format::nft) == std::nullopt);
  CHECK(obstacle(with_queues(6), Format::iptables) == std::nullopt);
  CHECK(obstacle(with_queues(7), Format::iptables_legacy) ==
        "iptables tells no more than 6 queues apart; give --queues 6 or less, or use --format nft");
  Ruleset last = with_queues(2);
  last.queue = 65534;
  CHECK(validated(last).has_value());
  last.queue = 65535;
  CHECK(
      validated(last).error() ==
      "2 queues from 65535 on go beyond 65535, the last there is; give a lower one, as in --queue "
      "65534");
  Ruleset unmarked;
  unmarked.untracked_mark = 0;
  CHECK_FALSE(validated(unmarked).has_value());
}

TEST_CASE("formats are named", "[rules]") {
  for (const Format format : {Format::nft, Format::iptables, Format::iptables_legacy}) {
    CHECK(format_named(name(format)) == format);
  }
  CHECK(format_named("pf") == std::nullopt);
  CHECK(format_named("") == std::nullopt);
}

// ---- writers

TEST_CASE("nft text for one port", "[rules]") {
  CHECK(nft_apply_text(with_queues(1)) == R"(table inet ftpalg
delete table inet ftpalg
table inet ftpalg {
  ct helper carrier_ipv4 {
    type "sane" protocol tcp
    l3proto ip
  }
  ct helper carrier_ipv6 {
    type "sane" protocol tcp
    l3proto ip6
  }
  chain injected {
    type filter hook output priority raw; policy accept;
    meta mark 0x66747000 notrack
  }
  chain prerouting {
    type filter hook prerouting priority mangle; policy accept;
    iif "lo" return
    meta nfproto ipv4 ct state new tcp dport { 21 } ct helper set "carrier_ipv4"
    meta nfproto ipv6 ct state new tcp dport { 21 } ct helper set "carrier_ipv6"
    meta l4proto tcp ct original proto-dst 21 jump control
  }
  chain output {
    type filter hook output priority mangle; policy accept;
    oif "lo" return
    meta mark 0x66747001 return
    meta nfproto ipv4 ct state new tcp dport { 21 } ct helper set "carrier_ipv4"
    meta nfproto ipv6 ct state new tcp dport { 21 } ct helper set "carrier_ipv6"
    meta l4proto tcp ct original proto-dst 21 jump control
  }
  chain control {
    ct mark & 0x01000000 == 0x01000000 return
    tcp flags fin,syn,rst queue flags bypass to 21
    ip hdrlength 5 ip length 40 tcp doff 5 return
    ip hdrlength 5 ip length 52 tcp doff 8 return
    ip hdrlength 5 ip length 60 tcp doff 10 return
    ip hdrlength 5 ip length 64 tcp doff 11 return
    ip hdrlength 5 ip length 68 tcp doff 12 return
    ip hdrlength 5 ip length 72 tcp doff 13 return
    ip hdrlength 5 ip length 76 tcp doff 14 return
    ip hdrlength 5 ip length 80 tcp doff 15 return
    ip6 nexthdr tcp ip6 length 20 tcp doff 5 return
    ip6 nexthdr tcp ip6 length 32 tcp doff 8 return
    ip6 nexthdr tcp ip6 length 40 tcp doff 10 return
    ip6 nexthdr tcp ip6 length 44 tcp doff 11 return
    ip6 nexthdr tcp ip6 length 48 tcp doff 12 return
    ip6 nexthdr tcp ip6 length 52 tcp doff 13 return
    ip6 nexthdr tcp ip6 length 56 tcp doff 14 return
    ip6 nexthdr tcp ip6 length 60 tcp doff 15 return
    queue flags bypass to 21
  }
}
)");
}

TEST_CASE("nft text for three ports, another queue and carrier", "[rules]") {
  Ruleset ruleset = with_queues(1, ports({21, 2121, 990}));
  ruleset.queue = 7;
  ruleset.carrier = "other";
  const std::string text = nft_apply_text(ruleset);
  CHECK(text.find("type \"other\" protocol tcp") != text.npos);
  CHECK(text.find("tcp dport { 21, 2121, 990 } ct helper set \"carrier_ipv6\"") != text.npos);
  for (const char* port : {"21", "2121", "990"}) {
    INFO(port);
    CHECK(text.find(std::string{"meta l4proto tcp ct original proto-dst "} + port +
                    " jump control\n") != text.npos);
  }
  CHECK(text.find("queue flags bypass to 7\n") != text.npos);
  CHECK(text.find("bypass to 21") == text.npos);

  const std::string ipv4_only = nft_apply_text(ruleset, IpVersions::ipv4_only);
  CHECK(ipv4_only.find("ip6") == ipv4_only.npos);
  CHECK(ipv4_only.find("ipv6") == ipv4_only.npos);
}

TEST_CASE("iptables text for one port", "[rules]") {
  CHECK(iptables_replace_text({}, own_listing(with_queues(1), Family::ipv4)) == R"(*raw
:FTPALG-CARRIER - [0:0]
-A FTPALG-CARRIER -m mark --mark 0x66747000 -j CT --notrack
-A FTPALG-CARRIER -i lo -j RETURN
-A FTPALG-CARRIER -o lo -j RETURN
-A FTPALG-CARRIER -p tcp -m tcp --dport 21 -j CT --helper sane
-I PREROUTING 1 -p tcp -m comment --comment ftpalg -j FTPALG-CARRIER
-I OUTPUT 1 -p tcp -m comment --comment ftpalg -j FTPALG-CARRIER
COMMIT
*mangle
:FTPALG-QUEUE - [0:0]
-A FTPALG-QUEUE -m mark --mark 0x66747001 -j RETURN
-A FTPALG-QUEUE -i lo -j RETURN
-A FTPALG-QUEUE -o lo -j RETURN
-A FTPALG-QUEUE -p tcp -m conntrack --ctorigdstport 21 -m connmark ! --mark 0x1000000/0x1000000 -m bpf --bytecode "12,177 0 0 0,80 0 0 13,69 8 0 7,80 0 0 12,84 0 0 240,116 0 0 2,12 0 0 0,7 0 0 0,40 0 0 2,29 0 1 0,6 0 0 0,6 0 0 1" -j NFQUEUE --queue-num 21 --queue-bypass
-I PREROUTING 1 -p tcp -m comment --comment ftpalg -j FTPALG-QUEUE
-I OUTPUT 1 -p tcp -m comment --comment ftpalg -j FTPALG-QUEUE
COMMIT
)");
}

TEST_CASE("iptables text for three ports", "[rules]") {
  Ruleset ruleset = with_queues(1, ports({21, 2121, 990}));
  ruleset.queue = 7;
  CHECK(iptables_replace_text({}, own_listing(ruleset, Family::ipv6)) == R"(*raw
:FTPALG-CARRIER - [0:0]
-A FTPALG-CARRIER -m mark --mark 0x66747000 -j CT --notrack
-A FTPALG-CARRIER -i lo -j RETURN
-A FTPALG-CARRIER -o lo -j RETURN
-A FTPALG-CARRIER -p tcp -m tcp --dport 21 -j CT --helper sane
-A FTPALG-CARRIER -p tcp -m tcp --dport 2121 -j CT --helper sane
-A FTPALG-CARRIER -p tcp -m tcp --dport 990 -j CT --helper sane
-I PREROUTING 1 -p tcp -m comment --comment ftpalg -j FTPALG-CARRIER
-I OUTPUT 1 -p tcp -m comment --comment ftpalg -j FTPALG-CARRIER
COMMIT
*mangle
:FTPALG-QUEUE - [0:0]
-A FTPALG-QUEUE -m mark --mark 0x66747001 -j RETURN
-A FTPALG-QUEUE -i lo -j RETURN
-A FTPALG-QUEUE -o lo -j RETURN
-A FTPALG-QUEUE -p tcp -m conntrack --ctorigdstport 21 -m connmark ! --mark 0x1000000/0x1000000 -m bpf --bytecode "12,48 0 0 6,21 0 9 6,48 0 0 53,69 7 0 7,48 0 0 52,84 0 0 240,116 0 0 2,7 0 0 0,40 0 0 4,29 0 1 0,6 0 0 0,6 0 0 1" -j NFQUEUE --queue-num 7 --queue-bypass
-A FTPALG-QUEUE -p tcp -m conntrack --ctorigdstport 2121 -m connmark ! --mark 0x1000000/0x1000000 -m bpf --bytecode "12,48 0 0 6,21 0 9 6,48 0 0 53,69 7 0 7,48 0 0 52,84 0 0 240,116 0 0 2,7 0 0 0,40 0 0 4,29 0 1 0,6 0 0 0,6 0 0 1" -j NFQUEUE --queue-num 7 --queue-bypass
-A FTPALG-QUEUE -p tcp -m conntrack --ctorigdstport 990 -m connmark ! --mark 0x1000000/0x1000000 -m bpf --bytecode "12,48 0 0 6,21 0 9 6,48 0 0 53,69 7 0 7,48 0 0 52,84 0 0 240,116 0 0 2,7 0 0 0,40 0 0 4,29 0 1 0,6 0 0 0,6 0 0 1" -j NFQUEUE --queue-num 7 --queue-bypass
-I PREROUTING 1 -p tcp -m comment --comment ftpalg -j FTPALG-QUEUE
-I OUTPUT 1 -p tcp -m comment --comment ftpalg -j FTPALG-QUEUE
COMMIT
)");
}

TEST_CASE("nft text for several queues", "[rules]") {
  const std::string text = nft_apply_text(with_queues(3, ports({21, 2121})));
  CHECK(text.find("    tcp flags fin,syn,rst goto spread\n") != text.npos);
  CHECK(text.find(R"(
    goto spread
  }
  chain spread {
    meta nfproto ipv4 queue flags bypass to jhash ct original ip saddr mod 3 seed 0x66747000 offset 21
    meta nfproto ipv6 queue flags bypass to jhash ct original ip6 saddr & ffff:ffff:ffff:ffff:: mod 3 seed 0x66747000 offset 21
  }
}
)") != text.npos);
}

TEST_CASE("iptables text for several queues", "[rules]") {
  const Ruleset two = with_queues(2);
  const std::string text = iptables_replace_text({}, own_listing(two, Family::ipv4));
  CHECK(text.find("--queue-num 21 --queue-bypass\n-A FTPALG-SPREAD") != text.npos);
  CHECK(text.find(R"(" -j FTPALG-SPREAD
-A FTPALG-SPREAD -m cluster --cluster-local-nodemask 0x00000001 --cluster-total-nodes 2 --cluster-hash-seed 0x66747000 -j NFQUEUE --queue-num 21 --queue-bypass
-A FTPALG-SPREAD -m cluster --cluster-local-nodemask 0x00000002 --cluster-total-nodes 2 --cluster-hash-seed 0x66747000 -j NFQUEUE --queue-num 22 --queue-bypass
-I PREROUTING 1 -p tcp -m comment --comment ftpalg -j FTPALG-QUEUE
-I OUTPUT 1 -p tcp -m comment --comment ftpalg -j FTPALG-QUEUE
COMMIT
)") != text.npos);

  const auto listing = restored(text);
  CHECK(verify_iptables(listing, two, Format::iptables, Family::ipv4).empty());
  // The chain that one queue does not need goes, also where it alone is left.
  CHECK(iptables_replace_text(listing, own_listing(with_queues(1), Family::ipv4))
            .ends_with("FTPALG-QUEUE\n-X FTPALG-SPREAD\nCOMMIT\n"));
  CHECK(
      iptables_replace_text(listing, {}).ends_with("-X FTPALG-QUEUE\n-X FTPALG-SPREAD\nCOMMIT\n"));
  CHECK(iptables_replace_text(parse_iptables_listing("*mangle\n:FTPALG-SPREAD - [0:0]\n"), {}) ==
        "*mangle\n:FTPALG-SPREAD - [0:0]\n-X FTPALG-SPREAD\nCOMMIT\n");
  CHECK(whats(verify_iptables(listing, with_queues(1), Format::iptables, Family::ipv4)).back() ==
        "IPv4 chain FTPALG-SPREAD of table mangle is not part of the rules");
  CHECK(whats(verify_iptables(listing, with_queues(3), Format::iptables, Family::ipv4)).size() ==
        1);
}

TEST_CASE("the done mark is any bits, or none", "[rules]") {
  Ruleset ruleset;
  const auto iptables = [&] {
    return iptables_replace_text({}, own_listing(ruleset, Family::ipv4));
  };
  ruleset.done_mark = 0x00300000;
  CHECK(iptables().find("-m connmark ! --mark 0x300000/0x300000 -m bpf") != std::string::npos);
  CHECK(nft_apply_text(ruleset).find("ct mark & 0x00300000 == 0x00300000 return") !=
        std::string::npos);
  ruleset.done_mark = 0xffffffff;
  CHECK(iptables().find("-m connmark ! --mark 0xffffffff -m bpf") != std::string::npos);
  ruleset.done_mark = 0;
  CHECK(iptables().find("connmark") == std::string::npos);
  CHECK(nft_apply_text(ruleset).find("ct mark") == std::string::npos);
}

TEST_CASE("iptables text replaces what is there, and only what is ours", "[rules]") {
  const auto existing = parse_iptables_listing(R"(*raw
:PREROUTING ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:FTPALG-CARRIER - [0:0]
-A PREROUTING -p udp -j ACCEPT
-A PREROUTING -p tcp -m comment --comment ftpalg -j FTPALG-CARRIER
-A PREROUTING -i eth0 -p tcp -m comment --comment "by hand" -j FTPALG-CARRIER
-A FTPALG-CARRIER -p tcp -m tcp --dport 2121 -j CT --helper sane
COMMIT
)");
  SECTION("with a new set") {
    const std::string text = iptables_replace_text(existing, own_listing({}, Family::ipv4));
    CHECK(text.starts_with(R"(*raw
:FTPALG-CARRIER - [0:0]
-D PREROUTING -p tcp -m comment --comment ftpalg -j FTPALG-CARRIER
-D PREROUTING -i eth0 -p tcp -m comment --comment "by hand" -j FTPALG-CARRIER
-A FTPALG-CARRIER -m mark)"));
    CHECK(text.find("udp") == text.npos);
  }
  SECTION("with nothing, where only half is there") {
    CHECK(iptables_replace_text(existing, {}) == R"(*raw
:FTPALG-CARRIER - [0:0]
-D PREROUTING -p tcp -m comment --comment ftpalg -j FTPALG-CARRIER
-D PREROUTING -i eth0 -p tcp -m comment --comment "by hand" -j FTPALG-CARRIER
-X FTPALG-CARRIER
COMMIT
)");
  }
  SECTION("with nothing, where nothing is there") {
    CHECK(iptables_replace_text({}, {}).empty());
  }
}

TEST_CASE("what show prints can be pasted", "[rules]") {
  CHECK(nft_shell_text({}).starts_with("nft -f - <<'EOF'\ntable inet ftpalg\n"));
  CHECK(nft_shell_text({}).ends_with("}\nEOF\n"));
  const std::string legacy = iptables_shell_text({}, Format::iptables_legacy);
  CHECK(legacy.starts_with("iptables-legacy-restore --noflush <<'EOF'\n*raw\n"));
  CHECK(legacy.find("EOF\nip6tables-legacy-restore --noflush <<'EOF'\n") != legacy.npos);
  CHECK(legacy.ends_with("COMMIT\nEOF\n"));
}

// ---- the packet filter

constexpr std::uint8_t fin = 0x01;
constexpr std::uint8_t syn = 0x02;
constexpr std::uint8_t rst = 0x04;
constexpr std::uint8_t ack = 0x10;

void put_u16(std::vector<std::uint8_t>& packet, std::size_t at, std::size_t value) {
  packet[at] = static_cast<std::uint8_t>(value >> 8);
  packet[at + 1] = static_cast<std::uint8_t>(value);
}

// Headers full of ones, so that nothing passes by being zero.
std::vector<std::uint8_t> ipv4_packet(unsigned ihl, unsigned doff, std::uint8_t flags,
                                      std::size_t payload) {
  std::vector<std::uint8_t> packet(4 * ihl + 4 * doff + payload, 0xff);
  packet[0] = static_cast<std::uint8_t>(0x40 | ihl);
  put_u16(packet, 2, packet.size());
  packet[9] = 6;
  packet[4 * ihl + 12] = static_cast<std::uint8_t>(doff << 4 | 0x0f);
  packet[4 * ihl + 13] = flags;
  return packet;
}

std::vector<std::uint8_t> ipv6_packet(unsigned doff, std::uint8_t flags, std::size_t payload) {
  std::vector<std::uint8_t> packet(40 + 4 * doff + payload, 0xff);
  packet[0] = 0x60;
  put_u16(packet, 4, packet.size() - 40);
  packet[6] = 6;
  packet[40 + 12] = static_cast<std::uint8_t>(doff << 4 | 0x0f);
  packet[40 + 13] = flags;
  return packet;
}

bool is_queued(Family family, const std::vector<std::uint8_t>& packet) {
  std::vector<bpf_insn> program;
  for (const auto& [code, jump_if_true, jump_if_false, operand] :
       more_than_acknowledgement(family)) {
    program.push_back({code, jump_if_true, jump_if_false, operand});
  }
  REQUIRE(bpf_validate(program.data(), static_cast<int>(program.size())) != 0);
  const auto size = static_cast<unsigned>(packet.size());
  return bpf_filter(program.data(), packet.data(), size, size) != 0;
}

TEST_CASE("the filter lets pure acknowledgements by and queues the rest", "[rules]") {
  for (unsigned doff = 5; doff <= 15; ++doff) {
    for (unsigned ihl = 5; ihl <= 15; ++ihl) {
      INFO("ihl " << ihl << ", doff " << doff);
      CHECK_FALSE(is_queued(Family::ipv4, ipv4_packet(ihl, doff, ack, 0)));
      CHECK(is_queued(Family::ipv4, ipv4_packet(ihl, doff, ack, 1)));
      CHECK(is_queued(Family::ipv4, ipv4_packet(ihl, doff, ack, 1400)));
      for (const std::uint8_t flag : {fin, syn, rst}) {
        CHECK(is_queued(Family::ipv4,
                        ipv4_packet(ihl, doff, static_cast<std::uint8_t>(flag | ack), 0)));
        CHECK(is_queued(Family::ipv4, ipv4_packet(ihl, doff, flag, 0)));
      }
    }
    INFO("IPv6, doff " << doff);
    CHECK_FALSE(is_queued(Family::ipv6, ipv6_packet(doff, ack, 0)));
    CHECK(is_queued(Family::ipv6, ipv6_packet(doff, ack, 1)));
    CHECK(is_queued(Family::ipv6, ipv6_packet(doff, ack, 1400)));
    for (const std::uint8_t flag : {fin, syn, rst}) {
      CHECK(is_queued(Family::ipv6, ipv6_packet(doff, static_cast<std::uint8_t>(flag | ack), 0)));
    }
  }
}

TEST_CASE("the filter queues what it cannot judge", "[rules]") {
  auto extended = ipv6_packet(5, ack, 0);
  extended[6] = 0;  // hop-by-hop options first
  CHECK(is_queued(Family::ipv6, extended));

  // Super-segments beyond 64 KiB carry no length.
  auto big_ipv4 = ipv4_packet(5, 5, ack, 1000);
  put_u16(big_ipv4, 2, 0);
  CHECK(is_queued(Family::ipv4, big_ipv4));
  auto big_ipv6 = ipv6_packet(5, ack, 1000);
  put_u16(big_ipv6, 4, 0);
  CHECK(is_queued(Family::ipv6, big_ipv6));
}

// ---- listings

TEST_CASE("iptables-save is read", "[rules]") {
  const auto listing = parse_iptables_listing(R"(# Generated by iptables-nft-save v1.8.9
*raw
:PREROUTING ACCEPT [12:3456]
:MINE - [0:0]
-A PREROUTING -m comment --comment "say \"hi\" to it" -g MINE
-A MINE ! -i lo -p tcp -j CT --helper ftp
COMMIT
*mangle
:OUTPUT DROP [0:0]
COMMIT
)");
  REQUIRE(listing.tables.size() == 2);
  const IptablesTable& raw = listing.table("raw");
  CHECK(raw.has_chain("MINE"));
  CHECK_FALSE(raw.has_chain("OUTPUT"));
  REQUIRE(raw.rules.size() == 2);
  CHECK(raw.rules[0].words ==
        std::vector<std::string>{"-m", "comment", "--comment", "say \"hi\" to it", "-g", "MINE"});
  CHECK(raw.rules[0].specification == R"(-m comment --comment "say \"hi\" to it" -g MINE)");
  CHECK(raw.rules[0].target() == "MINE");
  CHECK(raw.rules_of("MINE")[0].value_of("--helper") == "ftp");
  CHECK(raw.rules_of("MINE")[0].value_of("--dport").empty());
  CHECK(listing.table("mangle").chains[0].policy == "DROP");
  CHECK(listing.table("nat").rules.empty());

  // What comes from elsewhere may be anything.
  for (const char* text : {"", "\n", "*", ":X", "-A", "-A ", "*t\n-A \n:\n-A X\n-A X \"open"}) {
    static_cast<void>(parse_iptables_listing(text));
  }
}

constexpr std::string_view foreign_nft = R"(table inet firewall { # handle 1
	ct helper ftp-std { # handle 2
		type "ftp" protocol tcp
		l3proto inet
	}

	set ports { # handle 3
		type inet_service
		elements = { 21, 990,
			     2121 }
	}

	chain early { # handle 4
		type filter hook prerouting priority -300; policy accept;
		udp dport 53 notrack # handle 5
		tcp dport 20-30 notrack # handle 6
		jump more # handle 7
	}

	chain more { # handle 8
		tcp dport 8080 queue flags bypass to 3 # handle 9
		iif "lo" notrack # handle 10
		tcp dport @ports queue to 4 # handle 11
	}

	chain help { # handle 12
		type filter hook prerouting priority -150; policy accept;
		tcp dport 2020 ct helper set "ftp-std" # handle 13
		tcp dport { 21, 2121 } ct helper set "ftp-std" # handle 14
		ct helper set tcp dport map { 21 : "ftp-std" } # handle 15
	}
}
table ip6 other {
	chain c {
		type filter hook input priority 0; policy accept;
		queue to 3
	}
}
)";

TEST_CASE("nft list ruleset is read", "[rules]") {
  const auto tables = parse_nft_listing(foreign_nft);
  REQUIRE(tables.size() == 2);
  CHECK(tables[0].title() == "inet firewall");
  CHECK(tables[0].helpers.at("ftp-std") == "type \"ftp\" protocol tcp\nl3proto inet\n");
  REQUIRE(tables[0].chains.size() == 3);
  const NftChain* early = tables[0].chain("early");
  REQUIRE(early != nullptr);
  CHECK(early->hook() == "prerouting");
  CHECK(early->priority() == -300);
  REQUIRE(early->rules.size() == 3);
  CHECK(early->rules[1].text == "tcp dport 20-30 notrack");
  CHECK(early->rules[1].handle == "6");
  CHECK(tables[0].chain("more")->hook().empty());
  CHECK(tables[0].chain("more")->priority() == std::nullopt);
  CHECK(tables[1].chain("c")->rules[0].text == "queue to 3");

  for (const char* text : {"", "table", "table {", "table x {", "}\n}\n}", "chain a {\nx\n}",
                           "table inet x {\nchain c {\ntype filter hook\n"}) {
    static_cast<void>(parse_nft_listing(text));
  }
}

TEST_CASE("a rule's reach is read from its text", "[rules]") {
  const std::vector<std::uint16_t> control{21, 2121};
  const auto iptables = [&](const std::string& rule) {
    return may_reach(parse_iptables_listing("*raw\n-A C " + rule).tables[0].rules[0], control);
  };
  CHECK(iptables("-j ACCEPT"));
  CHECK(iptables("-p tcp -j ACCEPT"));
  CHECK(iptables("! -p udp -j ACCEPT"));
  CHECK(iptables("! -i lo -j ACCEPT"));
  CHECK(iptables("-p tcp -m tcp --dport 20:30 -j ACCEPT"));
  CHECK(iptables("-p tcp -m tcp ! --dport 80 -j ACCEPT"));
  CHECK(iptables("-p tcp -m multiport --dports 80,2121 -j ACCEPT"));
  CHECK_FALSE(iptables("-p udp -j ACCEPT"));
  CHECK_FALSE(iptables("-i lo -j ACCEPT"));
  CHECK_FALSE(iptables("-p tcp -m tcp --dport 22:30 -j ACCEPT"));
  CHECK_FALSE(iptables("-p tcp -m multiport --dports 80,100:200 -j ACCEPT"));

  CHECK(may_reach("notrack", control));
  CHECK(may_reach("tcp dport 21 notrack", control));
  CHECK(may_reach("tcp dport != 80 notrack", control));
  CHECK(may_reach("tcp dport { 80, 2000-3000 } notrack", control));
  CHECK(may_reach("tcp dport @web notrack", control));
  CHECK(may_reach("ct helper set tcp dport map { 80 : \"x\", 21 : \"ftp\" }", control));
  CHECK_FALSE(may_reach("ct helper set tcp dport map { 80 : \"ftp\" }", control));
  CHECK_FALSE(may_reach("tcp dport { 80, 443 } notrack", control));
  CHECK_FALSE(may_reach("udp dport 21 notrack", control));
  CHECK_FALSE(may_reach("meta mark 1 udp dport 21 notrack", control));
  CHECK_FALSE(may_reach("iifname \"lo\" notrack", control));
}

// ---- verification

TEST_CASE("rules as applied are found in place", "[rules]") {
  for (const Family family : {Family::ipv4, Family::ipv6}) {
    const Ruleset ruleset = ports({21, 2121});
    const auto listing = restored(iptables_replace_text({}, own_listing(ruleset, family)));
    CHECK(verify_iptables(listing, ruleset, Format::iptables, family).empty());
    CHECK(ftp_helper_in_iptables(listing, ruleset, Format::iptables, family).empty());
    CHECK(shadows_in_iptables(listing, ruleset, Format::iptables, family).empty());
  }
}

TEST_CASE("missing iptables rules are named with their mend", "[rules]") {
  Ruleset ruleset = ports({21, 2121});
  ruleset.queue = 5;
  CHECK(verify_iptables({}, ruleset, Format::iptables_legacy, Family::ipv6) ==
        std::vector<Discrepancy>{
            {"the rules for IPv6 are missing",
             "ftpalg rules apply --format iptables-legacy --port 21 --port 2121 --queue 5"}});

  auto listing = restored(iptables_replace_text({}, own_listing(with_queues(1), Family::ipv4)));
  IptablesTable& raw = listing.tables[0];
  SECTION("half of them") {
    listing.tables.pop_back();
    CHECK(whats(verify_iptables(listing, with_queues(1), Format::iptables, Family::ipv4)) ==
          std::vector<std::string>{"IPv4 chain FTPALG-QUEUE of table mangle is missing"});
  }
  SECTION("a jump") {
    std::erase_if(raw.rules, [](const IptablesRule& rule) { return rule.chain == "OUTPUT"; });
    CHECK(whats(verify_iptables(listing, with_queues(1), Format::iptables, Family::ipv4)) ==
          std::vector<std::string>{"IPv4 chain OUTPUT of table raw lacks '-p tcp -m comment "
                                   "--comment ftpalg -j FTPALG-CARRIER'"});
  }
  SECTION("a rule, with another in its place") {
    raw.rules.back().specification = "-p tcp -m tcp --dport 2121 -j CT --helper sane";
    CHECK(whats(verify_iptables(listing, with_queues(1), Format::iptables, Family::ipv4)) ==
          std::vector<std::string>{
              "IPv4 chain FTPALG-CARRIER of table raw lacks '-p tcp -m tcp --dport 21 -j CT "
              "--helper sane' and has '-p tcp -m tcp --dport 2121 -j CT --helper sane' instead or "
              "beside"});
  }
  SECTION("their order") {
    std::swap(raw.rules[2], raw.rules[5]);
    CHECK(whats(verify_iptables(listing, with_queues(1), Format::iptables, Family::ipv4)) ==
          std::vector<std::string>{
              "IPv4 chain FTPALG-CARRIER of table raw has its rules out of order"});
  }
  SECTION("a jump that stands twice") {
    raw.rules.push_back(raw.rules.front());
    CHECK(verify_iptables(listing, with_queues(1), Format::iptables, Family::ipv4).size() == 1);
  }
}

// The rules as applied, with `text` before them in the same tables.
IptablesListing shadowed_by(const std::string& text) {
  auto listing = restored(iptables_replace_text({}, own_listing({}, Family::ipv4)));
  for (const IptablesTable& added : parse_iptables_listing(text).tables) {
    const auto into = std::ranges::find(listing.tables, added.name, &IptablesTable::name);
    into->chains.insert(into->chains.end(), added.chains.begin(), added.chains.end());
    into->rules.insert(into->rules.begin(), added.rules.begin(), added.rules.end());
  }
  return listing;
}

TEST_CASE("iptables rules before the jump that take control connections away are found",
          "[rules]") {
  const auto count = [](const std::string& text) {
    return verify_iptables(shadowed_by(text), {}, Format::iptables, Family::ipv4).size();
  };
  CHECK(count("*mangle\n-A PREROUTING -p tcp -j ACCEPT\n") == 1);
  CHECK(count("*mangle\n-A OUTPUT -j NFQUEUE --queue-num 0\n") == 1);
  CHECK(count("*raw\n-A PREROUTING -p tcp -m tcp --dport 21 -j CT --notrack\n") == 1);
  CHECK(count("*raw\n:X - [0:0]\n-A PREROUTING -j X\n-A X -p tcp -j DROP\n") == 1);
  CHECK(count("*raw\n:X - [0:0]\n:Y - [0:0]\n-A OUTPUT -g X\n-A X -j Y\n-A Y -j NOTRACK\n") == 1);

  CHECK(count("*mangle\n-A PREROUTING -p udp -j ACCEPT\n") == 0);
  CHECK(count("*mangle\n-A PREROUTING -p tcp -m tcp --dport 80 -j ACCEPT\n") == 0);
  CHECK(count("*mangle\n-A PREROUTING -j MARK --set-xmark 0x1/0xffffffff\n") == 0);
  CHECK(count("*mangle\n-A POSTROUTING -j ACCEPT\n") == 0);
  CHECK(count("*raw\n-A PREROUTING -j CT --zone 3\n") == 0);
  CHECK(count("*raw\n:X - [0:0]\n-A PREROUTING -p tcp -j X\n-A X -j RETURN\n") == 0);
  // No kernel has a loop; no text brings one in.
  CHECK(count("*raw\n:X - [0:0]\n-A PREROUTING -j X\n-A X -j X\n") == 0);

  const auto found =
      verify_iptables(shadowed_by("*mangle\n-A PREROUTING -s 10.0.0.0/8 -j ACCEPT\n"), {},
                      Format::iptables, Family::ipv4);
  REQUIRE(found.size() == 1);
  CHECK(found[0] == Discrepancy{"IPv4 rule '-A PREROUTING -s 10.0.0.0/8 -j ACCEPT' of table mangle "
                                "stands before the jump to FTPALG-QUEUE and can take control "
                                "connections away from it",
                                "ftpalg rules apply --format iptables"});
}

TEST_CASE("the kernel's ftp helper on control connections is found", "[rules]") {
  const auto listing = parse_iptables_listing(
      "*raw\n:PREROUTING ACCEPT [0:0]\n"
      "-A PREROUTING -p tcp -m tcp --dport 2020 -j CT --helper ftp\n"
      "-A PREROUTING -p udp -m udp --dport 69 -j CT --helper tftp\n"
      "-A PREROUTING -p tcp -m tcp --dport 21 -j CT --helper ftp\n");
  CHECK(ftp_helper_in_iptables(listing, {}, Format::iptables_legacy, Family::ipv6) ==
        std::vector<Discrepancy>{
            {"IPv6 rule '-A PREROUTING -p tcp -m tcp --dport 21 -j CT --helper ftp' of table raw "
             "gives the kernel's ftp helper to control connections",
             "ip6tables-legacy -t raw -D PREROUTING -p tcp -m tcp --dport 21 -j CT --helper ftp"}});

  const auto found = ftp_helper_in_nft(parse_nft_listing(foreign_nft), {});
  REQUIRE(found.size() == 2);
  CHECK(found[0].mend == "nft delete rule inet firewall help handle 14");
  CHECK(found[1].mend == "nft delete rule inet firewall help handle 15");
  CHECK(ftp_helper_in_nft(parse_nft_listing(foreign_nft), ports({990})).empty());
}

TEST_CASE("foreign rules hooked before ours are found", "[rules]") {
  const auto in_nft = shadows_in_nft(parse_nft_listing(foreign_nft), {});
  REQUIRE(in_nft.size() == 2);
  CHECK(in_nft[0].mend == "nft delete rule inet firewall early handle 6");
  CHECK(in_nft[1].mend == "nft delete rule inet firewall more handle 11");

  const auto listing = parse_iptables_listing(
      "*raw\n:PREROUTING ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n"
      "-A PREROUTING -p tcp -j ACCEPT\n-A PREROUTING -p tcp -j CT --notrack\n");
  const auto in_iptables = shadows_in_iptables(listing, {}, Format::iptables, Family::ipv4);
  REQUIRE(in_iptables.size() == 1);
  CHECK(in_iptables[0].mend == "iptables -t raw -D PREROUTING -p tcp -j CT --notrack");
}

TEST_CASE("rules that put control connections into a zone are found", "[rules]") {
  const auto in_iptables = [](const std::string& rule) {
    return zones_in_iptables(parse_iptables_listing("*raw\n-A PREROUTING " + rule + "\n"), {},
                             Family::ipv4);
  };
  CHECK(in_iptables("-i eth1 -j CT --zone 5").size() == 1);
  CHECK(in_iptables("-p tcp -m tcp --dport 21 -j CT --zone-orig 5").size() == 1);
  CHECK(in_iptables("-p tcp -j CT --zone-reply mark").size() == 1);
  CHECK(in_iptables("-p udp -j CT --zone 5").empty());
  CHECK(in_iptables("-p tcp -m tcp --dport 80 -j CT --zone 5").empty());
  CHECK(in_iptables("-p tcp -m tcp --dport 21 -j CT --helper sane").empty());
  CHECK(zones_in_iptables(own_listing({}, Family::ipv4), {}, Family::ipv4).empty());

  const auto found = zones_in_nft(parse_nft_listing(R"(table inet tenants {
	chain prerouting {
		type filter hook prerouting priority -300; policy accept;
		iifname "a" ct zone set 1 # handle 2
		iifname "b" ct original zone set 2 # handle 3
		udp dport 53 ct zone set 3 # handle 4
		ct zone 1 accept # handle 5
	}
}
)"),
                                  {});
  REQUIRE(found.size() == 2);
  CHECK(found[0].what ==
        "nft rule 'iifname \"a\" ct zone set 1' in table inet tenants, chain prerouting, puts "
        "control "
        "connections into a conntrack zone, where rules of ftpalg for iptables cannot give them a "
        "carrier");
  CHECK(found[0].mend.starts_with("ftpalg rules apply --format nft"));
}

TEST_CASE("our nft table is compared with what it should be", "[rules]") {
  const std::string_view listing = R"(table inet ftpalg {
	ct helper carrier_ipv4 {
		type "sane" protocol tcp
		l3proto ip
	}
	chain prerouting {
		type filter hook prerouting priority -150; policy accept;
		iif "lo" return
		tcp dport 21 jump control
	}
	chain control {
		queue flags bypass to 21
	}
}
)";
  const NftTable expected = parse_nft_listing(listing)[0];
  NftTable actual = expected;
  const auto found = [&] { return whats(verify_nft_table(actual, expected, {})); };
  CHECK(found().empty());

  SECTION("helper") {
    actual.helpers["carrier_ipv4"] = "type \"irc\" protocol tcp\nl3proto ip\n";
    CHECK(found() ==
          std::vector<std::string>{"object 'ct helper carrier_ipv4' of table inet ftpalg is "
                                   "another"});
    actual.helpers.clear();
    CHECK(found() ==
          std::vector<std::string>{"object 'ct helper carrier_ipv4' of table inet ftpalg is "
                                   "missing"});
  }
  SECTION("chain") {
    actual.chains.pop_back();
    CHECK(found() == std::vector<std::string>{"chain control of table inet ftpalg is missing"});
  }
  SECTION("rule") {
    actual.chains[0].rules.erase(actual.chains[0].rules.begin());
    CHECK(found() ==
          std::vector<std::string>{"chain prerouting of table inet ftpalg lacks 'iif \"lo\" "
                                   "return'"});
  }
  SECTION("hook") {
    actual.chains[0].type = "type filter hook prerouting priority 0; policy accept;";
    CHECK(found().size() == 1);
  }
  SECTION("foreign chain") {
    actual.chains.push_back({"mine", {}, {}});
    CHECK(found() == std::vector<std::string>{"chain mine of table inet ftpalg is not part of it"});
  }
}

// ---- the connection mark

TEST_CASE("which bits of the connection mark a rule uses is read from its text", "[rules]") {
  const auto iptables = [](const std::string& rule) {
    return mark_bits_used(
        parse_iptables_listing("*mangle\n-A PREROUTING " + rule + "\n").tables[0].rules[0]);
  };
  // As iptables-save prints them.
  CHECK(iptables("-p tcp -j ACCEPT") == 0);
  CHECK(iptables("-m mark --mark 0x1 -j ACCEPT") == 0);
  CHECK(iptables("-j MARK --set-xmark 0x1/0xffffffff") == 0);
  CHECK(iptables("-m connmark --mark 0x1 -j ACCEPT") == 0xffffffff);
  CHECK(iptables("-m connmark ! --mark 0x0/0xff -j ACCEPT") == 0xff);
  CHECK(iptables("-m connmark --mark 0x1/0xf -m mark --mark 0x1 -j ACCEPT") == 0xf);
  CHECK(iptables("-j CONNMARK --set-xmark 0x1/0xffffffff") == 0xffffffff);
  CHECK(iptables("-j CONNMARK --set-xmark 0x1/0x3") == 0x3);
  CHECK(iptables("-j CONNMARK --set-xmark 0x100/0xff") == 0x1ff);
  CHECK(iptables("-j CONNMARK --restore-mark --nfmask 0xffffffff --ctmask 0xffffffff") ==
        0xffffffff);
  CHECK(iptables("-j CONNMARK --save-mark --nfmask 0xffffffff --ctmask 0xff") == 0xff);

  const auto nft = [](std::string_view rule) { return mark_bits_used(rule); };
  // As nft -nn -y prints them.
  CHECK(nft("tcp dport 21 accept") == 0);
  CHECK(nft("meta mark 0x00000001 accept") == 0);
  CHECK(nft("ct mark 0x00000001 accept") == 0xffffffff);
  CHECK(nft("ct mark { 0x00000001, 0x00000002 } accept") == 0xffffffff);
  CHECK(nft("ct mark & 0x000000ff == 0x00000001 accept") == 0xff);
  CHECK(nft("ct mark set 0x00000001") == 0xffffffff);
  CHECK(nft("ct mark set meta mark & 0x000000ff") == 0xffffffff);
  CHECK(nft("meta mark set ct mark & 0x000000ff") == 0xff);
  CHECK(nft("meta mark set ct mark") == 0xffffffff);
  CHECK(nft("ct mark set ct mark | 0x00000001") == 0x1);
  CHECK(nft("ct mark set ct mark & 0xffffff01 | 0x00000001 accept") == 0xff);
  CHECK(nft("ct mark set ct mark << 0x00000008") == 0xffffffff);
  CHECK(nft("ct mark & 0x000000f0 == 0x00000010 ct mark set ct mark | 0x00000001") == 0xf1);
}

TEST_CASE("foreign rules on bits of the done mark are found, and a free bit is named", "[rules]") {
  const auto foreign = parse_iptables_listing(R"(*mangle
-A PREROUTING -j CONNMARK --restore-mark --nfmask 0xff --ctmask 0xff
-A POSTROUTING -j CONNMARK --set-xmark 0x1000000/0xff000000
-A POSTROUTING -p udp -j CONNMARK --set-xmark 0x1/0xffffffff
)");
  const auto own = own_listing({}, Family::ipv4);
  CHECK(mark_conflicts({own}, {}, {}).empty());
  CHECK(mark_conflicts({own, foreign}, {}, {}) ==
        std::vector<Discrepancy>{
            {"rule '-A POSTROUTING -j CONNMARK --set-xmark 0x1000000/0xff000000' of table mangle "
             "uses bits of the connection mark that ftpalg sets once it has done with a connection "
             "(0x1000000)",
             "ftpalg rules apply --done-mark 0x800000, with the same --done-mark on check and "
             "run"}});

  const auto tables = parse_nft_listing(R"(table inet wan {
	chain prerouting {
		type filter hook prerouting priority -150; policy accept;
		ct mark 0x00000001 meta mark set 0x00000001 # handle 4
	}
}
)");
  CHECK(
      mark_conflicts({}, tables, {}) ==
      std::vector<Discrepancy>{
          {"rule 'ct mark 0x00000001 meta mark set 0x00000001' in table inet wan, chain "
           "prerouting, uses bits of the connection mark that ftpalg sets once it has done with a "
           "connection (0x1000000)",
           "ftpalg rules apply --done-mark 0x0, with the same --done-mark on check and run; or "
           "give these rules masks"}});
}

// ---- preflight

Machine good_machine() {
  Machine machine;
  machine.privileges = {true, true};
  machine.trials = Trials{};
  machine.nft_has_queue = true;
  machine.sysctls = {{"net.ipv4.ip_forward", 1},
                     {"net.ipv6.conf.all.forwarding", 1},
                     {"net.netfilter.nf_conntrack_expect_max", 1024},
                     {"net.netfilter.nf_conntrack_tcp_timeout_established", 432000},
                     {"net.netfilter.nf_conntrack_max", 262144},
                     {"net.netfilter.nf_conntrack_count", 10}};
  return machine;
}

const Finding& finding(const std::vector<Finding>& findings, std::string_view name) {
  const auto found = std::ranges::find(findings, name, &Finding::name);
  REQUIRE(found != findings.end());
  return *found;
}

TEST_CASE("preflight passes a good machine", "[rules]") {
  const auto findings = preflight({}, good_machine());
  CHECK(would_work(findings));
  for (const Finding& each : findings) {
    INFO(each.name);
    CHECK(each.ok);
    CHECK_FALSE(each.detail.empty());
    CHECK(each.mend.empty());
  }
}

TEST_CASE("preflight names what is wrong, and how bad it is", "[rules]") {
  Machine machine = good_machine();
  const auto judged = [&](std::string_view name) {
    const auto findings = preflight({}, machine);
    const Finding& found = finding(findings, name);
    CHECK_FALSE(found.ok);
    CHECK_FALSE(found.mend.empty());
    CHECK(would_work(findings) == (found.severity != Severity::needed));
    return found.severity;
  };
  SECTION("rights") {
    machine.privileges.net_raw = false;
    CHECK(judged("rights") == Severity::needed);
  }
  SECTION("nothing could be tried") {
    machine.trials = tl::make_unexpected(std::string{"no"});
    CHECK(judged("kernel") == Severity::needed);
  }
  SECTION("a kernel without NFQUEUE") {
    machine.trials->nfqueue = "no";
    CHECK(judged("NFQUEUE") == Severity::needed);
  }
  SECTION("a kernel without connection marks") {
    machine.trials->marks = "no";
    CHECK(judged("connection marks") == Severity::warning);
  }
  SECTION("rules that use the same bits of the connection mark") {
    machine.mark_conflicts = {{"rule x uses bits", "ftpalg rules apply --done-mark 0"}};
    CHECK(judged("connection mark") == Severity::warning);
  }
  SECTION("a kernel without the carrier for IPv4") {
    machine.trials->carrier_ipv4 = "no";
    CHECK(judged("carrier, IPv4") == Severity::needed);
  }
  SECTION("a kernel without offsets for IPv6") {
    machine.trials->offsets_ipv6 = "no";
    CHECK(judged("offsets, IPv6") == Severity::warning);
    machine.has_ipv6 = false;
    CHECK(judged("offsets, IPv6") == Severity::note);
  }
  SECTION("rules that the firewall does not take") {
    machine.format = Format::iptables;
    machine.rehearsal =
        "iptables-restore failed: no match 'cluster'; nothing was changed; mend: --queues 1";
    CHECK(judged("firewall") == Severity::needed);
    const auto findings = preflight({}, machine);
    const auto found = std::ranges::find(findings, "firewall", &Finding::name);
    CHECK(found->detail ==
          "rules of format iptables cannot be put in place: iptables-restore failed: no "
          "match 'cluster'; nothing was changed");
    CHECK(found->mend == "--queues 1");
  }
  SECTION("a queue that is taken") {
    machine.queue_owners = {QueueOwner{22, 99, 1234, "suricata"}};
    CHECK(judged("queue 22") == Severity::needed);
    machine.queue_owners = {QueueOwner{22, 99, std::nullopt, {}}};
    CHECK(judged("queue 22") == Severity::needed);
  }
  SECTION("no forwarding") {
    machine.sysctls["net.ipv6.conf.all.forwarding"] = 0;
    CHECK(judged("forwarding, IPv6") == Severity::warning);
    machine.sysctls["net.ipv4.ip_forward"] = 0;
    CHECK(judged("forwarding, IPv4") == Severity::needed);
  }
  SECTION("rules") {
    machine.rules = {{"x is missing", "ftpalg rules apply"}};
    CHECK(judged("rules") == Severity::needed);
  }
  SECTION("sysctls") {
    machine.sysctls["net.netfilter.nf_conntrack_expect_max"] = 1;
    CHECK(judged("net.netfilter.nf_conntrack_expect_max") == Severity::warning);
    machine.sysctls["net.netfilter.nf_conntrack_tcp_timeout_established"] = 300;
    CHECK(judged("net.netfilter.nf_conntrack_tcp_timeout_established") == Severity::warning);
    machine.sysctls["net.netfilter.nf_conntrack_count"] = 262000;
    CHECK(judged("net.netfilter.nf_conntrack_max") == Severity::warning);
    machine.sysctls["net.ipv4.conf.all.rp_filter"] = 1;
    CHECK(judged("net.ipv4.conf.all.rp_filter") == Severity::note);
  }
  SECTION("no queue in nft") {
    machine.nft_has_queue = false;
    CHECK(judged("nft queue") == Severity::note);
  }
}

TEST_CASE("the owner of a queue is read", "[rules]") {
  const std::string_view text =
      "    3  31337     0 2 65531     0     0       17  1\n"
      "   21 2794881  0 2 65531     0     0        0  1\n";
  CHECK(queue_owner_port(text, 21) == 2794881u);
  CHECK(queue_owner_port(text, 3) == 31337u);
  CHECK(queue_owner_port(text, 2) == std::nullopt);
  CHECK(queue_owner_port("", 21) == std::nullopt);

  const std::string_view sockets =
      "sk               Eth Pid        Groups   Rmem     Wmem     Dump  Locks    Drops    Inode\n"
      "0000000026e0717b 0   2794881    00000000 0        0        0     2        0        4       "
      "\n"
      "00000000b9576cc3 12  31337      00000000 0        0        0     2        0        486     "
      "\n"
      "00000000c68fdd88 12  2794881    00000000 0        0        0     2        0        488     "
      "\n";
  CHECK(socket_inode(sockets, 2794881) == 488ul);
  CHECK(socket_inode(sockets, 4) == std::nullopt);
  CHECK(socket_inode("", 4) == std::nullopt);
}

TEST_CASE("a gateway that runs is no obstacle, unless it serves a part of the queues", "[rules]") {
  Machine machine = good_machine();
  const Ruleset two = with_queues(2);
  machine.queue_owners = {QueueOwner{21, 99, 1234, "ftpalg"}, QueueOwner{22, 98, 1234, "ftpalg"}};
  CHECK(would_work(preflight(two, machine)));
  machine.queue_owners.pop_back();
  const auto findings = preflight(two, machine);
  CHECK_FALSE(would_work(findings));
  CHECK(finding(findings, "queues 21-22").detail ==
        "ftpalg serves 1 of them, and packets of the others pass unread");
}

// ---- programs

TEST_CASE("a program is fed and read", "[rules]") {
  const auto cat = find_program("cat");
  REQUIRE(cat);
  // More than the sockets hold, both ways at once.
  const std::string much(1 << 20, 'x');
  const auto copied = run_program({*cat}, much);
  REQUIRE(copied);
  CHECK(copied->exit_status == 0);
  CHECK(copied->out == much);

  const auto failed = run_program({*cat, "/no/such/file"});
  REQUIRE(failed);
  CHECK(failed->exit_status == 1);
  CHECK(failed->err.find("/no/such/file") != std::string::npos);

  const auto deaf = run_program({*find_program("true")}, much);
  REQUIRE(deaf);
  CHECK(deaf->exit_status == 0);

  CHECK_FALSE(run_program({"/no/such/program"}).has_value());
  CHECK_FALSE(find_program("no-such-program"));
}

}  // namespace
