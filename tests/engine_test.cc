// SPDX-License-Identifier: GPL-2.0-or-later
#include "alg/engine.h"

#include <catch2/catch.hpp>

#include "alg/tcp_option.h"
#include "conversation.h"

namespace ftpalg::test {
namespace {

using namespace std::chrono_literals;

struct Dialog {
  const char* name;
  Master master;
  std::vector<std::pair<char, std::string>> lines;  ///< 'C' or 'S', and what it sends
  std::string server_gets;                          ///< after the login
  std::string client_gets;
  std::vector<std::string> expected;  ///< "source -> destination, port"
};

std::string describe(const Expectation& expectation) {
  return expectation.source.text() + " -> " + expectation.destination.text() + ", " +
         std::to_string(expectation.inside.port.number);
}

const std::string login_to_server = "USER a\r\nPASS b\r\n";
const std::string login_to_client = "220 ready\r\n331 who?\r\n230 in\r\n";

const std::vector<Dialog> dialogs{
    {"PORT behind SNAT grows",
     client_behind_snat(),
     {{'C', "PORT 10,0,0,2,195,80\r\n"},
      {'S', "200 ok\r\n"},
      {'C', "NOOP\r\n"},
      {'S', "200 ok\r\n"}},
     "PORT 203,0,113,100,195,80\r\nNOOP\r\n",
     "200 ok\r\n200 ok\r\n",
     {"198.51.100.7 -> 203.0.113.100:50000, 50000"}},
    {"offsets accumulate over several transfers",
     client_behind_snat(),
     {{'C', "PORT 10,0,0,2,195,80\r\n"},
      {'S', "200 ok\r\n"},
      {'C', "EPRT |1|10.0.0.2|50001|\r\n"},
      {'S', "200 ok\r\n"},
      {'C', "LPRT 4,4,10,0,0,2,2,195,82\r\n"},
      {'S', "200 ok\r\n"},
      {'C', "NOOP\r\n"},
      {'S', "200 ok\r\n"}},
     "PORT 203,0,113,100,195,80\r\nEPRT |1|203.0.113.100|50001|\r\n"
     "LPRT 4,4,203,0,113,100,2,195,82\r\nNOOP\r\n",
     "200 ok\r\n200 ok\r\n200 ok\r\n200 ok\r\n",
     {"198.51.100.7 -> 203.0.113.100:50002, 50002"}},
    {"227 behind DNAT shrinks",
     server_behind_dnat(),
     {{'C', "PASV\r\n"},
      {'S', "227 Entering Passive Mode (192,168,100,200,195,80).\r\n"},
      {'C', "NOOP\r\n"},
      {'S', "200 ok\r\n"}},
     "PASV\r\nNOOP\r\n",
     "227 Entering Passive Mode (9,9,9,9,195,80).\r\n200 ok\r\n",
     {"198.51.100.7 -> 9.9.9.9:50000, 50000"}},
    {"both directions are edited in one session",
     both_nated(),
     {{'C', "PORT 10,0,0,2,195,80\r\n"},
      {'S', "200 ok\r\n"},
      {'C', "PASV\r\n"},
      {'S', "227 =192,168,100,200,195,80\r\n"},
      {'C', "PORT 10,0,0,2,195,81\r\n"},
      {'S', "200 ok\r\n"},
      {'C', "PASV\r\n"},
      {'S', "227 =192,168,100,200,195,81\r\n"},
      {'C', "NOOP\r\n"},
      {'S', "200 ok\r\n"}},
     "PORT 203,0,113,100,195,80\r\nPASV\r\nPORT 203,0,113,100,195,81\r\nPASV\r\nNOOP\r\n",
     "200 ok\r\n227 =9,9,9,9,195,80\r\n200 ok\r\n227 =9,9,9,9,195,81\r\n200 ok\r\n",
     {"10.0.0.2 -> 9.9.9.9:50001, 50001"}},
    {"229 needs no edit, but an expectation",
     both_nated(),
     {{'C', "EPSV\r\n"},
      {'S', "229 Entering Extended Passive Mode (|||50000|)\r\n"},
      {'C', "NOOP\r\n"}},
     "EPSV\r\nNOOP\r\n",
     "229 Entering Extended Passive Mode (|||50000|)\r\n",
     {"10.0.0.2 -> 9.9.9.9:50000, 50000"}},
    {"without NAT nothing is rewritten",
     without_nat(),
     {{'C', "PORT 10,0,0,2,195,80\r\n"}, {'S', "200 ok\r\n"}},
     "PORT 10,0,0,2,195,80\r\n",
     "200 ok\r\n",
     {"192.168.100.200 -> 10.0.0.2:50000, 50000"}},
};

TEST_CASE("dialogs arrive as they should in every way they can travel") {
  for (const Dialog& dialog : dialogs) {
    std::size_t longest = 0;
    for (const auto& [who, text] : dialog.lines) longest = std::max(longest, text.size());
    for (const Ways& ways : all_ways(longest)) {
      CAPTURE(dialog.name, to_string(ways));
      Conversation conversation(dialog.master, ways);
      conversation.log_in();
      for (const auto& [who, text] : dialog.lines) {
        who == 'C' ? conversation.client(text) : conversation.server(text);
      }
      REQUIRE(conversation.server_received() == login_to_server + dialog.server_gets);
      REQUIRE(conversation.client_received() == login_to_client + dialog.client_gets);
      REQUIRE(conversation.everything_arrived());
      std::vector<std::string> expected;
      for (const Expectation& expectation : conversation.expectations().all()) {
        expected.push_back(describe(expectation));
      }
      REQUIRE(expected == dialog.expected);
    }
  }
}

// Effect first, edit second, undo on failure.

TEST_CASE("an expectation that the kernel refuses leaves the line as it was") {
  Conversation conversation(client_behind_snat(), {});
  conversation.log_in();
  conversation.expectations().answer_with(ExpectationResult::failed);
  conversation.client("PORT 10,0,0,2,195,80\r\n");
  CHECK(conversation.server_received() == login_to_server + "PORT 10,0,0,2,195,80\r\n");
  CHECK(conversation.masters().all()[0].offsets[0] == SequenceOffset{});
  CHECK(conversation.take_decisions().back().reason == Reason::expectation_failed);
}

TEST_CASE("busy ports are passed over, and given up after a bounded number of tries") {
  Conversation conversation(client_behind_snat(), {});
  conversation.log_in();
  conversation.expectations().answer_with(ExpectationResult::busy);
  conversation.client("PORT 10,0,0,2,195,80\r\n");
  CHECK(conversation.server_received() == login_to_server + "PORT 10,0,0,2,195,80\r\n");
  CHECK(conversation.take_decisions().back().reason == Reason::no_port_free);
}

TEST_CASE("offsets that cannot be set undo the expectation and leave the line as it was") {
  const auto [result, reason] =
      GENERATE(std::pair{OffsetResult::unsupported, Reason::offsets_unsupported},
               std::pair{OffsetResult::failed, Reason::offsets_failed});
  Conversation conversation(client_behind_snat(), {});
  conversation.log_in();
  conversation.masters().answer_offsets_with(result);
  conversation.client("PORT 10,0,0,2,195,80\r\n");
  CHECK(conversation.server_received() == login_to_server + "PORT 10,0,0,2,195,80\r\n");
  CHECK(conversation.expectations().all().empty());
  CHECK(conversation.take_decisions().back().reason == reason);
  conversation.server("200 ok\r\n");
  CHECK(conversation.everything_arrived());
}

TEST_CASE("an injector that cannot send makes a split line pass unedited") {
  const auto result = GENERATE(InjectResult::unsupported, InjectResult::failed);
  Conversation conversation(client_behind_snat(), {.cut_at = 8});
  conversation.log_in();
  conversation.injector().answer_with(result);
  conversation.client("PORT 10,0,0,2,195,80\r\n");
  CHECK(conversation.server_received() == login_to_server + "PORT 10,0,0,2,195,80\r\n");
  CHECK(conversation.expectations().all().empty());
  CHECK(conversation.take_decisions().back().reason == Reason::start_has_left);
  CHECK(conversation.everything_arrived());
}

// The kernel's one correction.

TEST_CASE("a second edit waits until the first is acknowledged, and nothing is lost") {
  Policy policy;
  policy.active_needs_quiet = false;
  Conversation conversation(client_behind_snat(), {}, policy);
  conversation.log_in();
  conversation.send_segment(Direction::original, "PORT 10,0,0,2,195,80\r\n");
  conversation.send_segment(Direction::original, "PORT 10,0,0,2,195,81\r\n");
  CHECK(conversation.take_decisions().back().reason == Reason::edit_waits);
  conversation.server("200 ok\r\n");
  conversation.run_timer(Direction::original);
  CHECK(conversation.server_received() ==
        login_to_server + "PORT 203,0,113,100,195,80\r\nPORT 203,0,113,100,195,81\r\n");
  CHECK(conversation.everything_arrived());
}

TEST_CASE("a second edit does not wait for ever when nobody answers") {
  Policy policy;
  policy.active_needs_quiet = false;
  Conversation conversation(client_behind_snat(), {}, policy);
  conversation.log_in();
  conversation.send_segment(Direction::original, "PORT 10,0,0,2,195,80\r\n");
  conversation.send_segment(Direction::original, "PORT 10,0,0,2,195,81\r\n");
  conversation.run_timer(Direction::original);
  CHECK(conversation.server_received() ==
        login_to_server + "PORT 203,0,113,100,195,80\r\nPORT 203,0,113,100,195,81\r\n");
  CHECK(conversation.everything_arrived());
}

TEST_CASE("two edits in one segment leave one after the other") {
  Policy policy;
  policy.active_needs_quiet = false;
  for (const OffsetOwner owner : {OffsetOwner::kernel, OffsetOwner::engine}) {
    Conversation conversation(client_behind_snat(), {.owner = owner}, policy);
    conversation.log_in();
    conversation.client("NOOP\r\nPORT 10,0,0,2,195,80\r\nPORT 10,0,0,2,195,81\r\nNOOP\r\n");
    conversation.client("NOOP\r\n");
    CHECK(conversation.server_received() ==
          login_to_server +
              "NOOP\r\nPORT 203,0,113,100,195,80\r\nPORT 203,0,113,100,195,81\r\nNOOP\r\nNOOP\r\n");
    CHECK(conversation.everything_arrived());
    CHECK(conversation.expectations().all().size() == 1);
  }
}

// Ports.

/// Many clients behind one public address, each of whose sessions says one line.
class Clients {
 public:
  /// The line as the server gets to see it.
  std::string say(std::string_view client, std::string_view line) {
    ++control_port_;
    const Master master =
        master_of(endpoint(client, control_port_), endpoint("203.0.113.100", control_port_),
                  endpoint("198.51.100.7", 21), endpoint("198.51.100.7", 21));
    masters_.add(master);
    const std::uint8_t ack = Segment::ack_flag;
    const std::uint8_t syn_ack = Segment::syn_flag | Segment::ack_flag;
    pass(make_packet(master.original, {1000}, {}, Segment::syn_flag, ""));
    pass(make_packet(master.reply, {2000}, {1001}, syn_ack, ""));
    pass(make_packet(master.reply, {2001}, {1001}, ack, "220 hi\r\n"));
    const Outcome outcome = pass(make_packet(master.original, {1001}, {2009}, ack, line));
    REQUIRE(outcome.decisions.size() == 1);
    return outcome.decisions[0].after;
  }
  const std::vector<Expectation>& expected() const { return expectations_.all(); }

 private:
  static Policy policy() {
    Policy policy;
    policy.login_required = false;
    return policy;
  }
  Outcome pass(const std::vector<std::uint8_t>& packet) { return engine_.on_packet(packet, 0s); }

  MemoryMasters masters_;
  MemoryExpectations expectations_;
  MemoryInjector injector_;
  Engine engine_{policy(), {masters_, expectations_, injector_}, KeyedHash::Key{7}};
  std::uint16_t control_port_ = 40000;
};

TEST_CASE("rule 26: two clients that announce the same port get two public ports") {
  Clients clients;
  CHECK(clients.say("10.0.0.2", "PORT 10,0,0,2,195,80\r\n") == "PORT 203,0,113,100,195,80");
  clients.say("10.0.0.3", "PORT 10,0,0,3,195,80\r\n");
  REQUIRE(clients.expected().size() == 2);
  const Expectation& second = clients.expected()[1];
  CHECK(second.inside.port == Port{50000});
  CHECK(second.destination.port != Port{50000});
  CHECK(second.destination.port >= Port{49152});  // a dynamic one (RFC 6335)
}

TEST_CASE("rule 26: a client that announces a port again gets the same public port again") {
  // With another, conntrack would drop the data connection while it remembers the one before.
  Clients clients;
  clients.say("10.0.0.2", "PORT 10,0,0,2,195,80\r\n");
  const std::string first = clients.say("10.0.0.3", "PORT 10,0,0,3,195,80\r\n");
  CHECK(clients.say("10.0.0.3", "PORT 10,0,0,3,195,80\r\n") == first);
  CHECK(clients.say("10.0.0.4", "PORT 10,0,0,4,195,80\r\n") != first);
  CHECK(clients.say("10.0.0.3", "PORT 10,0,0,3,195,80\r\n") == first);
}

TEST_CASE("a configured range decides the public port") {
  Policy policy;
  policy.data_ports = PortRange{Port{60000}, Port{60001}};
  Conversation conversation(client_behind_snat(), {}, policy);
  conversation.log_in();
  conversation.client("PORT 10,0,0,2,195,80\r\n");
  REQUIRE(conversation.expectations().all().size() == 1);
  const Expectation& expectation = conversation.expectations().all()[0];
  CHECK(policy.data_ports->contains(expectation.destination.port));
  CHECK(expectation.inside.port == Port{50000});
}

// The life of an expectation.

TEST_CASE("rule 27: an expectation ends with its time, its session, and a refusal") {
  Conversation conversation(client_behind_snat(), {});
  conversation.log_in();
  conversation.client("PORT 10,0,0,2,195,80\r\n");
  REQUIRE(conversation.expectations().all().size() == 1);

  SECTION("60 seconds") {
    conversation.engine().on_tick(59s);
    CHECK(conversation.expectations().all().size() == 1);
    conversation.engine().on_tick(60s);
    CHECK(conversation.expectations().all().empty());
  }
  SECTION("PORT refused") {
    conversation.server("500 no\r\n");
    CHECK(conversation.expectations().all().empty());
  }
  SECTION("transfer refused") {
    conversation.server("200 ok\r\n");
    conversation.client("RETR x\r\n");
    conversation.server("550 no such file\r\n");
    CHECK(conversation.expectations().all().empty());
  }
  SECTION("reset") {
    conversation.reset(Direction::reply);
    CHECK(conversation.expectations().all().empty());
  }
  SECTION("closed by both") {
    conversation.close(Direction::original);
    CHECK(conversation.expectations().all().size() == 1);
    conversation.close(Direction::reply);
    CHECK(conversation.expectations().all().empty());
  }
  SECTION("an orderly end of the gateway") {
    conversation.engine().withdraw_all(conversation.now());
    CHECK(conversation.expectations().all().empty());
  }
}

TEST_CASE("an ended session is remembered for its linger time, then forgotten") {
  Conversation conversation(client_behind_snat(), {});
  conversation.close(Direction::original);
  conversation.close(Direction::reply);
  CHECK(conversation.engine().connections() == 1);
  conversation.engine().on_tick(Policy{}.session_linger);
  CHECK(conversation.engine().connections() == 0);
}

// Loss and repetition.

TEST_CASE("an edited line that is lost behind the gateway comes again with the same edit") {
  for (const OffsetOwner owner : {OffsetOwner::kernel, OffsetOwner::engine}) {
    for (const std::size_t cut : {std::size_t{0}, std::size_t{7}, std::size_t{20}}) {
      CAPTURE(owner == OffsetOwner::kernel, cut);
      Conversation conversation(client_behind_snat(), {.owner = owner, .cut_at = cut});
      conversation.log_in();
      conversation.lose_after_engine(Direction::original, true);
      conversation.client("PORT 10,0,0,2,195,80\r\n");
      conversation.lose_after_engine(Direction::original, false);
      conversation.run_timer(Direction::original);
      CHECK(conversation.server_received() == login_to_server + "PORT 203,0,113,100,195,80\r\n");
      conversation.server("200 ok\r\n");
      conversation.client("NOOP\r\n");
      CHECK(conversation.everything_arrived());
      CHECK(conversation.expectations().all().size() == 1);
    }
  }
}

TEST_CASE("an acknowledged edit that is sent again does not leak bytes into the stream") {
  for (const OffsetOwner owner : {OffsetOwner::kernel, OffsetOwner::engine}) {
    Conversation conversation(server_behind_dnat(), {.owner = owner});
    conversation.log_in();
    conversation.client("PASV\r\n");
    const std::string line = "227 Entering Passive Mode (192,168,100,200,195,80).\r\n";
    const std::size_t at = conversation.peer(Direction::reply).sent.size();
    conversation.server(line);
    conversation.client("NOOP\r\n");
    conversation.send_again(Direction::reply, at, line.size());
    conversation.server("200 ok\r\n");
    CHECK(conversation.client_received() ==
          login_to_client + "227 Entering Passive Mode (9,9,9,9,195,80).\r\n200 ok\r\n");
    CHECK(conversation.everything_arrived());
  }
}

TEST_CASE("rule 31: the first copy wins for an edited line") {
  Conversation conversation(client_behind_snat(), {});
  conversation.log_in();
  const std::size_t at = conversation.peer(Direction::original).sent.size();
  conversation.lose_after_engine(Direction::original, true);
  conversation.send_segment(Direction::original, "PORT 10,0,0,2,195,80\r\n");
  conversation.lose_after_engine(Direction::original, false);
  conversation.send_again(Direction::original, at, 22, "PORT 10,0,0,2,0,22  \r\n");
  CHECK(conversation.server_received() == login_to_server + "PORT 203,0,113,100,195,80\r\n");
}

TEST_CASE("rule 31: the first copy wins for bytes that are not edited") {
  for (const OffsetOwner owner : {OffsetOwner::kernel, OffsetOwner::engine}) {
    Conversation conversation(client_behind_snat(), {.owner = owner});
    conversation.log_in();
    const std::size_t at = conversation.peer(Direction::original).sent.size();
    conversation.lose_after_engine(Direction::original, true);
    conversation.send_segment(Direction::original, "CWD harmless\r\n");
    conversation.lose_after_engine(Direction::original, false);
    conversation.send_again(Direction::original, at, 14, "DELE precious!");
    CHECK(conversation.server_received() == login_to_server + "CWD harmless\r\n");
    CHECK(conversation.everything_arrived());
  }
}

TEST_CASE("rule 35: a full segment that would grow leaves in two") {
  for (const OffsetOwner owner : {OffsetOwner::kernel, OffsetOwner::engine}) {
    Conversation conversation(client_behind_snat(), {.owner = owner});
    conversation.log_in();
    const std::string first = "PORT 10,0,0,2,195,80\r\n";
    const std::string rest = "X" + std::string(1400 - first.size() - 3, 'y') + "\r\n";
    std::size_t largest = 0;
    conversation.watch_packets(
        [&](Direction, std::size_t bytes) { largest = std::max(largest, bytes); });
    conversation.client(first + rest);
    CHECK(conversation.server_received() ==
          login_to_server + "PORT 203,0,113,100,195,80\r\n" + rest);
    CHECK(largest == 1440);
    CHECK(conversation.everything_arrived());
  }
}

TEST_CASE("a half line is held for ten seconds, then leaves unedited") {
  for (const OffsetOwner owner : {OffsetOwner::kernel, OffsetOwner::engine}) {
    Conversation conversation(client_behind_snat(), {.owner = owner});
    conversation.log_in();
    conversation.client("PORT 10,0,");
    CHECK(conversation.server_received() == login_to_server);
    CHECK(conversation.everything_arrived());

    conversation.advance(9s);
    CHECK(conversation.server_received() == login_to_server);
    const bool lost_first = GENERATE(false, true);
    conversation.lose_after_engine(Direction::original, lost_first);
    conversation.advance(1s);
    conversation.lose_after_engine(Direction::original, false);
    conversation.advance(1s);
    CHECK(conversation.server_received() == login_to_server + "PORT 10,0,");

    conversation.client("0,2,195,80\r\n");
    CHECK(conversation.server_received() == login_to_server + "PORT 10,0,0,2,195,80\r\n");
    CHECK(conversation.expectations().all().empty());
    CHECK(conversation.take_decisions().back().reason == Reason::start_has_left);
    conversation.server("500 no\r\n");
    conversation.client("PORT 10,0,0,2,195,81\r\n");
    CHECK(conversation.server_received() ==
          login_to_server + "PORT 10,0,0,2,195,80\r\nPORT 203,0,113,100,195,81\r\n");
    CHECK(conversation.everything_arrived());
  }
}

TEST_CASE("a half line leaves unedited when the gateway ends") {
  for (const OffsetOwner owner : {OffsetOwner::kernel, OffsetOwner::engine}) {
    Conversation conversation(client_behind_snat(), {.owner = owner});
    conversation.log_in();
    conversation.client("PORT 10,0,");
    CHECK(conversation.server_received() == login_to_server);
    conversation.engine().withdraw_all(conversation.now());
    conversation.advance(0s);
    CHECK(conversation.server_received() == login_to_server + "PORT 10,0,");
  }
}

TEST_CASE("a held line that never ends is let go when it is too long for a line") {
  Conversation conversation(client_behind_snat(), {.byte_by_byte = true});
  conversation.log_in();
  const std::string endless = "PORT " + std::string(600, '1');
  conversation.client(endless);
  CHECK(conversation.server_received() == login_to_server + endless);
  CHECK(conversation.everything_arrived());
}

TEST_CASE("a held line leaves with the FIN that follows it") {
  for (const OffsetOwner owner : {OffsetOwner::kernel, OffsetOwner::engine}) {
    Conversation conversation(client_behind_snat(), {.owner = owner});
    conversation.log_in();
    conversation.client("PORT 10,0,");
    SECTION("with the rest") {
      conversation.send_segment(Direction::original, "0,2,195,80", Segment::fin_flag);
      CHECK(conversation.server_received() == login_to_server + "PORT 10,0,0,2,195,80");
    }
    SECTION("alone") {
      conversation.close(Direction::original);
      CHECK(conversation.server_received() == login_to_server + "PORT 10,0,");
    }
    SECTION("alone, and lost: the gateway sends again what only it has") {
      conversation.lose_after_engine(Direction::original, true);
      conversation.close(Direction::original);
      conversation.lose_after_engine(Direction::original, false);
      conversation.advance(10s);
      CHECK(conversation.server_received() == login_to_server + "PORT 10,0,");
    }
  }
}

TEST_CASE("an external address is advertised outside and shifted by the engine, without NAT") {
  // The server's host behind a cloud's one-to-one mapping of 203.0.113.100.
  const Master master = master_of(endpoint("198.51.100.7", 40000), endpoint("198.51.100.7", 40000),
                                  endpoint("10.0.0.2", 21), endpoint("10.0.0.2", 21));
  Policy policy;
  policy.external_addresses = {{*Address::parse("10.0.0.2"), *Address::parse("203.0.113.100")}};
  // Without NAT every packet passes the engine, whoever owns the offsets of other connections.
  for (const std::uint32_t initial_seq : {1000U, 0xffffffe0U}) {
    Conversation conversation(master, {.owner = OffsetOwner::engine, .initial_seq = initial_seq},
                              policy);
    conversation.log_in();
    for (int transfer = 0; transfer < 3; ++transfer) {
      conversation.client("PASV\r\n");
      conversation.server("227 Entering Passive Mode (10,0,0,2,195,80)\r\n");
    }
    CHECK(conversation.client_received().ends_with(
        "227 Entering Passive Mode (203,0,113,100,195,80)\r\n"));
    REQUIRE(conversation.expectations().all().size() == 1);
    CHECK(describe(conversation.expectations().all()[0]) ==
          "198.51.100.7 -> 10.0.0.2:50000, 50000");
    CHECK_FALSE(conversation.expectations().all()[0].follows_master);
    CHECK(conversation.everything_arrived());
  }
}

TEST_CASE("a session that an external address has edited goes on when the address is gone") {
  const Master master = master_of(endpoint("198.51.100.7", 40000), endpoint("198.51.100.7", 40000),
                                  endpoint("10.0.0.2", 21), endpoint("10.0.0.2", 21));
  Policy policy;
  policy.external_addresses = {{*Address::parse("10.0.0.2"), *Address::parse("203.0.113.100")}};
  Conversation conversation(master, {.owner = OffsetOwner::engine}, policy);
  conversation.log_in();
  conversation.client("PASV\r\n");
  conversation.server("227 Entering Passive Mode (10,0,0,2,195,80)\r\n");

  conversation.engine().set_policy(Policy{});
  conversation.client("NOOP\r\n");
  conversation.server("200 Still here.\r\n");
  conversation.client("PASV\r\n");
  conversation.server("227 Entering Passive Mode (10,0,0,2,195,81)\r\n");
  CHECK(
      conversation.client_received().ends_with("(203,0,113,100,195,80)\r\n200 Still here.\r\n"
                                               "227 Entering Passive Mode (10,0,0,2,195,81)\r\n"));
  const Peer& server = conversation.peer(Direction::reply);
  CHECK(server.acknowledged == server.sent_until);
}

TEST_CASE("rule 25: a client on the inside network is not told the external address") {
  const Master master = master_of(endpoint("10.0.0.9", 40000), endpoint("10.0.0.9", 40000),
                                  endpoint("10.0.0.2", 21), endpoint("10.0.0.2", 21));
  Policy policy;
  policy.external_addresses = {{*Address::parse("10.0.0.2"), *Address::parse("203.0.113.100")}};
  Conversation conversation(master, {}, policy);
  conversation.log_in();
  conversation.client("PASV\r\n");
  conversation.server("227 Entering Passive Mode (10,0,0,2,195,80)\r\n");
  CHECK(
      conversation.client_received().ends_with("227 Entering Passive Mode (10,0,0,2,195,80)\r\n"));
}

TEST_CASE("payload on a SYN passes and does not reach the kernel's seams") {
  MemoryMasters masters;
  MemoryExpectations expectations;
  MemoryInjector injector;
  Policy policy;
  policy.login_required = false;
  Engine engine(policy, {masters, expectations, injector});
  const Master master = client_behind_snat();
  for (const char* payload : {"P", "PORT 10,0,0,2,195,80\r\n"}) {
    const auto outcome =
        engine.on_packet(make_packet(master.original, {1000}, {}, Segment::syn_flag, payload), 0s);
    CHECK(outcome.verdict.action == Verdict::Action::accept);
  }
  CHECK(injector.sent().empty());
  CHECK(expectations.all().empty());
}

TEST_CASE("bytes that the gateway never saw do not stop the session") {
  Conversation conversation(client_behind_snat(), {});
  conversation.log_in();
  // As if the queue had been full: the server gets a line, the engine does not.
  Peer& client = conversation.peer(Direction::original);
  Peer& server = conversation.peer(Direction::reply);
  const std::string unseen = "NOOP\r\n";
  client.sent += unseen;
  client.sent_until = client.sent_until + static_cast<std::int64_t>(unseen.size());
  server.received += unseen;
  server.expected = server.expected + static_cast<std::int64_t>(unseen.size());
  client.acknowledged = client.sent_until;

  SECTION("the server's answer shows that it has them") {
    conversation.server("200 ok\r\n");
    conversation.client("NOOP\r\n");
    conversation.server("200 ok\r\n");
    conversation.client("PORT 10,0,0,2,195,80\r\n");
    CHECK(conversation.server_received() ==
          login_to_server + "NOOP\r\nNOOP\r\nPORT 203,0,113,100,195,80\r\n");
  }
  SECTION("the client sends on, again and again") {
    conversation.client("NOOP\r\n");
    CHECK(conversation.server_received() == login_to_server + "NOOP\r\nNOOP\r\n");
  }
  SECTION("the server's answer was not seen either") {
    const std::string answer = "200 ok\r\n";
    server.sent += answer;
    server.sent_until = server.sent_until + static_cast<std::int64_t>(answer.size());
    client.received += answer;
    client.expected = client.expected + static_cast<std::int64_t>(answer.size());
    server.acknowledged = server.sent_until;

    const Time before = conversation.now();
    conversation.client("NOOP\r\n");
    CHECK(conversation.now() == before);
    conversation.server("200 ok\r\n");
    conversation.client("PORT 10,0,0,2,195,80\r\n");
    CHECK(conversation.server_received() ==
          login_to_server + "NOOP\r\nNOOP\r\nPORT 203,0,113,100,195,80\r\n");
  }
  CHECK(conversation.everything_arrived());
}

// The control connection outlives its transfers.

TEST_CASE("rule 30: a connection that waits for a reply is not forgotten by conntrack") {
  Conversation conversation(client_behind_snat(), {});
  conversation.masters().forget_after(20s);
  conversation.log_in();
  for (int second = 0; second < 60; ++second) conversation.advance(1s);
  CHECK(conversation.masters().kept() == 0);

  conversation.client("RETR file\r\n");
  conversation.server("150 here it comes\r\n");
  for (int second = 0; second < 60; ++second) conversation.advance(1s);
  CHECK(conversation.masters().kept() == 12);

  SECTION("no more when the reply is there") {
    conversation.server("226 done\r\n");
    for (int second = 0; second < 60; ++second) conversation.advance(1s);
    CHECK(conversation.masters().kept() == 12);
  }
  SECTION("no more when it is gone") {
    conversation.masters().forget_after(std::nullopt);
    for (int second = 0; second < 10; ++second) conversation.advance(1s);
    conversation.masters().forget_after(20s);
    for (int second = 0; second < 60; ++second) conversation.advance(1s);
    CHECK(conversation.masters().kept() == 12);
  }
  SECTION("no more when it has ended") {
    conversation.reset(Direction::reply);
    for (int second = 0; second < 60; ++second) conversation.advance(1s);
    CHECK(conversation.masters().kept() == 12);
  }
  SECTION("not where conntrack remembers it for long anyway") {
    conversation.masters().forget_after(std::chrono::hours{1});
    for (int second = 0; second < 60; ++second) conversation.advance(1s);
    CHECK(conversation.masters().kept() == 12);
  }
}

// Sessions that were under way.

/// A gateway that comes when a session behind SNAT is under way.
class Latecomer {
 public:
  explicit Latecomer(const Policy& policy = {}, const SequenceOffset& clients_offset = {})
      : engine_(policy, {masters_, expectations_, injector_}) {
    master_.offsets[0] = clients_offset;
    masters_.add(master_);
  }
  Outcome client(Seq seq, Seq acknowledges, std::string_view text) {
    return send(master_.original, seq, acknowledges, text);
  }
  Outcome server(Seq seq, Seq acknowledges, std::string_view text) {
    return send(master_.reply, seq, acknowledges, text);
  }
  /// It holds [held, held_end) out of order.
  Outcome server_that_holds(Seq held, Seq held_end, Seq seq, Seq acknowledges,
                            std::string_view text) {
    std::array<std::uint8_t, 12> sack{tcp_option::no_operation, tcp_option::no_operation,
                                      tcp_option::sack, 10};
    wire::write32(sack, 4, held.number);
    wire::write32(sack, 8, held_end.number);
    return engine_.on_packet(
        make_packet(master_.reply, seq, acknowledges, Segment::ack_flag, text, 0, sack), now_);
  }
  void wait(Time time) { now_ += time; }
  std::size_t expectations() const { return expectations_.all().size(); }
  SequenceOffset clients_offset() const { return masters_.all()[0].offsets[0]; }

 private:
  Outcome send(const Tuple& tuple, Seq seq, Seq acknowledges, std::string_view text) {
    return engine_.on_packet(make_packet(tuple, seq, acknowledges, Segment::ack_flag, text), now_);
  }

  Master master_ = client_behind_snat();
  MemoryMasters masters_;
  MemoryExpectations expectations_;
  MemoryInjector injector_;
  Engine engine_;
  Time now_{};
};

const std::string port_line = "PORT 10,0,0,2,195,80\r\n";

TEST_CASE("rule 36: a session that was under way is edited only after a line start is certain") {
  Latecomer gateway;
  const auto first = gateway.client({5000}, {9000}, port_line);
  CHECK(first.verdict.action == Verdict::Action::accept);
  CHECK(first.decisions.back().reason == Reason::start_unknown);
  CHECK(gateway.expectations() == 0);

  gateway.server({9000}, {5022}, "500 no\r\n");
  const auto second = gateway.client({5022}, {9008}, port_line);
  CHECK(second.verdict.action == Verdict::Action::replace);
  CHECK(second.decisions.back().reason == Reason::rewritten);
}

TEST_CASE("rule 36: what the server may have received before the gateway came is not edited") {
  Policy policy;
  policy.active_needs_quiet = false;
  Latecomer gateway(policy);
  // The end of a line comes again, with what followed it: the server may lack the former only.
  CHECK(gateway.client({5000}, {9000}, "\n" + port_line).verdict.action == Verdict::Action::accept);
  CHECK(gateway.expectations() == 0);
  gateway.server({9000}, {5023}, "500 no\r\n");
  CHECK(gateway.client({5023}, {9008}, port_line).verdict.action == Verdict::Action::replace);
}

TEST_CASE("rule 36: nothing is edited in front of what the server holds from before") {
  Policy policy;
  policy.active_needs_quiet = false;
  Latecomer gateway(policy);
  // Of three commands the first and the last have arrived before the gateway came: an edit of the
  // second would shift the third, and leave in its place what is there already.
  gateway.client({5000}, {9000}, "NOOP\r\n");
  gateway.server_that_holds({5028}, {5036}, {9000}, {5006}, "200 ok\r\n");
  CHECK(gateway.client({5006}, {9008}, port_line).verdict.action == Verdict::Action::accept);
  CHECK(gateway.client({5028}, {9008}, "TYPE I\r\n").verdict.action == Verdict::Action::accept);
  CHECK(gateway.expectations() == 0);

  gateway.server({9008}, {5036}, "500 no\r\n");
  CHECK(gateway.client({5036}, {9016}, port_line).verdict.action == Verdict::Action::replace);
}

TEST_CASE("bytes that were acknowledged before the gateway came do not stop the session") {
  Policy policy;
  policy.offset_owner = GENERATE(OffsetOwner::kernel, OffsetOwner::engine);
  CAPTURE(policy.offset_owner);
  Latecomer gateway(policy);
  // What came before 9010 is a repetition, and the last there will ever be.
  gateway.server({9000}, {5000}, "20");
  for (int copies = 0; copies < 3; ++copies) {
    CHECK(gateway.server({9010}, {5000}, "ok\r\n").verdict.action == Verdict::Action::drop);
    gateway.wait(1s);
  }
  CHECK(gateway.server({9010}, {5000}, "ok\r\n").verdict.action == Verdict::Action::accept);
}

TEST_CASE("a command that was answered before the gateway came is not waited for") {
  Latecomer gateway;
  // It comes again, since the server's acknowledgement was lost; its answer has passed.
  gateway.client({5000}, {9000}, "NOOP\r\n");
  gateway.client({5006}, {9008}, "TYPE I\r\n");
  gateway.server({9008}, {5014}, "200 ok\r\n");
  gateway.client({5014}, {9016}, port_line);
  CHECK(gateway.expectations() == 1);
}

TEST_CASE("a session that was under way goes on from the kernel's offset") {
  Latecomer gateway({}, {4000, 3, 8});
  gateway.client({5000}, {9000}, "NOOP\r\n");
  gateway.server({9000}, {5006 + 8}, "200 ok\r\n");
  gateway.client({5006}, {9008}, port_line);
  CHECK(gateway.clients_offset() == SequenceOffset{5006 + 5, 8, 13});
}

TEST_CASE("a SYN that nobody answers does not disturb the session it imitates") {
  Conversation conversation(client_behind_snat(), {});
  conversation.log_in();
  conversation.engine().on_packet(
      make_packet(conversation.master().original, {77777}, {}, Segment::syn_flag, ""), 0s);
  conversation.client("PORT 10,0,0,2,195,80\r\n");
  CHECK(conversation.server_received() == login_to_server + "PORT 203,0,113,100,195,80\r\n");
}

/// What of `packet` leaves by the verdict, which does not drop it.
Segment what_leaves(const Verdict& verdict, wire::Bytes packet) {
  REQUIRE(verdict.action != Verdict::Action::drop);
  const auto segment =
      Segment::parse(verdict.action == Verdict::Action::accept ? packet : verdict.packet);
  REQUIRE(segment);
  return *segment;
}

std::string text_of(const Segment& segment) {
  return {segment.payload().begin(), segment.payload().end()};
}

TEST_CASE("what was lost before a session was taken up passes when it comes again") {
  Master master = both_nated();
  master.offsets[1] = {3196, 84, 90};
  MemoryMasters masters;
  masters.add(master);
  MemoryExpectations expectations;
  MemoryInjector injector;
  Engine engine({}, {masters, expectations, injector});
  const auto from_server = [&](std::uint32_t seq, std::string_view text) {
    const auto packet =
        make_packet(master.reply, Seq{seq}, Seq{643}, Segment::psh_flag | Segment::ack_flag, text);
    const Segment left = what_leaves(engine.on_packet(packet, 1s).verdict, packet);
    CHECK(left.seq() == Seq{seq});
    CHECK(text_of(left) == text);
  };
  from_server(3269, "226 Transfer complete.\r\n");
  from_server(3243, "125 Transfer starting...\r\n");
  from_server(3243, "125 Transfer starting...\r\n226 Transfer complete.\r\n");
}

TEST_CASE("the first line of a session under way does not wait for an edit that it cannot get") {
  Master master = client_behind_snat();
  master.offsets[0] = {900, 0, 6};
  MemoryMasters masters;
  masters.add(master);
  MemoryExpectations expectations;
  MemoryInjector injector;
  Engine engine({}, {masters, expectations, injector});
  const std::string line = "PORT 10,0,0,2,195,80\r\n";
  const auto packet = make_packet(master.original, Seq{1000}, Seq{5000},
                                  Segment::psh_flag | Segment::ack_flag, line);
  CHECK(text_of(what_leaves(engine.on_packet(packet, 1s).verdict, packet)) == line);
}

}  // namespace
}  // namespace ftpalg::test
