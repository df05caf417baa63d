// SPDX-License-Identifier: GPL-2.0-or-later
#include "alg/policy.h"

#include <catch2/catch.hpp>

#include "conversation.h"

namespace ftpalg::test {
namespace {

Announcement announcement(AnnouncementKind kind, std::string_view address, int port) {
  Announcement result;
  result.kind = kind;
  if (!address.empty()) result.address = Address::parse(address);
  result.port = Port{static_cast<std::uint16_t>(port)};
  return result;
}

TEST_CASE("a network is written as it is read") {
  for (const char* text :
       {"10.0.0.0/8", "192.0.2.1", "0.0.0.0/0", "2001:db8::/32", "2001:db8::1"}) {
    REQUIRE(Network::parse(text));
    CHECK(Network::parse(text)->text() == text);
  }
  CHECK(Network::parse("192.0.2.1/32") == Network::parse("192.0.2.1"));
  CHECK_FALSE(Network::parse("10.0.0.1/8"));
}

TEST_CASE("rule 21: active, the address must be the client's; passive, the server's") {
  const Policy policy;
  const Master master = both_nated();  // 10.0.0.2 as 203.0.113.100; 192.168.100.200 as 9.9.9.9
  struct Row {
    AnnouncementKind kind;
    const char* address;
    Reason reason;
  };
  for (const auto& [kind, address, reason] :
       {Row{AnnouncementKind::port, "10.0.0.2", Reason::none},
        Row{AnnouncementKind::eprt, "203.0.113.100", Reason::none},
        Row{AnnouncementKind::port, "10.0.0.3", Reason::foreign_address},
        Row{AnnouncementKind::port, "192.168.100.200", Reason::foreign_address},
        Row{AnnouncementKind::reply_227, "192.168.100.200", Reason::none},
        Row{AnnouncementKind::reply_227, "9.9.9.9", Reason::none},
        Row{AnnouncementKind::reply_227, "10.0.0.2", Reason::foreign_address},
        Row{AnnouncementKind::reply_229, "", Reason::none},
        Row{AnnouncementKind::eprt, "::ffff:10.0.0.2", Reason::foreign_address}}) {
    CAPTURE(address);
    CHECK(objection(policy, master, announcement(kind, address, 50000), {}) == reason);
  }
}

TEST_CASE("rule 22: addresses that cannot be a peer's are refused") {
  const Policy policy;
  for (const char* address : {"127.0.0.1", "0.0.0.0", "224.0.0.1", "255.255.255.255",
                              "169.254.169.254", "::", "::1", "ff02::1", "fe80::1"}) {
    CAPTURE(address);
    CHECK(objection(policy, both_nated(), announcement(AnnouncementKind::reply_227, address, 50000),
                    {}) == Reason::unusable_address);
  }
}

TEST_CASE("rule 22: link-local is fine where the control connection is link-local") {
  const Master master = master_of(endpoint("fe80::2", 40000), endpoint("fe80::2", 40000),
                                  endpoint("fe80::1", 21), endpoint("fe80::1", 21));
  CHECK(objection(Policy{}, master, announcement(AnnouncementKind::eprt, "fe80::2", 50000), {}) ==
        Reason::none);
}

TEST_CASE("rule 23: low and denied ports are refused") {
  for (const int port : {1, 22, 25, 1023, 1433, 3306, 6000, 6063, 8080, 11211}) {
    CAPTURE(port);
    CHECK(objection(Policy{}, both_nated(), announcement(AnnouncementKind::reply_229, "", port),
                    {}) == Reason::refused_port);
  }
  for (const int port : {1024, 5999, 6064, 65535}) {
    CHECK(objection(Policy{}, both_nated(), announcement(AnnouncementKind::reply_229, "", port),
                    {}) == Reason::none);
  }
}

}  // namespace
}  // namespace ftpalg::test
