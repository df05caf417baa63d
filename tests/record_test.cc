// SPDX-License-Identifier: GPL-2.0-or-later
#include "tools/record.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "tests/conversation.h"
#include "tools/decision_text.h"
#include "tools/hint.h"
#include "tools/record_json.h"
#include "tools/records.h"
#include "tools/redaction.h"

namespace ftpalg::tools {
namespace {

using test::Conversation;
using namespace std::chrono_literals;

/// A conversation with a worker's records as its witness.
struct Seen {
  explicit Seen(const Master& master = test::client_behind_snat(), Policy policy = {})
      : talk(master, {}, std::move(policy), &records) {}

  Record::Shown shown() const { return portrait().shown.record; }
  std::vector<Rung> ladder() const { return portrait().ladder; }
  Records::Portrait portrait() const {
    const auto found = records.find({21, 1});
    REQUIRE(found);
    return *found;
  }
  std::string hint_after(Time time) const {
    return hint(shown(), {.now = talk.now() + time}).value_or("");
  }
  std::string everything() const {
    const Records::Portrait portrait = this->portrait();
    const Viewpoint view{.now = talk.now()};
    std::string text = line_of(session_json("21-1", portrait.shown.record, view)) +
                       line_of(ladder_json(portrait.ladder, view));
    for (const Event& event : records.events(0, 1000).events) {
      text += line_of(event_json(event, view));
    }
    return text;
  }

  Records records{21};
  Conversation talk;
};

TEST_CASE("a record follows a session from its greeting to its end") {
  Seen seen;
  seen.talk.server("220 hello\r\n");
  CHECK(seen.shown().state == SessionState::login);
  CHECK(!seen.shown().user);
  seen.talk.client("USER anna\r\n");
  CHECK(seen.shown().user == "anna");
  seen.talk.server("331 password\r\n");
  seen.talk.client("PASS secret\r\n");
  CHECK(seen.shown().state == SessionState::login);
  seen.talk.server("230 welcome\r\n");
  CHECK(seen.shown().state == SessionState::ready);
  seen.talk.client("PORT 10,0,0,2,195,80\r\n");
  CHECK(seen.shown().state == SessionState::waiting);
  REQUIRE(seen.shown().data);
  CHECK(seen.shown().data->state == DataConnection::State::expected);
  CHECK(seen.shown().data->mode == DataConnection::Mode::active);
  CHECK(seen.shown().data->announced == test::endpoint("10.0.0.2", 50000));
  CHECK(seen.shown().data->advertised->address == seen.talk.master().client_as_server_sees_it());
  CHECK(seen.shown().data->who == seen.talk.master().server());
  seen.talk.server("200 ok\r\n");
  seen.talk.client("RETR file\r\n");
  CHECK(seen.records.totals().transfers_now == 1);
  seen.talk.server("150 here it comes\r\n");
  CHECK(seen.shown().state == SessionState::transfer);
  seen.talk.server("226 done\r\n");
  CHECK(seen.shown().state == SessionState::ready);
  CHECK(seen.shown().transfers_done == 1);
  CHECK(seen.shown().data->state == DataConnection::State::closed);
  CHECK(seen.records.totals().sessions_now == 1);
  CHECK(seen.records.totals().transfers_now == 0);
  seen.talk.close(Direction::original);
  seen.talk.close(Direction::reply);
  CHECK(seen.shown().state == SessionState::ended);
  CHECK(seen.records.totals().sessions_now == 0);
  CHECK(seen.records.totals().sessions_ended == 1);
}

TEST_CASE("the ladder has each line, and a rewritten one before and after") {
  Seen seen;
  seen.talk.log_in();
  seen.talk.client("PORT 10,0,0,2,195,80\r\n");
  const auto ladder = seen.ladder();
  REQUIRE(ladder.size() == 6);
  CHECK(ladder.front().from == Rung::From::server);
  CHECK(!ladder.front().action);
  const Rung& port = ladder.back();
  CHECK(port.from == Rung::From::client);
  CHECK(port.before == "PORT 10,0,0,2,195,80");
  CHECK(port.after.starts_with("PORT "));
  CHECK(port.after != port.before);
  CHECK(port.action == Action::rewrite);
  CHECK(port.reason == Reason::rewritten);
  REQUIRE(port.expectation);
  CHECK(port.expectation->inside == test::endpoint("10.0.0.2", 50000));
}

TEST_CASE("a ladder keeps the last lines alone, and long lines in part") {
  Seen seen;
  seen.talk.log_in();
  for (int line = 0; line < 100; ++line) {
    seen.talk.client("NOOP " + std::to_string(line) + "\r\n");
    seen.talk.server("200 ok\r\n");
  }
  CHECK(seen.ladder().size() >= ladder_rungs_max);
  CHECK(seen.ladder().size() < ladder_rungs_max + 8);
  seen.talk.client("CWD " + std::string(400, 'x') + "\r\n");
  CHECK(seen.ladder().back().before.size() == text_bytes_max);
}

TEST_CASE("passwords are in no record, ladder or event") {
  const Policy policy = [] {
    Policy refuses;
    refuses.refused_commands = {
        {Network(*Address::parse("10.0.0.0"), 8), {"PASS", "ACCT", "SITE"}}};
    return refuses;
  }();
  for (const Policy& each : {Policy{}, policy}) {
    for (const std::string line :
         {"PASS hunter2", "pass hunter2", "ACCT hunter2", "\xff\xf4PASS hunter2", "PASS  hunter2",
          " PASS hunter2", "x PASS hunter2", "PASS\thunter2", "SITE PSWD hunter2 hunter2",
          "site cpwd hunter2", "PASS hunter2\rhunter2"}) {
      CAPTURE(line);
      Seen seen(test::client_behind_snat(), each);
      seen.talk.server("220 hello\r\n");
      seen.talk.client("USER anna\r\n");
      seen.talk.client(line + "\r\n");
      CHECK(seen.everything().find("hunter2") == std::string::npos);
      for (const Decision& decision : seen.talk.take_decisions()) {
        CHECK(decision_text(decision).find("hunter2") == std::string::npos);
        CHECK(decision_json(decision).dump().find("hunter2") == std::string::npos);
      }
    }
  }
}

TEST_CASE("what is no password is shown") {
  CHECK(without_secret(Direction::original, "RETR PASS word") == "RETR PASS word");
  CHECK(without_secret(Direction::original, "USER pass") == "USER pass");
  CHECK(without_secret(Direction::original, "PASV") == "PASV");
  CHECK(without_secret(Direction::original, "PASS") == "PASS");
  CHECK(without_secret(Direction::original, "PASS x") == "PASS ***");
  CHECK(without_secret(Direction::reply, "331 PASS needed") == "331 PASS needed");
}

TEST_CASE("a hint says why a transfer is stuck") {
  SECTION("nothing is wrong") {
    Seen seen;
    seen.talk.log_in();
    CHECK(seen.hint_after(1h).empty());
    seen.talk.client("PORT 10,0,0,2,195,80\r\n");
    CHECK(seen.hint_after(1s).empty());
  }
  SECTION("the server does not come") {
    Seen seen;
    seen.talk.log_in();
    seen.talk.client("PORT 10,0,0,2,195,80\r\n");
    seen.talk.server("200 ok\r\n");
    seen.talk.client("RETR file\r\n");
    CHECK(seen.hint_after(12s).find("was told to connect to") != std::string::npos);
    CHECK(seen.hint_after(12s).find("has not for 12 s") != std::string::npos);
    CHECK(seen.hint_after(2min).find("the way is closed again") != std::string::npos);
  }
  SECTION("a third host") {
    Seen seen;
    seen.talk.log_in();
    seen.talk.client("PORT 10,0,0,3,195,80\r\n");
    seen.talk.server("200 ok\r\n");
    CHECK(seen.shown().data->state == DataConnection::State::refused);
    CHECK(seen.hint_after(0s).find("not that of the control connection's own end") !=
          std::string::npos);
  }
  SECTION("encryption") {
    Seen seen;
    seen.talk.server("220 hello\r\n");
    seen.talk.client("AUTH TLS\r\n");
    CHECK(seen.shown().tls == Tls::asked);
    seen.talk.server("234 go on\r\n");
    CHECK(seen.shown().tls == Tls::encrypted);
    CHECK(seen.shown().state == SessionState::encrypted);
    CHECK(seen.records.totals().sessions_encrypted == 1);
    CHECK(seen.hint_after(0s).starts_with("the connection is encrypted"));
  }
  SECTION("the server is silent") {
    Seen seen;
    seen.talk.log_in();
    seen.talk.client("STAT\r\n");
    CHECK(seen.hint_after(30s).find("has not answered 'STAT' for 30 s") != std::string::npos);
  }
}

TEST_CASE("what waits longest in records is forgotten first") {
  Records records(7);
  const auto master_at = [](std::uint16_t port) {
    Master master = test::client_behind_snat();
    master.original.source.port = Port{port};
    return master;
  };
  for (std::uint16_t port = 1; port <= Records::ended_max + 10; ++port) {
    const Master master = master_at(port);
    records.on_answered(master, Witness::Beginning::seen, 1s);
    records.on_begin(master.original, 1s);
    records.on_end(master.original, 2s);
    // What was never begun leaves nothing.
    records.on_answered(master, Witness::Beginning::seen, 1s);
    records.on_end(master.original, 2s);
  }
  CHECK(records.page(0, 10'000).size() == Records::ended_max);
  CHECK(records.totals().sessions_begun == Records::ended_max + 10);
  CHECK(records.totals().sessions_now == 0);
}

TEST_CASE("records are given out page by page, each session once") {
  Records records(7);
  for (std::uint16_t port = 1; port <= 100; ++port) {
    Master master = test::client_behind_snat();
    master.original.source.port = Port{port};
    records.on_answered(master, Witness::Beginning::seen, 1s);
  }
  std::vector<std::uint64_t> seen;
  for (std::uint64_t after = 0;;) {
    const auto page = records.page(after, 32);
    for (const auto& each : page) seen.push_back(after = each.id.number);
    if (page.size() < 32) break;
  }
  CHECK(seen.size() == 100);
  CHECK(std::ranges::is_sorted(seen));
}

TEST_CASE("who reads events too late is told how many are left out") {
  Seen seen;
  seen.talk.log_in();
  for (int port = 0; port < 1200; ++port) {
    seen.talk.client("PORT 10,0,0,3,195,80\r\n");
    seen.talk.server("500 no\r\n");
  }
  const auto late = seen.records.events(0, 10);
  CHECK(late.left_out == seen.records.next_event() - Records::events_max);
  CHECK(late.events.size() == 10);
  CHECK(late.next == late.left_out + 10);
  CHECK(seen.records.events(seen.records.next_event(), 10).events.empty());
}

TEST_CASE("every reason has its name for machines") {
  std::vector<std::string_view> names;
  for (std::size_t number = 0; number < reason_count; ++number) {
    names.push_back(name(static_cast<Reason>(number)));
  }
  CHECK(std::ranges::count(names, "") == 0);
  CHECK(name(Reason::foreign_address) == "foreign_address");
  CHECK(name(Reason::held_too_long) == "held_too_long");
  CHECK(name(Reason::expectation_failed) == "expectation_failed");
}

}  // namespace
}  // namespace ftpalg::tools
