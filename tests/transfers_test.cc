// SPDX-License-Identifier: GPL-2.0-or-later
// Transfers: what control connections and conntrack tell of them, brought together.
#include "tools/transfers.h"

#include <catch2/catch.hpp>
#include <map>
#include <nlohmann/json.hpp>

#include "tools/transfer_witness.h"

using namespace ftpalg;
using namespace ftpalg::tools;

namespace {

constexpr Time second = std::chrono::seconds{1};

const Endpoint client{Address::ipv4(10, 0, 0, 2), Port{40000}};
const Endpoint dialled{Address::ipv4(203, 0, 113, 1), Port{21}};
const Endpoint server{Address::ipv4(192, 168, 7, 2), Port{21}};
const Endpoint client_as_seen{Address::ipv4(198, 51, 100, 7), Port{40000}};
const Tuple control{client, dialled};
const Endpoint data_port{dialled.address, Port{50000}};

Master master() {
  Master master;
  master.original = control;
  master.reply = {server, client_as_seen};
  return master;
}

/// A control connection whose transfers are picked out.
class Talk {
 public:
  Talk() {
    witness_.on_answered(master(), Witness::Beginning::seen, now_);
    s("220 ready");
    c("USER anna");
    s("331 password?");
    c("PASS secret");
    s("230 in");
  }

  void c(std::string_view line) { say(Direction::original, line, nullptr); }
  void s(std::string_view line) { say(Direction::reply, line, nullptr); }
  /// The server announces `data_port`, as the client is to know it.
  void pasv(std::string_view command = "PASV", std::string_view reply = "227 =203,0,113,1,195,80") {
    c(command);
    Decision decision;
    decision.control = control;
    decision.direction = Direction::reply;
    decision.reason = Reason::rewritten;
    decision.expectation = Expectation{};
    decision.expectation->destination = data_port;
    say(Direction::reply, reply, &decision);
  }
  void end() { witness_.on_end(control, now_); }
  void later(Time time) { now_ += time; }
  Time now() const { return now_; }

  std::vector<Transfer> take() { return std::exchange(taken_, {}); }
  Transfer take_one() {
    auto taken = take();
    REQUIRE(taken.size() == 1);
    return taken[0];
  }

 private:
  void say(Direction direction, std::string_view line, const Decision* decision) {
    witness_.on_line({control, direction, line, true, decision}, now_);
  }

  Time now_ = std::chrono::hours{1};
  std::vector<Transfer> taken_;
  TransferWitness witness_{{},
                           [this](Transfer&& transfer) { taken_.push_back(std::move(transfer)); }};
};

RelatedConnection data_connection(std::uint32_t id, Endpoint destination = data_port) {
  const Endpoint from{client.address, Port{45000}};
  return {id, control, 0, {from, destination}, {{server.address, Port{50000}}, client_as_seen}};
}

/// conntrack's answers, and the transfers that it is asked about.
struct Conntrack {
  std::map<std::uint32_t, Progress> progress;
  Transfers transfers{[this](const RelatedConnection& connection) -> std::optional<Progress> {
                        const auto found = progress.find(connection.id);
                        if (found == progress.end()) return std::nullopt;
                        return found->second;
                      },
                      {},
                      {}};

  Conntrack() { transfers.set_control_ports({21}); }
  void begin(const RelatedConnection& connection, Time now) {
    progress[connection.id] = {Progress::Stage::open, true, BothTraffic{}};
    transfers.on_news({{connection}, {}, false}, now);
  }
  void count(std::uint32_t id, Traffic original, Traffic reply) {
    progress[id].traffic = BothTraffic{original, reply};
  }
  void end(std::uint32_t id) { progress[id].stage = Progress::Stage::ended; }
  FinishedTransfer take_one() {
    auto told = transfers.take_told();
    REQUIRE(told.finished.size() == 1);
    return told.finished[0];
  }
  void expect_none() { CHECK(transfers.take_told().finished.empty()); }
};

}  // namespace

TEST_CASE("a transfer is told with its command, user, mode and reply") {
  Talk talk;
  talk.pasv();
  talk.c("REST 1000");
  talk.s("350 from there");
  talk.c("retr a b.bin");
  talk.later(second);
  talk.s("150-it");
  talk.s("226 is not the end of this reply");
  talk.s("150 comes");
  CHECK(talk.take().empty());
  talk.s("226 done");
  const Transfer transfer = talk.take_one();
  CHECK(transfer.command == "RETR");
  CHECK(transfer.path == "a b.bin");
  CHECK(transfer.user == "anna");
  CHECK(transfer.mode == "PASV");
  CHECK(transfer.restart_at == 1000U);
  CHECK(transfer.kind == Transfer::Kind::download);
  CHECK(transfer.server == server);
  CHECK(transfer.data_destination == data_port);
  CHECK(transfer.code == std::uint16_t{226});
  CHECK(transfer.answered - transfer.asked == second);

  talk.c("NLST");
  talk.s("425 no PASV");
  const Transfer without = talk.take_one();
  CHECK(without.mode.empty());
  CHECK(without.restart_at == std::nullopt);
  CHECK(without.data_destination == std::nullopt);
  CHECK(without.kind == Transfer::Kind::listing);
}

TEST_CASE("what is asked during a transfer is not its answer") {
  Talk talk;
  talk.pasv();
  talk.c("RETR a");
  talk.s("150 comes");
  talk.c("STAT");
  talk.s("211 half of it");
  talk.c("NOOP");
  CHECK(talk.take().empty());
  talk.s("226 done");
  CHECK(talk.take_one().code == std::uint16_t{226});
  talk.s("200 still here");
  CHECK(talk.take().empty());
  // The commands and replies are in step again.
  talk.c("STOR b");
  talk.s("550 no");
  CHECK(talk.take_one().code == std::uint16_t{550});
}

TEST_CASE("a port that no transfer has used is the next one's") {
  Talk talk;
  talk.pasv();
  talk.c("RETR missing");
  talk.s("550 no such file");
  CHECK(talk.take_one().data_destination == data_port);
  talk.c("RETR there");
  talk.s("150 comes");
  talk.s("226 done");
  CHECK(talk.take_one().data_destination == data_port);
}

TEST_CASE("an abort has two replies") {
  Talk talk;
  talk.pasv();
  talk.c("RETR a");
  talk.s("150 comes");
  talk.c(
      "\xff\xf4\xff\xf2"
      "ABOR");
  talk.s("426 aborted");
  const Transfer transfer = talk.take_one();
  CHECK(transfer.to_abort);
  CHECK(transfer.code == std::uint16_t{426});
  talk.s("226 abort done");
  CHECK(talk.take().empty());
}

TEST_CASE("a session that ends leaves its transfer unanswered") {
  Talk talk;
  talk.pasv();
  talk.c("STOR a");
  talk.s("150 go");
  talk.end();
  const Transfer transfer = talk.take_one();
  CHECK(transfer.code == std::nullopt);
  CHECK(FinishedTransfer{transfer, std::nullopt, false}.result() == TransferResult::unanswered);
}

TEST_CASE("a transfer is over when its reply and its data connection's end are there") {
  Talk talk;
  Conntrack conntrack;
  talk.pasv();
  conntrack.begin(data_connection(7), talk.now());
  talk.c("RETR a");
  talk.s("150 comes");
  talk.later(3 * second);
  conntrack.count(7, {10, 552}, {12, 101'400});

  SECTION("the end first") {
    conntrack.end(7);
    conntrack.transfers.on_tick(talk.now());
    conntrack.expect_none();
    talk.later(second);
    talk.s("226 done");
    conntrack.transfers.on_transfer(talk.take_one(), talk.now());
  }
  SECTION("the reply first") {
    talk.s("226 done");
    conntrack.transfers.on_transfer(talk.take_one(), talk.now());
    conntrack.expect_none();
    conntrack.end(7);
    REQUIRE(conntrack.transfers.next().has_value());
    CHECK(*conntrack.transfers.next() <= talk.now() + Transfers::hasty_look_interval);
    conntrack.transfers.on_tick(talk.now() + Transfers::hasty_look_interval);
  }
  SECTION("conntrack tells of the end") {
    talk.s("226 done");
    conntrack.transfers.on_transfer(talk.take_one(), talk.now());
    const RelatedConnection connection = data_connection(7);
    conntrack.transfers.on_news({{}, {{7, connection.original, conntrack.progress[7]}}, false},
                                talk.now());
    // It has not ended, by what was told here; it is gone though.
    conntrack.progress.clear();
    conntrack.transfers.on_tick(talk.now() + Transfers::hasty_look_interval);
  }
  const FinishedTransfer finished = conntrack.take_one();
  CHECK(finished.result() == TransferResult::done);
  REQUIRE(finished.data.has_value());
  CHECK(finished.data->ip_bytes == 101'400U);
  CHECK(finished.data->packets == 12U);
  CHECK(finished.payload_bytes_max() == 101'400U - 12 * 40);
  CHECK(finished.duration() >= 3 * second);
  CHECK(finished.duration() < 4 * second);
}

TEST_CASE("a data connection that does not end is waited for, for some time") {
  Talk talk;
  Conntrack conntrack;
  talk.pasv();
  conntrack.begin(data_connection(7), talk.now());
  talk.c("STOR a");
  talk.s("150 go");
  conntrack.count(7, {3, 3000}, {2, 100});
  talk.s("426 broken");
  conntrack.transfers.on_transfer(talk.take_one(), talk.now());
  talk.later(Transfers::end_wait_max - second);
  conntrack.transfers.on_tick(talk.now());
  conntrack.expect_none();
  talk.later(second);
  conntrack.transfers.on_tick(talk.now());
  const FinishedTransfer finished = conntrack.take_one();
  CHECK(finished.result() == TransferResult::aborted);
  CHECK(finished.data->ip_bytes == 3000U);
}

TEST_CASE("each transfer has the data connection that was announced for it") {
  Talk talk;
  Conntrack conntrack;
  // One that nobody uses, to another port.
  conntrack.begin(data_connection(1, {dialled.address, Port{50001}}), talk.now());
  conntrack.end(1);
  for (std::uint32_t id : {2U, 3U}) {
    talk.pasv("EPSV", "229 (|||50000|)");
    conntrack.begin(data_connection(id), talk.now());
    talk.c("RETR a");
    talk.s("150 comes");
    conntrack.count(id, {1, 100}, {1, 1000 * id});
    conntrack.end(id);
    talk.s("226 done");
  }
  // They are taken note of late.
  for (Transfer& transfer : talk.take()) {
    conntrack.transfers.on_transfer(std::move(transfer), talk.now());
  }
  const auto finished = conntrack.transfers.take_told().finished;
  REQUIRE(finished.size() == 2);
  CHECK(finished[0].data->ip_bytes == 2000U);
  CHECK(finished[1].data->ip_bytes == 3000U);
  // The unused one is forgotten, and then there is nothing to do.
  conntrack.transfers.on_tick(talk.now());
  REQUIRE(conntrack.transfers.next().has_value());
  conntrack.transfers.on_tick(talk.now() + Transfers::transfer_wait_max + second);
  CHECK(!conntrack.transfers.next().has_value());
}

TEST_CASE("of a transfer whose announcement opened nothing no data connection is known") {
  Talk talk;
  Conntrack conntrack;
  // One that was announced before, and never used.
  conntrack.begin(data_connection(7), talk.now());
  talk.c("PORT 10,0,0,99,195,80");
  talk.s("200 PORT");
  talk.c("LIST");
  talk.s("150 comes");
  talk.s("426 timeout");
  conntrack.transfers.on_transfer(talk.take_one(), talk.now());
  const FinishedTransfer finished = conntrack.take_one();
  CHECK(!finished.data.has_value());
  CHECK(finished.result() == TransferResult::aborted);
}

TEST_CASE("results") {
  Talk talk;
  Conntrack conntrack;
  talk.pasv();
  talk.c("RETR a");
  SECTION("refused") {
    talk.s("550 no");
    conntrack.transfers.on_transfer(talk.take_one(), talk.now());
    const auto finished = conntrack.take_one();
    CHECK(finished.result() == TransferResult::refused);
    CHECK(finished.payload_bytes_max() == std::nullopt);
  }
  SECTION("never connected, the server says") {
    talk.s("425 nobody came");
    conntrack.transfers.on_transfer(talk.take_one(), talk.now());
    CHECK(conntrack.take_one().result() == TransferResult::never_connected);
  }
  SECTION("never connected, conntrack says") {
    talk.s("150 comes");
    talk.s("426 timeout");
    conntrack.transfers.on_transfer(talk.take_one(), talk.now());
    CHECK(conntrack.take_one().result() == TransferResult::never_connected);
  }
  SECTION("connected, and refused then") {
    conntrack.begin(data_connection(7), talk.now());
    conntrack.end(7);
    talk.s("550 no");
    conntrack.transfers.on_transfer(talk.take_one(), talk.now());
    CHECK(conntrack.take_one().result() == TransferResult::refused);
  }
  SECTION("taken back, and answered as if done") {
    talk.s("150 comes");
    talk.c("ABOR");
    talk.s("226 aborted");
    conntrack.transfers.on_transfer(talk.take_one(), talk.now());
    CHECK(conntrack.take_one().result() == TransferResult::aborted);
  }
}

TEST_CASE("data connections of other masters are nothing to look at") {
  Conntrack conntrack;
  RelatedConnection other = data_connection(7);
  other.master.destination.port = Port{5060};
  conntrack.begin(other, second);
  CHECK(!conntrack.transfers.next().has_value());
  CHECK(conntrack.transfers.take_told().data.empty());
}

TEST_CASE("where no transfers come data connections are forgotten at their end") {
  Transfers transfers{[](const RelatedConnection&) { return std::nullopt; },
                      {.conntrack_tells = true, .transfers_come = false},
                      {}};
  transfers.set_control_ports({21});
  transfers.on_news({{data_connection(7)}, {}, false}, second);
  CHECK(transfers.next().has_value());
  transfers.on_tick(2 * second);
  CHECK(transfers.take_told().data.size() == 2);
  CHECK(!transfers.next().has_value());
}

TEST_CASE("a live data connection is told of, by end") {
  Conntrack conntrack;
  conntrack.begin(data_connection(7), second);
  conntrack.count(7, {1, 100}, {2, 2000});
  conntrack.transfers.take_told();
  conntrack.transfers.on_tick(2 * second);
  auto told = conntrack.transfers.take_told().data;
  REQUIRE(told.size() == 1);
  CHECK(told[0].control == control);
  CHECK(told[0].stage == Progress::Stage::open);
  CHECK(told[0].to_client == 2000U);
  CHECK(told[0].to_server == 100U);

  // Active mode: the server makes it.
  RelatedConnection active = data_connection(8, {client_as_seen.address, Port{50002}});
  active.original.source = {server.address, Port{20}};
  conntrack.begin(active, 3 * second);
  conntrack.count(8, {1, 300}, {2, 4000});
  conntrack.end(7);
  conntrack.transfers.take_told();
  conntrack.transfers.on_tick(4 * second);
  told = conntrack.transfers.take_told().data;
  REQUIRE(told.size() == 2);
  CHECK(told[0].to_client == 300U);
  CHECK(told[0].to_server == 4000U);
  CHECK(told[1].stage == Progress::Stage::ended);
}

TEST_CASE("a transfer in words: what peers say is escaped") {
  Transfer transfer{.control = control,
                    .server = server,
                    .user = "an\"na",
                    .command = "RETR",
                    .path = "a\x1b[2J\xc3\xa9 b",
                    .mode = "PASV",
                    .code = std::uint16_t{226}};
  const FinishedTransfer finished{transfer, std::nullopt, false};
  CHECK(transfer_text(finished, 1'764'190'923'045) ==
        "time=2025-11-26T21:02:03.045Z result=done code=226 direction=download "
        "client=10.0.0.2:40000 dialled=203.0.113.1:21 server=192.168.7.2:21 user=\"an\\\"na\" "
        "command=RETR path=\"a\\\\x1b[2J\\\\xc3\\\\xa9 b\" restart_at=- mode=PASV ip_bytes=- "
        "ip_packets=- payload_bytes_max=- duration=0.0");
  CHECK(transfer_json(finished, 0)["user"] == "an\"na");
  CHECK(transfer_json(finished, 0)["ip_bytes"].is_null());
}
