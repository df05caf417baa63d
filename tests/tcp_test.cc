// SPDX-License-Identifier: GPL-2.0-or-later
// What else TCP does with a stream, found by the simulator (tests/simulator).
#include <catch2/catch.hpp>

#include "conversation.h"

namespace ftpalg::test {
namespace {

const std::string login = "USER a\r\nPASS b\r\n";
constexpr auto owners = {OffsetOwner::kernel, OffsetOwner::engine};

std::int32_t size_of(const std::string& text) {
  return static_cast<std::int32_t>(text.size());
}

}  // namespace

TEST_CASE("urgent data that is held is urgent when it leaves") {
  for (const OffsetOwner owner : owners) {
    Conversation conversation(client_behind_snat(), {.owner = owner});
    conversation.log_in();
    // BSD's ftp sends the first three bytes of it as urgent. A PORT could follow them.
    conversation.send_urgent_segment(Direction::original, "\xff\xf4\xff", 3);
    REQUIRE(conversation.server_received() == login);
    conversation.client(
        "\xf2"
        "ABOR\r\n");
    CHECK(conversation.server_received() == login +
                                                "\xff\xf4\xff\xf2"
                                                "ABOR\r\n");
    CHECK(conversation.peer(Direction::reply).urgent_ends ==
          std::vector<std::int32_t>{size_of(login) + 3});
  }
}

TEST_CASE("urgent data that is held for too long is urgent when it is let go") {
  Conversation conversation(client_behind_snat(), {});
  conversation.log_in();
  conversation.send_urgent_segment(Direction::original, "\xff\xf4\xff", 3);
  conversation.advance(std::chrono::seconds{10});
  CHECK(conversation.server_received() == login + "\xff\xf4\xff");
  const auto& said = conversation.peer(Direction::reply).urgent_ends;
  REQUIRE_FALSE(said.empty());
  for (const std::int32_t end : said) CHECK(end == size_of(login) + 3);
}

TEST_CASE(
    "urgent data behind an edit keeps its place, also when a line in front of it has not come") {
  const std::string sent = "NOOP\r\nPORT 10,0,0,2,195,80\r\n\xff\xf4\xff\xf2";
  const std::string edited = "NOOP\r\nPORT 203,0,113,100,195,80\r\n\xff\xf4\xff\xf2";
  const auto urgent_bytes = static_cast<std::uint16_t>(sent.size());
  Policy policy;
  policy.active_needs_quiet = false;
  for (const OffsetOwner owner : owners) {
    for (std::size_t cut = 0; cut < sent.size(); ++cut) {
      CAPTURE(cut);
      Conversation conversation(client_behind_snat(), {.owner = owner}, policy);
      conversation.log_in();
      if (cut > 0) {
        conversation.send_urgent_segment(Direction::original, sent.substr(0, cut), urgent_bytes);
      }
      conversation.send_urgent_segment(Direction::original, sent.substr(cut),
                                       static_cast<std::uint16_t>(urgent_bytes - cut));
      conversation.client("ABOR\r\n");
      CHECK(conversation.server_received() == login + edited + "ABOR\r\n");
      const auto& said = conversation.peer(Direction::reply).urgent_ends;
      REQUIRE_FALSE(said.empty());
      for (const std::int32_t end : said) CHECK(end == size_of(login + edited));
    }
  }
}

TEST_CASE("a SYN that comes again late does not change what the client has acknowledged") {
  Conversation conversation(client_behind_snat(), {});
  conversation.log_in();
  conversation.send_segment(Direction::original, "PORT 10,0");
  const Ways ways;
  conversation.engine().on_packet(
      make_packet(conversation.master().original, {ways.initial_seq}, {}, Segment::syn_flag, ""),
      conversation.now());
  conversation.advance(std::chrono::seconds{10});
  const auto let_go = *Segment::parse(conversation.injector().sent().back().packet);
  CHECK(let_go.ack() == conversation.peer(Direction::original).expected);
}

TEST_CASE("a greeting that overtakes the server's SYN waits for it") {
  MemoryMasters masters;
  MemoryExpectations expectations;
  MemoryInjector injector;
  Engine engine({}, {masters, expectations, injector});
  const Master master = client_behind_snat();
  constexpr std::uint8_t ack = Segment::ack_flag;
  const auto send = [&](const Tuple& tuple, Seq seq, Seq acknowledged, std::uint8_t flags,
                        std::string_view text, Time now = {}) {
    return engine.on_packet(make_packet(tuple, seq, acknowledged, flags, text), now).verdict.action;
  };
  // TCP Fast Open: the server answers before the handshake is over.
  send(master.original, {1000}, {}, Segment::syn_flag, "USER");
  masters.add(master);

  SECTION("and is read behind it") {
    CHECK(send(master.reply, {2004}, {1005}, ack, "ready\r\n") == Verdict::Action::drop);
    send(master.reply, {2000}, {1005}, Segment::syn_flag | ack, "");
    CHECK(send(master.reply, {2001}, {1005}, ack, "220 ready\r\n") == Verdict::Action::accept);
    send(master.original, {1005}, {2012}, ack, " a\r\n");
    CHECK(engine.count(Reason::not_ftp) == 0);
  }
  SECTION("but not for ever: it may have passed unseen") {
    for (int second = 0; second < 3; ++second) {
      CHECK(send(master.reply, {2001}, {1005}, ack, "220 ready\r\n",
                 std::chrono::seconds{second}) == Verdict::Action::drop);
    }
    CHECK(send(master.reply, {2001}, {1005}, ack, "220 ready\r\n", std::chrono::seconds{3}) ==
          Verdict::Action::accept);
  }
}

}  // namespace ftpalg::test
