// SPDX-License-Identifier: GPL-2.0-or-later
#include "alg/engine_state.h"

#include <fmt/format.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "alg/state_bytes.h"
#include "conversation.h"

namespace ftpalg::test {
namespace {

using namespace std::chrono_literals;

/// All that a conversation has left in the world.
struct Trace {
  std::string server_received;
  std::string client_received;
  std::vector<std::string> decisions;
  std::vector<std::vector<std::uint8_t>> injected;
  std::vector<Expectation> expectations;
  std::vector<std::array<SequenceOffset, 2>> offsets;
  std::vector<std::int32_t> urgent_ends;
  std::vector<std::size_t> packets;
  std::size_t connections = 0;
  bool operator==(const Trace&) const = default;
};

using Act = std::function<void(Conversation&)>;

struct Talk {
  const char* name;
  Master master;
  Act act;
  Policy policy{};
};

Trace held(const Talk& talk, Ways ways) {
  Conversation conversation(talk.master, ways, talk.policy);
  Trace trace;
  conversation.watch_packets([&](Direction direction, std::size_t bytes) {
    trace.packets.push_back(bytes * 2 + static_cast<std::size_t>(direction));
  });
  conversation.log_in();
  talk.act(conversation);
  trace.server_received = conversation.server_received();
  trace.client_received = conversation.client_received();
  for (const Decision& decision : conversation.take_decisions()) {
    trace.decisions.push_back(decision.before + " -> " + decision.after + ": " +
                              std::string(text(decision.reason)));
  }
  for (const auto& [packet, as] : conversation.injector().sent()) {
    trace.injected.push_back(packet);
  }
  trace.expectations = conversation.expectations().all();
  for (const Master& master : conversation.masters().all()) {
    trace.offsets.push_back(master.offsets);
  }
  trace.urgent_ends = conversation.peer(Direction::reply).urgent_ends;
  trace.connections = conversation.engine().connections();
  return trace;
}

/// The states that an engine can be in, each reached in the middle of one of these.
std::vector<Talk> talks() {
  std::vector<Talk> talks{
      {"edits in both directions", both_nated(),
       [](Conversation& talk) {
         talk.client("PORT 10,0,0,2,195,80\r\n");
         talk.server("200 ok\r\n");
         talk.client("PASV\r\n");
         talk.server("227 Entering Passive Mode (192,168,100,200,195,81).\r\n");
         talk.client("NOOP\r\n");
         talk.server("200 ok\r\n");
       }},
      {"a piece is held, and its line completed", client_behind_snat(),
       [](Conversation& talk) {
         talk.send_segment(Direction::original, "PORT 10,0,");
         talk.advance(1s);
         talk.send_segment(Direction::original, "0,2,195,80\r\n");
         talk.server("200 ok\r\n");
         talk.client("NOOP\r\n");
       }},
      {"a piece is held, lost behind the engine, and let go in time", client_behind_snat(),
       [](Conversation& talk) {
         talk.send_segment(Direction::original, "PORT 10,0,");
         talk.lose_after_engine(Direction::original, true);
         for (int second = 0; second < 12; ++second) talk.advance(1s);
         talk.lose_after_engine(Direction::original, false);
         for (int second = 0; second < 12; ++second) talk.advance(1s);
         talk.client("0,2,195,80\r\n");
         talk.client("NOOP\r\n");
       }},
      {"a piece is held until FIN", client_behind_snat(),
       [](Conversation& talk) {
         talk.send_segment(Direction::original, "PORT 10,0,");
         talk.close(Direction::original);
         talk.close(Direction::reply);
         talk.advance(3min);
       }},
      {"an edit waits for the one before", client_behind_snat(),
       [](Conversation& talk) {
         talk.lose_after_engine(Direction::original, true);
         talk.send_segment(Direction::original, "PORT 10,0,0,2,195,80\r\n");
         talk.server("200 ok\r\n");
         talk.send_segment(Direction::original, "EPRT |1|10.0.0.2|50001|\r\n");
         talk.lose_after_engine(Direction::original, false);
         talk.run_timer(Direction::original);
         talk.server("200 ok\r\n");
         talk.client("NOOP\r\n");
       }},
      {"a segment comes early", client_behind_snat(),
       [](Conversation& talk) {
         Peer& client = talk.peer(Direction::original);
         const std::size_t before = client.sent.size();
         client.sent += "PORT 10,0,0,2,195,80\r\n";
         client.sent_until = client.sent_until + 22;
         talk.send_again(Direction::original, before + 12, 10);
         talk.send_again(Direction::original, before + 6, 6);
         talk.send_again(Direction::original, before, 6);
         talk.run_timer(Direction::original);
         talk.server("200 ok\r\n");
         talk.client("NOOP\r\n");
       }},
      {"urgent data", client_behind_snat(),
       [](Conversation& talk) {
         talk.client("PORT 10,0,0,2,195,80\r\n");
         talk.server("200 ok\r\n");
         talk.client("RETR x\r\n");
         talk.server("150 here\r\n");
         talk.send_urgent_segment(Direction::original, "\xff\xf4\xff", 3);
         talk.send_segment(Direction::original, "\xf2PO");
         talk.send_segment(Direction::original, "RT 10,0,0,2,195,81\r\n");
         talk.run_timer(Direction::original);
         talk.server("426 aborted\r\n");
         talk.server("226 aborted\r\n");
         talk.client("NOOP\r\n");
       }},
      {"an expectation lives, and ends by its time", both_nated(),
       [](Conversation& talk) {
         talk.client("EPSV\r\n");
         talk.server("229 Entering Extended Passive Mode (|||50000|)\r\n");
         talk.advance(30s);
         talk.client("NOOP\r\n");
         talk.advance(31s);
         talk.client("EPSV\r\n");
         talk.server("229 Entering Extended Passive Mode (|||50000|)\r\n");
         talk.client("RETR x\r\n");
         talk.server("550 no\r\n");
       }},
      {"a reply in several lines, cut", client_behind_snat(),
       [](Conversation& talk) {
         talk.client("PASV\r\n");
         talk.send_segment(Direction::reply, "227-Hello\r\n 227 (1,2,3,");
         talk.server("4,5,6)\r\n227 Entering Passive Mode (198,51,100,7,195,80).\r\n");
         talk.client("STOR y\r\n");
       }},
      {"a line beyond all length", client_behind_snat(),
       [](Conversation& talk) {
         talk.send_segment(Direction::original, "PORT " + std::string(700, 'x'));
         talk.client(std::string(700, 'y') + "\r\nNOOP\r\n");
       }},
      {"pipelined commands", client_behind_snat(),
       [](Conversation& talk) {
         talk.client("TYPE I\r\nPASV\r\nRETR x\r\nNOOP\r\n");
         talk.server("200 ok\r\n227 =198,51,100,7,195,80\r\n150 here\r\n226 done\r\n200 ok\r\n");
       }},
      {"it begins anew with the same ports", client_behind_snat(),
       [](Conversation& talk) {
         talk.client("PORT 10,0,0,2,195,80\r\n");
         const Master& master = talk.master();
         talk.engine().on_packet(
             make_packet(master.original, Seq{77777}, {}, Segment::syn_flag, ""), talk.now());
         talk.client("NOOP\r\n");
       }},
      {"the sessions's end", client_behind_snat(), [](Conversation& talk) {
         talk.client("PORT 10,0,0,2,195,80\r\n");
         talk.server("200 ok\r\n");
         talk.reset(Direction::original);
         talk.advance(1min);
         talk.advance(61s);
       }}};

  Policy followed;
  followed.resume_after_ccc = true;
  const std::string record{"\x16\x03\x01\x00\x05hello\x17\x03\x03\x00\x04", 14};
  talks.push_back({"records are followed until plain text comes", client_behind_snat(),
                   [record](Conversation& talk) {
                     talk.client("AUTH TLS\r\n");
                     talk.server("234 go\r\n");
                     talk.client(record);
                     talk.client("abcdPORT 10,0,0,2,195,80\r\n");
                     talk.server(record);
                     talk.server("abcd200 ok\r\n");
                     talk.client("PORT 10,0,0,2,195,81\r\n");
                     talk.server("200 ok\r\n");
                   },
                   followed});

  Policy refuses;
  refuses.refused_commands = {{*Network::parse("10.0.0.0/8"), {"STOR", "SITE"}}};
  talks.push_back({"commands are refused, in pieces too", client_behind_snat(),
                   [](Conversation& talk) {
                     talk.send_segment(Direction::original, "ST");
                     talk.client("OR x\r\n");
                     talk.server("500 what?\r\n");
                     talk.client("SITE CHMOD 777 x\r\nPORT 10,0,0,2,195,80\r\n");
                     talk.server("500 what?\r\n200 ok\r\n");
                   },
                   refuses});

  Policy external;
  external.external_addresses = {
      {*Address::parse("192.168.100.200"), *Address::parse("203.0.113.5")}};
  Master outside = master_of(endpoint("198.51.100.7", 40000), endpoint("198.51.100.7", 40000),
                             endpoint("192.168.100.200", 21), endpoint("192.168.100.200", 21));
  talks.push_back({"the engine shifts what it has edited", outside,
                   [](Conversation& talk) {
                     for (const char* port : {"80", "81", "82"}) {
                       talk.client("PASV\r\n");
                       talk.server("227 =192,168,100,200,195," + std::string(port) + "\r\n");
                     }
                     talk.client("NOOP\r\n");
                     talk.server("200 ok\r\n");
                   },
                   external});
  return talks;
}

std::vector<Ways> few_ways() {
  std::vector<Ways> ways;
  for (const OffsetOwner owner : {OffsetOwner::kernel, OffsetOwner::engine}) {
    for (const std::uint32_t initial_seq : {1000U, 0xffffffe0U}) {
      ways.push_back({.owner = owner, .initial_seq = initial_seq});
      ways.push_back({.owner = owner, .initial_seq = initial_seq, .byte_by_byte = true});
      ways.push_back({.owner = owner, .initial_seq = initial_seq, .send_twice = true});
      ways.push_back({.owner = owner, .initial_seq = initial_seq, .cut_at = 7});
    }
  }
  return ways;
}

/// In the middle of a conversation that has a bit of everything.
void enrich(Conversation& talk) {
  talk.log_in();
  talk.client("PORT 10,0,0,2,195,80\r\n");
  talk.server("200 ok\r\n");
  talk.client("PASV\r\n");
  talk.server("227 =192,168,100,200,195,81\r\n");
  talk.lose_after_engine(Direction::original, true);
  talk.send_segment(Direction::original, "EPRT |1|10.0.0.2|50001|\r\nNOOP\r\n");
  talk.send_segment(Direction::original, "PORT 10,");
  talk.client("TYPE I\r\n");
}

void expect_refused(const std::vector<std::uint8_t>& bytes, std::string_view why) {
  const auto state = EngineState::read(bytes);
  REQUIRE_FALSE(state);
  CHECK_THAT(state.error(), Catch::Contains(std::string(why)));
}

}  // namespace

TEST_CASE("a conversation goes on in another engine as it would have in the first") {
  for (const Talk& talk : talks()) {
    for (Ways ways : few_ways()) {
      INFO(talk.name << ", " << to_string(ways));
      const Trace expected = held(talk, ways);
      ways.moves = true;
      const Trace moved = held(talk, ways);
      CHECK(moved.server_received == expected.server_received);
      CHECK(moved.client_received == expected.client_received);
      CHECK(moved.decisions == expected.decisions);
      CHECK(moved.injected == expected.injected);
      CHECK(moved == expected);
    }
  }
}

TEST_CASE("what each of many sessions and clients has is known to the other engine") {
  MemoryMasters masters;
  MemoryExpectations expectations;
  MemoryInjector injector;
  Policy policy;
  policy.sessions_per_client_max = 3;
  Engine first(policy, {masters, expectations, injector});
  const auto syn = [&](Engine& engine, std::uint16_t port) {
    const Tuple tuple{endpoint("10.0.0.2", port), endpoint("198.51.100.7", 21)};
    const auto packet = make_packet(tuple, Seq{1}, {}, Segment::syn_flag, "");
    const auto verdict = engine.on_packet(packet, {}).verdict.action;
    Master master;
    master.original = tuple;
    master.reply = tuple.reversed();
    masters.add(master);
    engine.on_packet(
        make_packet(master.reply, Seq{9}, Seq{2}, Segment::syn_flag | Segment::ack_flag, ""), {});
    engine.on_packet(make_packet(master.reply, Seq{10}, Seq{2}, Segment::ack_flag, "220 ready\r\n"),
                     {});
    return verdict;
  };
  for (const auto port : std::array<std::uint16_t, 3>{1001, 1002, 1003}) syn(first, port);
  CHECK(first.count(Reason::client_sessions_full) == 0);

  auto state = EngineState::read(first.state());
  REQUIRE(state);
  Engine second(policy, {masters, expectations, injector}, state->key);
  second.take_over(std::move(*state), {});
  CHECK(second.connections() == 3);
  syn(second, 1004);
  CHECK(second.count(Reason::client_sessions_full) > 0);
}

TEST_CASE("the state that was taken over is the state") {
  Conversation talk(both_nated(), {});
  enrich(talk);
  const auto before = talk.engine().state();
  talk.move_engine();
  const bool is_the_same = talk.engine().state() == before;
  CHECK(is_the_same);
}

TEST_CASE("what an engine has counted goes on") {
  Conversation talk(both_nated(), {});
  enrich(talk);
  const std::uint64_t rewritten = talk.engine().count(Reason::rewritten);
  REQUIRE(rewritten > 0);
  talk.move_engine();
  CHECK(talk.engine().count(Reason::rewritten) == rewritten);
}

TEST_CASE("a state that is cut short anywhere, or goes on behind its end, is refused") {
  Conversation talk(both_nated(), {});
  enrich(talk);
  const auto bytes = talk.engine().state();
  REQUIRE(EngineState::read(bytes));
  for (std::size_t length = 0; length < bytes.size(); ++length) {
    INFO(length << " bytes of " << bytes.size());
    CHECK_FALSE(EngineState::read(wire::Bytes{bytes}.first(length)));
  }
  auto longer = bytes;
  longer.push_back(0);
  expect_refused(longer, "something follows the end");
}

TEST_CASE("a state with a wrong byte anywhere is refused, or served without harm") {
  Conversation talk(both_nated(), {});
  enrich(talk);
  const auto bytes = talk.engine().state();
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    for (const auto change : std::array<std::uint8_t, 3>{0x01, 0x80, 0xff}) {
      auto damaged = bytes;
      damaged[at] ^= change;
      auto state = EngineState::read(damaged);
      if (!state) continue;
      INFO("byte " << at << " changed by " << int{change});
      MemoryMasters masters = talk.masters();
      MemoryExpectations expectations;
      MemoryInjector injector;
      Engine engine({}, {masters, expectations, injector}, state->key);
      engine.take_over(std::move(*state), talk.now());
      for (const Direction direction : {Direction::original, Direction::reply}) {
        const Tuple& tuple =
            direction == Direction::original ? talk.master().original : talk.master().reply;
        const Peer& peer = talk.peer(direction);
        for (const std::int32_t back : {40, 10, 0, -5}) {
          engine.on_packet(make_packet(tuple, peer.sent_until + -back, peer.expected,
                                       Segment::ack_flag, "PORT 10,0,0,2,195,80\r\n"),
                           talk.now() + 1s);
        }
      }
      engine.on_tick(talk.now() + 20s);
      CHECK(EngineState::read(engine.state()));
      engine.withdraw_all(talk.now() + 21s);
    }
  }
}

TEST_CASE("a state of another version, and what is none, is refused by name") {
  Conversation talk(both_nated(), {});
  enrich(talk);
  auto bytes = talk.engine().state();
  bytes[11] = static_cast<std::uint8_t>(engine_state_version + 1);
  expect_refused(bytes, "the state is of version " + std::to_string(engine_state_version + 1) +
                            ", and this program reads version " +
                            std::to_string(engine_state_version));
  expect_refused({}, "no state of a gateway");
  expect_refused(std::vector<std::uint8_t>(1000, 7), "no state of a gateway");
}

TEST_CASE("two sessions with the same addresses are refused") {
  Conversation talk(both_nated(), {});
  enrich(talk);
  const auto bytes = talk.engine().state();
  auto state = EngineState::read(bytes);
  REQUIRE(state);
  state->sessions.push_back(state->sessions.front());
  StateWriter twice;
  constexpr std::size_t mark_bytes = 8;
  for (std::size_t at = 0; at < mark_bytes; ++at) twice(bytes[at]);
  twice(engine_state_version, state->key, state->counts, state->sessions, state->hold_deadlines,
        state->watch_deadlines);
  expect_refused(twice.take(), "two sessions are the same");
}

TEST_CASE("the layout of the bytes does not change without its version") {
  Conversation talk(both_nated(), {});
  enrich(talk);
  const auto bytes = talk.engine().state();
  // When this fails, the layout has changed: raise engine_state_version, and then note here what
  // the bytes are now.
  std::uint64_t sum = 0xcbf29ce484222325;
  for (const std::uint8_t byte : bytes) sum = (sum ^ byte) * 0x100000001b3;  // FNV-1a
  CHECK(engine_state_version == 1);
  CHECK(bytes.size() == 1054);
  CHECK(sum == 0xaac29dce61248330);
#ifdef __x86_64__
  // A field that is new here has to be named in visit().
  CHECK(sizeof(Connection) == 1312);
  CHECK(sizeof(Stream) == 392);
  CHECK(sizeof(Session) == 48);
#endif
}

TEST_CASE("the seed corpus of tests/fuzz/state_fuzzer.cc", "[.][corpus]") {
  const std::filesystem::path folder = std::getenv("FTPALG_CORPUS");
  std::filesystem::create_directories(folder);
  std::size_t number = 0;
  for (const Talk& talk : talks()) {
    Conversation conversation(talk.master, {}, talk.policy);
    std::string largest;
    // What an engine knows in the middle is more than at the end.
    conversation.watch_packets([&](Direction, std::size_t) {
      const auto state = conversation.engine().state();
      if (state.size() > largest.size()) largest.assign(state.begin(), state.end());
    });
    conversation.log_in();
    talk.act(conversation);
    std::ofstream(folder / fmt::format("talk-{:02}", number++), std::ios::binary) << largest;
  }
}

}  // namespace ftpalg::test
