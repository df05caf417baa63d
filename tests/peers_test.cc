// SPDX-License-Identifier: GPL-2.0-or-later
// The defects of other gateways (shared/peers.md), each as a test that it is none of ours.
#include <catch2/catch.hpp>

#include "conversation.h"

namespace ftpalg::test {
namespace {

const std::string login_to_server = "USER a\r\nPASS b\r\n";

/// Every way with either owner of the offsets, text whole.
Ways whole(OffsetOwner owner) {
  return {.owner = owner};
}
const std::array owners{OffsetOwner::kernel, OffsetOwner::engine};

TEST_CASE("not as the kernel helper: an odd reply is forwarded, not dropped") {
  for (const char* line : {"227 Logout.\r\n", "227\r\n", "229 nothing\r\n", "227 (1,2,3\r\n"}) {
    Conversation conversation(server_behind_dnat(), {});
    conversation.log_in();
    conversation.client("PASV\r\n");
    conversation.server(line);
    CHECK(conversation.client_received().ends_with(line));
    CHECK(conversation.segments_dropped() == 0);
  }
}

TEST_CASE("not as the kernel helper: a split PORT does not stall the session") {
  Conversation conversation(client_behind_snat(), {.cut_at = 9});
  conversation.log_in();
  conversation.client("PORT 10,0,0,2,195,80\r\n");
  CHECK(conversation.server_received() == login_to_server + "PORT 203,0,113,100,195,80\r\n");
  CHECK(conversation.segments_dropped() == 0);
}

TEST_CASE(
    "not as the kernel helper: every line of a segment is looked at, edits sit at their line") {
  for (const OffsetOwner owner : owners) {
    Policy policy;
    policy.active_needs_quiet = false;
    Conversation conversation(client_behind_snat(), whole(owner), policy);
    conversation.log_in();
    conversation.client("TYPE I\r\nNOOP\r\nPORT 10,0,0,2,195,80\r\nSYST\r\n");
    conversation.client("NOOP\r\n");
    CHECK(conversation.server_received() ==
          login_to_server + "TYPE I\r\nNOOP\r\nPORT 203,0,113,100,195,80\r\nSYST\r\nNOOP\r\n");
  }
}

TEST_CASE("not as conntrack-tools: 229 is expected at the end that the client dialled") {
  Conversation conversation(both_nated(), {});
  conversation.log_in();
  conversation.client("EPSV\r\n");
  conversation.server("229 ok (|||50000|)\r\n");
  REQUIRE(conversation.expectations().all().size() == 1);
  CHECK(conversation.expectations().all()[0].destination == endpoint("9.9.9.9", 50000));
  CHECK(conversation.expectations().all()[0].source == *Address::parse("10.0.0.2"));
}

TEST_CASE("not as conntrack-tools: lower case is read, octets are checked, IPv6 works") {
  Conversation lower(client_behind_snat(), {});
  lower.log_in();
  lower.client("port 10,0,0,2,195,80\r\n");
  CHECK(lower.expectations().all().size() == 1);

  Conversation octets(client_behind_snat(), {});
  octets.log_in();
  octets.client("PORT 266,0,0,2,195,80\r\n");
  CHECK(octets.expectations().all().empty());

  Conversation ipv6(master_of(endpoint("fd00::2", 40000), endpoint("2001:db8::2", 40000),
                              endpoint("2001:db8:1::1", 21), endpoint("2001:db8:1::1", 21)),
                    {});
  ipv6.log_in();
  ipv6.client("EPRT |2|fd00::2|50000|\r\n");
  CHECK(ipv6.server_received() == login_to_server + "EPRT |2|2001:db8::2|50000|\r\n");
}

TEST_CASE("not as Open vSwitch: a line behind the first 128 bytes is found") {
  for (const OffsetOwner owner : owners) {
    Policy policy;
    policy.active_needs_quiet = false;
    Conversation conversation(client_behind_snat(), whole(owner), policy);
    conversation.log_in();
    const std::string before = "SITE " + std::string(300, 'x') + "\r\n";
    conversation.client(before + "PORT 10,0,0,2,195,80\r\n");
    CHECK(conversation.server_received() ==
          login_to_server + before + "PORT 203,0,113,100,195,80\r\n");
  }
}

TEST_CASE("not as Open vSwitch: PORT from the server and 227 from the client open nothing") {
  Conversation conversation(both_nated(), {});
  conversation.log_in();
  conversation.server("PORT 192,168,100,200,195,80\r\n");
  conversation.client("PASV\r\n");
  conversation.client("227 Entering Passive Mode (10,0,0,2,195,80)\r\n");
  CHECK(conversation.expectations().all().empty());
}

TEST_CASE("not as Open vSwitch: edits in both directions keep offsets of their own") {
  for (const OffsetOwner owner : owners) {
    Conversation conversation(both_nated(), whole(owner));
    conversation.log_in();
    conversation.client("PORT 10,0,0,2,195,80\r\n");
    conversation.server("200 ok\r\n");
    conversation.client("PASV\r\n");
    conversation.server("227 (192,168,100,200,195,80)\r\n");
    conversation.client("NOOP\r\n");
    conversation.server("200 ok\r\n");
    CHECK(conversation.server_received() ==
          login_to_server + "PORT 203,0,113,100,195,80\r\nPASV\r\nNOOP\r\n");
    CHECK(conversation.client_received().ends_with("227 (9,9,9,9,195,80)\r\n200 ok\r\n"));
  }
}

TEST_CASE("not as Open vSwitch: a retransmitted PORT shifts once") {
  Conversation conversation(client_behind_snat(), {});
  conversation.log_in();
  conversation.lose_after_engine(Direction::original, true);
  conversation.send_segment(Direction::original, "PORT 10,0,0,2,195,80\r\n");
  const SequenceOffset once = conversation.masters().all()[0].offsets[0];
  conversation.run_timer(Direction::original, 3);
  CHECK(conversation.masters().all()[0].offsets[0] == once);
  CHECK(conversation.expectations().all().size() == 1);
}

TEST_CASE("not as Open vSwitch (CVE-2026-34956): a long PORT overflows nothing") {
  Conversation conversation(client_behind_snat(), {});
  conversation.log_in();
  const std::string line = "PORT " + std::string(5000, '1') + ",2,3,4,5,6\r\n";
  conversation.client(line);
  CHECK(conversation.server_received() == login_to_server + line);
  CHECK(conversation.expectations().all().empty());
}

TEST_CASE("not as OpenBSD ftp-proxy: explicit FTPS lives on after its first TLS byte") {
  for (const OffsetOwner owner : owners) {
    Conversation conversation(both_nated(), whole(owner));
    conversation.server("220 ready\r\n");
    conversation.client("AUTH TLS\r\n");
    conversation.server("234 go\r\n");
    const std::string record("\x16\x03\x01\x00\x05hello\nPORT 10,0,0,2,195,80\r\n", 34);
    conversation.client(record);
    conversation.server(record);
    CHECK(conversation.server_received().ends_with(record));
    CHECK(conversation.client_received().ends_with(record));
    CHECK(conversation.expectations().all().empty());
  }
}

TEST_CASE("not as libalias: pipelined commands survive an edit") {
  Conversation conversation(client_behind_snat(), {});
  conversation.log_in();
  conversation.client("PORT 10,0,0,2,195,80\r\nRETR x\r\n");
  CHECK(conversation.server_received() ==
        login_to_server + "PORT 203,0,113,100,195,80\r\nRETR x\r\n");
}

TEST_CASE("not as ipfilter: the edit sits where the host-port was") {
  Conversation conversation(server_behind_dnat(), {});
  conversation.log_in();
  conversation.client("NOOP\r\n");
  conversation.client("PASV\r\n");
  conversation.server("200 ok\r\n227 Entering Passive Mode (192,168,100,200,195,80)\r\n");
  CHECK(conversation.client_received().ends_with(
      "200 ok\r\n227 Entering Passive Mode (9,9,9,9,195,80)\r\n"));
}

TEST_CASE("not as IPVS: the address in PORT and 227 must be the peer's own") {
  Conversation conversation(both_nated(), {});
  conversation.log_in();
  conversation.client("PORT 10,0,0,99,195,80\r\n");
  CHECK(conversation.take_decisions().back().reason == Reason::foreign_address);
  conversation.server("500 no\r\n");
  conversation.client("PASV\r\n");
  conversation.server("227 (10,0,0,99,195,80)\r\n");
  CHECK(conversation.take_decisions().back().reason == Reason::foreign_address);
  CHECK(conversation.expectations().all().empty());
}

}  // namespace
}  // namespace ftpalg::test
