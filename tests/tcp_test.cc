// SPDX-License-Identifier: GPL-2.0-or-later
// What else TCP does with a stream, found by the simulator (tests/simulator).
#include <catch2/catch.hpp>

#include "conversation.h"

namespace ftpalg::test {
namespace {

const std::string login = "USER a\r\nPASS b\r\n";
using namespace std::chrono_literals;

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

TEST_CASE("an edit that has arrived in part comes again, whatever its sender repeats") {
  Policy policy;
  policy.active_needs_quiet = false;
  Conversation conversation(client_behind_snat(), {}, policy);
  conversation.log_in();
  Peer& client = conversation.peer(Direction::original);
  const Peer& server = conversation.peer(Direction::reply);
  const Seq noop = client.sent_until;
  conversation.lose_after_engine(Direction::original, true);
  conversation.send_segment(Direction::original, "NOOP\r\nPORT 10,0,0,2,195,80\r\n");
  const Seq edit = noop + size_of("NOOP\r\nPORT ");

  // To the kernel, which knows where the edit begins and by how much it grows, an acknowledgement
  // within it is one for less than what came before it.
  conversation.engine().on_packet(make_packet(conversation.master().reply, server.sent_until,
                                              edit + 3, Segment::ack_flag, "200 ok\r\n"),
                                  conversation.now());
  const auto packet = make_packet(conversation.master().original, noop + 4, client.expected,
                                  Segment::ack_flag, "\r\n");
  const auto verdict = conversation.engine().on_packet(packet, conversation.now()).verdict;
  REQUIRE(verdict.action == Verdict::Action::replace);
  const auto repeated = *Segment::parse(verdict.packet);
  CHECK(repeated.seq() == edit);
  const auto payload = repeated.payload();
  CHECK(std::string(payload.begin(), payload.end()) == "203,0,113,100,195,80");
}

TEST_CASE("rule 34: a reset within an edit stands where the server is") {
  Conversation conversation(client_behind_snat(), {.owner = OffsetOwner::engine});
  conversation.log_in();
  const Seq begin = conversation.peer(Direction::original).sent_until;
  const Seq server = conversation.peer(Direction::reply).sent_until;
  conversation.lose_after_engine(Direction::original, true);
  conversation.send_segment(Direction::original, "PORT 10,0,0,2,195,80\r\n");
  const auto pass = [&](const Tuple& tuple, Seq seq, Seq acknowledges, std::uint8_t flags) {
    const auto packet = make_packet(tuple, seq, acknowledges, flags, "");
    return *Segment::parse(
        conversation.engine().on_packet(packet, conversation.now()).verdict.packet);
  };
  const Seq edit = begin + size_of("PORT ");
  // The client is told of no more than the start of the edit, and resets there.
  CHECK(pass(conversation.master().reply, server, edit + 3, Segment::ack_flag).ack() == edit);
  CHECK(pass(conversation.master().original, edit, {}, Segment::rst_flag).seq() == edit + 3);
}

TEST_CASE("early bytes that find no room do not displace those in front of them") {
  MemoryMasters masters;
  MemoryExpectations expectations;
  MemoryInjector injector;
  Engine engine({}, {masters, expectations, injector});
  const Master master = client_behind_snat();
  std::string banner = "220-ready\r\n";
  while (banner.size() < 5000) banner += " line " + std::to_string(banner.size()) + "\r\n";
  const auto send = [&](std::size_t from, std::size_t length) {
    const Seq seq = Seq{2001} + static_cast<std::int64_t>(from);
    const auto packet = make_packet(master.reply, seq, {1001}, Segment::ack_flag,
                                    std::string_view{banner}.substr(from, length));
    return engine.on_packet(packet, Time{}).verdict;
  };
  engine.on_packet(make_packet(master.original, {1000}, {}, Segment::syn_flag, ""), Time{});
  masters.add(master);
  engine.on_packet(
      make_packet(master.reply, {2000}, {1001}, Segment::syn_flag | Segment::ack_flag, ""), Time{});
  REQUIRE(send(300, 2000).action == Verdict::Action::drop);
  REQUIRE(send(2300, 2000).action == Verdict::Action::drop);

  // All three together are more than is kept.
  const Verdict verdict = send(0, 300);
  REQUIRE(verdict.action == Verdict::Action::replace);
  const auto left = Segment::parse(verdict.packet)->payload();
  REQUIRE(left.size() > 300);
  CHECK(std::string(left.begin(), left.end()) == banner.substr(0, left.size()));
}

TEST_CASE("the start of a line is not acknowledged with bytes that only their sender has") {
  const OffsetOwner owner = GENERATE(OffsetOwner::kernel, OffsetOwner::engine);
  CAPTURE(owner);
  const std::string much = "214-Commands:\r\n" + std::string(5000, 'h') + "\r\n214 all\r\n";
  Conversation conversation(server_behind_dnat(), {.owner = owner});
  conversation.log_in();
  conversation.client("HELP\r\nPASV\r\n");
  const std::string before = conversation.client_received();
  const auto send_in_segments = [&](const std::string& text) {
    for (std::size_t at = 0; at < text.size(); at += 1000) {
      conversation.send_segment(Direction::reply, text.substr(at, 1000));
    }
  };
  SECTION("that were too many to be kept, and got lost") {
    conversation.lose_after_engine(Direction::reply, true);
    send_in_segments(much + "227 Enter");
    conversation.lose_after_engine(Direction::reply, false);
  }
  SECTION("that came in one packet too large to be kept, and got lost") {
    conversation.lose_after_engine(Direction::reply, true);
    conversation.send_segment(Direction::reply, much + "227 Enter");
    conversation.lose_after_engine(Direction::reply, false);
  }
  SECTION("that find no room beside bytes which were held before") {
    conversation.send_segment(Direction::reply, "2");
    send_in_segments(much.substr(1) + "227 Enter");
  }
  conversation.run_timer(Direction::reply, 20);
  conversation.server("ing Passive Mode (192,168,100,200,78,32).\r\n");
  CHECK(conversation.client_received() ==
        before + much + "227 Entering Passive Mode (9,9,9,9,78,32).\r\n");
  CHECK(conversation.everything_arrived());
}

TEST_CASE("what comes behind a line that waits, again and again, does not pass it by") {
  // The rest of the line after it: in one segment, or behind a piece that is held meanwhile.
  const std::size_t held_bytes = GENERATE(std::size_t{0}, std::size_t{11});
  CAPTURE(held_bytes);
  const std::string first = "PORT 10,0,0,2,195,80\r\n";
  const std::string second = "PORT 10,0,0,2,195,81\r\n";
  const std::string third = "NOOP\r\n";
  Policy policy;
  policy.active_needs_quiet = false;
  Conversation conversation(client_behind_snat(), {}, policy);
  conversation.log_in();

  conversation.lose_after_engine(Direction::original, true);
  conversation.send_segment(Direction::original, first);
  if (held_bytes > 0) conversation.send_segment(Direction::original, second.substr(0, held_bytes));
  conversation.send_segment(Direction::original, second.substr(held_bytes));
  conversation.send_segment(Direction::original, third);
  conversation.take_decisions();
  const std::size_t begin = login.size() + first.size() + second.size();
  for (int copies = 0; copies < 3; ++copies) {
    conversation.advance(1s);
    conversation.send_again(Direction::original, begin, third.size());
  }
  for (const Decision& decision : conversation.take_decisions()) {
    CHECK(decision.action == Action::wait);
  }

  conversation.lose_after_engine(Direction::original, false);
  for (int runs = 0; runs < 8; ++runs) {
    conversation.run_timer(Direction::original, 1);
    conversation.advance(1s);
  }
  CHECK(conversation.server_received() ==
        login + "PORT 203,0,113,100,195,80\r\nPORT 203,0,113,100,195,81\r\nNOOP\r\n");
}

}  // namespace ftpalg::test
