// SPDX-License-Identifier: GPL-2.0-or-later
// Who is served, how much at once, and when the kernel is told to queue a connection no more.
#include <catch2/catch.hpp>

#include "conversation.h"

namespace ftpalg::test {
namespace {

using namespace std::chrono_literals;

/// A gateway with many clients, each behind its own public address.
class Crowd {
 public:
  explicit Crowd(const Policy& policy) : engine_(policy, {masters_, expectations_, injector_}) {}

  /// Client `number` opens its connection `port`, the server answers and greets, and it logs in. It
  /// is seen outside as 203.0.113.`outside`.
  void open(std::uint8_t number, std::uint16_t port, std::uint8_t outside) {
    syn(number, port);
    answer(number, port, outside);
    greet(number, port, outside);
    const Master master = master_behind(number, port, outside);
    give(master.original, {1001}, Segment::ack_flag, "USER a\r\n");
    give(master.reply, {2009}, Segment::ack_flag, "230 in\r\n");
  }
  void open(std::uint8_t number, std::uint16_t port) { open(number, port, number); }
  /// The server answers its SYN.
  Verdict answer(std::uint8_t number, std::uint16_t port, std::uint8_t outside) {
    const Master master = master_behind(number, port, outside);
    masters_.add(master);
    return give(master.reply, {2000}, Segment::syn_flag | Segment::ack_flag, "");
  }
  /// The server greets, as it does when the client has its answer.
  Verdict greet(std::uint8_t number, std::uint16_t port, std::uint8_t outside) {
    return give(master_behind(number, port, outside).reply, {2001}, Segment::ack_flag,
                "220 hi\r\n");
  }
  /// Both ends close.
  void close(std::uint8_t number, std::uint16_t port) {
    const Master master = master_behind(number, port, number);
    give(master.original, {1009}, Segment::ack_flag | Segment::fin_flag, "");
    give(master.reply, {2017}, Segment::ack_flag | Segment::fin_flag, "");
  }
  /// The client announces a port of its own.
  void announce(std::uint8_t number, std::uint16_t port) {
    give(tuple(number, port), {1009}, Segment::ack_flag,
         "PORT 10,0,0," + std::to_string(number) + ",195," + std::to_string(port % 256) + "\r\n");
  }
  /// The client speaks on a connection that was under way before the gateway was.
  void speak(std::uint8_t number, std::uint16_t port) {
    masters_.add(master_behind(number, port, number));
    give(tuple(number, port), {5000}, Segment::ack_flag, "NOOP\r\n");
  }
  /// The same, as the last thing it says.
  void take_leave(std::uint8_t number, std::uint16_t port) {
    masters_.add(master_behind(number, port, number));
    give(tuple(number, port), {5000}, Segment::ack_flag | Segment::fin_flag, "QUIT\r\n");
  }
  Verdict syn(std::uint8_t number, std::uint16_t port) {
    return give(tuple(number, port), {1000}, Segment::syn_flag, "");
  }

  Engine& engine() { return engine_; }
  std::size_t expectations() const { return expectations_.all().size(); }
  Reason last() const { return last_; }
  std::uint32_t mark(std::uint8_t number, std::uint16_t port) {
    return masters_.find(tuple(number, port))->mark;
  }
  void wait(Time time) {
    now_ += time;
    engine_.on_tick(now_);
  }

 private:
  static std::string address(std::uint8_t number) { return "10.0.0." + std::to_string(number); }
  static Tuple tuple(std::uint8_t number, std::uint16_t port) {
    return {endpoint(address(number), port), endpoint("198.51.100.7", 21)};
  }
  static Master master_behind(std::uint8_t number, std::uint16_t port, std::uint8_t outside) {
    return master_of(endpoint(address(number), port),
                     endpoint("203.0.113." + std::to_string(outside), port),
                     endpoint("198.51.100.7", 21), endpoint("198.51.100.7", 21));
  }
  Verdict give(const Tuple& tuple, Seq seq, int flags, std::string_view text) {
    const Outcome outcome = engine_.on_packet(
        make_packet(tuple, seq, {}, static_cast<std::uint8_t>(flags), text), now_);
    if (!outcome.decisions.empty()) last_ = outcome.decisions.back().reason;
    return outcome.verdict;
  }

  MemoryMasters masters_;
  MemoryExpectations expectations_;
  MemoryInjector injector_;
  Engine engine_;
  Reason last_ = Reason::none;
  Time now_{};
};

TEST_CASE("what is no TCP, or nothing that the kernel knows, passes") {
  Crowd crowd{Policy{}};
  const std::array<std::uint8_t, 3> rest_of_a_packet{0x45, 0, 0};
  CHECK(crowd.engine().on_packet(rest_of_a_packet, 0s).verdict.action == Verdict::Action::accept);
  const auto unknown = make_packet({endpoint("10.0.0.1", 40000), endpoint("192.0.2.1", 21)}, {1},
                                   {1}, Segment::ack_flag, "PORT 10,0,0,1,195,80\r\n");
  CHECK(crowd.engine().on_packet(unknown, 0s).verdict.action == Verdict::Action::accept);
  CHECK(crowd.engine().connections() == 0);
}

TEST_CASE("an end is nothing to take up") {
  Crowd crowd{Policy{}};
  crowd.take_leave(1, 40000);
  CHECK(crowd.engine().connections() == 0);
}

TEST_CASE("a public port that is used again belongs to the new connection") {
  Crowd crowd{Policy{}};
  crowd.open(1, 40000, 100);
  crowd.announce(1, 40000);
  CHECK(crowd.expectations() == 1);
  crowd.open(2, 40000, 100);
  CHECK(crowd.engine().connections() == 1);
  CHECK(crowd.expectations() == 0);
  crowd.announce(2, 40000);
  CHECK(crowd.last() == Reason::rewritten);
}

TEST_CASE("rule 27: sessions are capped per client network and in all") {
  Policy policy;
  policy.sessions_per_client_max = 2;
  policy.sessions_max = 3;
  Crowd crowd(policy);
  crowd.open(1, 40000);
  crowd.open(1, 40001);
  CHECK(crowd.engine().connections() == 2);

  crowd.open(1, 40002);
  CHECK(crowd.last() == Reason::client_sessions_full);
  CHECK(crowd.engine().connections() == 2);
  CHECK(crowd.mark(1, 40002) == policy.done_mark);

  crowd.open(2, 40000);
  crowd.open(3, 40000);
  CHECK(crowd.last() == Reason::sessions_full);
  crowd.announce(2, 40000);
  CHECK(crowd.last() == Reason::rewritten);
  CHECK(crowd.engine().connections() == 3);
}

TEST_CASE("rule 27: announced data connections are capped per client network and in all") {
  Policy policy;
  policy.expectations_per_client_max = 2;
  policy.expectations_max = 3;
  Crowd crowd(policy);
  for (std::uint16_t port = 40000; port < 40003; ++port) {
    crowd.open(1, port);
    crowd.announce(1, port);
  }
  CHECK(crowd.last() == Reason::client_expectations_full);
  CHECK(crowd.expectations() == 2);
  for (const std::uint8_t client : {std::uint8_t{2}, std::uint8_t{3}}) {
    crowd.open(client, 40000);
    crowd.announce(client, 40000);
  }
  CHECK(crowd.last() == Reason::expectations_full);
  CHECK(crowd.expectations() == 3);

  crowd.wait(policy.expectation_life);
  CHECK(crowd.expectations() == 0);
  crowd.open(4, 40000);
  crowd.announce(4, 40000);
  CHECK(crowd.expectations() == 1);
}

TEST_CASE("sessions that were under way count, and are refused, as others") {
  Policy policy;
  policy.sessions_per_client_max = 1;
  policy.server_networks = {*Network::parse("198.51.100.0/24")};
  policy.client_networks = {*Network::parse("10.0.0.0/29")};
  Crowd crowd(policy);
  crowd.speak(1, 40000);
  CHECK(crowd.engine().connections() == 1);
  crowd.speak(1, 40001);
  CHECK(crowd.last() == Reason::client_sessions_full);
  CHECK(crowd.mark(1, 40001) == policy.done_mark);
  crowd.speak(9, 40000);
  CHECK(crowd.last() == Reason::client_not_served);

  policy.server_networks = {*Network::parse("192.0.2.0/24")};
  crowd.engine().set_policy(policy);
  crowd.speak(2, 40000);
  CHECK(crowd.last() == Reason::server_not_served);
  CHECK(crowd.mark(2, 40000) == policy.done_mark);
  CHECK(crowd.engine().connections() == 1);
}

TEST_CASE("who has said nothing for a day is forgotten, and taken up when it speaks again") {
  const Policy policy;
  Crowd crowd(policy);
  crowd.open(1, 40000);
  crowd.announce(1, 40000);
  crowd.wait(policy.session_idle_max - 1s);
  crowd.open(2, 40000);
  crowd.syn(3, 40000);
  CHECK(crowd.engine().connections() == 3);
  crowd.wait(1s);
  CHECK(crowd.engine().connections() == 2);
  crowd.speak(1, 40000);
  CHECK(crowd.engine().connections() == 3);

  crowd.engine().withdraw_all(policy.session_idle_max);
  CHECK(crowd.engine().connections() == 0);
  CHECK(crowd.expectations() == 0);
}

TEST_CASE("connections that nobody answers make room for others") {
  Policy policy;
  policy.sessions_max = 10;
  Crowd crowd(policy);
  for (std::uint16_t port = 0; port < 1000; ++port) crowd.syn(9, port);
  CHECK(crowd.engine().connections() == 10);
  crowd.open(1, 40000);
  crowd.announce(1, 40000);
  CHECK(crowd.last() == Reason::rewritten);
  crowd.wait(policy.session_linger);
  CHECK(crowd.engine().connections() == 1);
}

TEST_CASE(
    "connections that a server answers and no client confirms make room, and count for nobody") {
  Policy policy;
  policy.sessions_max = 10;
  policy.sessions_per_client_max = 2;
  Crowd crowd(policy);
  const auto answer_many = [&] {
    for (std::uint16_t port = 0; port < 1000; ++port) {
      crowd.syn(9, port);
      crowd.answer(9, port, 9);
    }
  };
  answer_many();
  CHECK(crowd.engine().connections() == 10);
  for (const std::uint8_t client : {std::uint8_t{1}, std::uint8_t{9}}) {
    crowd.open(client, 40000);
    crowd.announce(client, 40000);
    CHECK(crowd.last() == Reason::rewritten);
  }
  answer_many();
  for (const std::uint8_t client : {std::uint8_t{1}, std::uint8_t{9}}) {
    crowd.announce(client, 40000);
    CHECK(crowd.last() == Reason::rewritten);
  }
  crowd.wait(policy.session_linger);
  CHECK(crowd.engine().connections() == 2);
}

TEST_CASE("of connections that begin at once none gets beyond the cap") {
  Policy policy;
  policy.sessions_per_client_max = 1;
  for (const bool refuses : {false, true}) {
    if (refuses) policy.refused_commands = {{*Network::parse("10.0.0.0/24"), {"STOR"}}};
    Crowd crowd(policy);
    for (const std::uint8_t outside : {std::uint8_t{1}, std::uint8_t{2}}) {
      crowd.syn(1, 40000 + outside);
      CHECK(crowd.answer(1, 40000 + outside, outside).action == Verdict::Action::accept);
    }
    CHECK(crowd.greet(1, 40001, 1).action == Verdict::Action::accept);
    for (int repetition = 0; repetition < 2; ++repetition) {
      const auto second = crowd.greet(1, 40002, 2).action;
      CHECK(second == (refuses ? Verdict::Action::drop : Verdict::Action::accept));
    }
    CHECK(crowd.last() == Reason::client_sessions_full);
    CHECK(crowd.engine().connections() == 1);
    CHECK(crowd.mark(1, 40002) == (refuses ? 0 : policy.done_mark));
  }
}

TEST_CASE("ended connections are remembered, make room, and count for nobody") {
  Policy policy;
  policy.sessions_max = 10;
  policy.sessions_per_client_max = 2;
  Crowd crowd(policy);
  for (std::uint16_t port = 40000; port < 40100; ++port) {
    crowd.open(1, port);
    crowd.announce(1, port);
    CHECK(crowd.last() == Reason::rewritten);
    crowd.close(1, port);
    CHECK(crowd.expectations() == 0);
  }
  CHECK(crowd.engine().connections() == 10);
  crowd.wait(policy.session_linger);
  CHECK(crowd.engine().connections() == 0);
}

TEST_CASE("a connection beyond the cap does not begin where commands are refused") {
  Policy policy;
  policy.sessions_per_client_max = 1;
  policy.refused_commands = {{*Network::parse("10.0.0.1"), {"STOR"}}};
  Crowd crowd(policy);
  crowd.open(1, 40000);
  CHECK(crowd.syn(1, 40001).action == Verdict::Action::drop);
  crowd.open(2, 40000);
  CHECK(crowd.syn(2, 40001).action == Verdict::Action::accept);
}

TEST_CASE("who is not served passes unread, and is queued no more") {
  Policy policy;
  SECTION("a client") {
    policy.client_networks = {*Network::parse("10.0.0.2")};
    Crowd crowd(policy);
    crowd.open(1, 40000);
    CHECK(crowd.last() == Reason::client_not_served);
    CHECK(crowd.mark(1, 40000) == policy.done_mark);
    CHECK(crowd.engine().connections() == 0);
    crowd.open(2, 40000);
    crowd.announce(2, 40000);
    CHECK(crowd.last() == Reason::rewritten);
  }
  SECTION("a client, without a mark") {
    policy.client_networks = {*Network::parse("10.0.0.2")};
    policy.done_mark = 0;
    Crowd crowd(policy);
    crowd.open(1, 40000);
    CHECK(crowd.last() == Reason::client_not_served);
    CHECK(crowd.mark(1, 40000) == 0);
  }
  SECTION("not by the address that clients dial, but by its own") {
    const Master master = server_behind_dnat();
    policy.server_networks = {Network(master.server(), 32)};
    Conversation conversation(master, {}, policy);
    conversation.log_in();
    CHECK(conversation.engine().connections() == 1);
  }
  SECTION("a server") {
    policy.server_networks = {*Network::parse("192.168.0.0/16")};
    Crowd crowd(policy);
    crowd.open(1, 40000);
    CHECK(crowd.last() == Reason::server_not_served);
    CHECK(crowd.mark(1, 40000) == policy.done_mark);
    CHECK(crowd.engine().connections() == 0);
  }
}

TEST_CASE("beyond the memory for all sessions nothing is held, and every byte arrives") {
  Policy policy;
  policy.kept_bytes_max = 0;
  for (const Ways& ways : all_ways(12)) {
    CAPTURE(to_string(ways));
    Conversation conversation(client_behind_snat(), ways, policy);
    conversation.log_in();
    conversation.client("NOOP\r\n");
    conversation.client("PORT 10,0,0,2,195,80\r\n");
    CHECK(conversation.everything_arrived());
    CHECK(conversation.injector().sent().empty());
  }
}

std::uint32_t mark_of(Conversation& conversation) {
  return conversation.masters().find(conversation.master().original)->mark;
}

TEST_CASE("rule 13: an encrypted connection is marked, and is no more the gateway's") {
  const Policy policy;
  for (const Ways& ways : all_ways(6)) {
    CAPTURE(to_string(ways));
    Conversation conversation(both_nated(), ways);
    conversation.server("220 ready\r\n");
    conversation.client("AUTH TLS\r\n");
    CHECK(mark_of(conversation) == 0);
    conversation.server("234 go\r\n");
    conversation.client("\x16\x03\x01 hello");
    CHECK(mark_of(conversation) == policy.done_mark);
    CHECK(conversation.engine().connections() == 0);
    CHECK(conversation.everything_arrived());
  }
}

TEST_CASE("an encrypted connection is not marked before its last edit has arrived") {
  Conversation conversation(both_nated(), {});
  conversation.log_in();
  conversation.lose_after_engine(Direction::original, true);
  conversation.send_segment(Direction::original, "PORT 10,0,0,2,195,80\r\nAUTH TLS\r\n");
  // The server's answers acknowledge nothing of it.
  conversation.server("200 ok\r\n234 go\r\n");
  CHECK(mark_of(conversation) == 0);
  conversation.lose_after_engine(Direction::original, false);
  conversation.run_timer(Direction::original);
  CHECK(conversation.server_received().ends_with("PORT 203,0,113,100,195,80\r\nAUTH TLS\r\n"));
  conversation.server("\x16\x03\x01 hello");
  CHECK(mark_of(conversation) == Policy{}.done_mark);
  CHECK(conversation.expectations().all().empty());
}

TEST_CASE("a connection that is shifted by the gateway itself is never marked") {
  Conversation conversation(both_nated(), {.owner = OffsetOwner::engine});
  conversation.log_in();
  conversation.client("PORT 10,0,0,2,195,80\r\n");
  conversation.server("200 ok\r\n");
  conversation.client("AUTH TLS\r\n");
  conversation.server("234 go\r\n");
  conversation.client("\x16\x03\x01 hello");
  CHECK(mark_of(conversation) == 0);
  CHECK(conversation.everything_arrived());
}

TEST_CASE("where the kernel takes no mark the connection stays the gateway's") {
  Conversation conversation(both_nated(), {});
  conversation.masters().answer_marks_with(MarkResult::failed);
  conversation.server("220 ready\r\n");
  conversation.client("AUTH TLS\r\n");
  conversation.server("234 go\r\n");
  conversation.client("\x16\x03\x01 hello");
  CHECK(conversation.engine().connections() == 1);
  CHECK(conversation.everything_arrived());
}

TEST_CASE("a new policy holds from the next line on") {
  Conversation conversation(client_behind_snat(), {});
  conversation.log_in();
  Policy policy;
  policy.active_allowed = false;
  policy.refused_commands = {{*Network::parse("0.0.0.0/0"), {"STOR"}}};
  conversation.engine().set_policy(policy);
  conversation.client("STOR x\r\n");
  CHECK(conversation.server_received().ends_with("XXXX x\r\n"));
  conversation.server("500 what?\r\n");
  conversation.client("PORT 10,0,0,2,195,80\r\n");
  CHECK(conversation.server_received().ends_with("PORT 10,0,0,2,195,80\r\n"));
  CHECK(conversation.take_decisions().back().reason == Reason::active_refused);
}

TEST_CASE("rule 21: a third host is opened between the networks that the policy names") {
  Policy policy;
  policy.foreign_addresses = {{*Network::parse("10.0.0.0/24"), *Network::parse("192.0.2.0/24")}};
  struct Row {
    const char* line;
    Reason reason;
  };
  for (const auto& [line, reason] : {Row{"PORT 192,0,2,7,195,80\r\n", Reason::expected},
                                     Row{"PORT 192,0,2,7,0,25\r\n", Reason::refused_port},
                                     Row{"PORT 192,0,2,1,195,80\r\n", Reason::gateway_address},
                                     Row{"PORT 192,0,3,7,195,80\r\n", Reason::foreign_address}}) {
    CAPTURE(line);
    Conversation conversation(client_behind_snat(), {}, policy);
    conversation.set_gateway_addresses({*Address::parse("192.0.2.1")});
    conversation.log_in();
    conversation.client(line);
    CHECK(conversation.server_received().ends_with(line));
    CHECK(conversation.take_decisions().back().reason == reason);
    if (reason != Reason::expected) continue;
    const Expectation& expectation = conversation.expectations().all().at(0);
    CHECK(expectation.source == *Address::parse("198.51.100.7"));
    CHECK(expectation.destination == endpoint("192.0.2.7", 50000));
    CHECK_FALSE(expectation.follows_master);
  }
}

}  // namespace
}  // namespace ftpalg::test
