// SPDX-License-Identifier: GPL-2.0-or-later
#include "alg/session.h"

#include <catch2/catch.hpp>

namespace ftpalg::test {
namespace {

using Kind = Meaning::Kind;

const Policy policy;

/// A talk as text: "C: line" and "S: line". Returns what the last line meant.
Meaning talk(Session& session, std::initializer_list<std::string_view> lines) {
  Meaning last;
  for (std::string_view line : lines) {
    const bool from_client = line.starts_with("C: ");
    line.remove_prefix(3);
    last =
        from_client ? session.on_command(line, true, policy) : session.on_reply(line, true, policy);
  }
  return last;
}

Session logged_in() {
  Session session = Session::from_start();
  talk(session, {"S: 220 ready", "C: USER a", "S: 331 who?", "C: PASS b", "S: 230 in"});
  return session;
}

TEST_CASE("rule 4: a reply in several lines is closed only by its own code and a blank") {
  Session session = logged_in();
  const Meaning inside = talk(session, {"C: PASV", "S: 227-Entering (10,0,0,1,195,80)",
                                        "S: 227 Entering Passive Mode (10,0,0,1,195,80)"});
  CHECK(inside.kind == Kind::announces);

  Session echo = logged_in();
  const Meaning echoed = talk(echo, {"C: PASV", "S: 550-no", "S: 227 Entering (10,0,0,1,195,80)"});
  CHECK(echoed.kind == Kind::nothing);
  CHECK(talk(echo, {"S: 550 done"}).kind == Kind::nothing);
  CHECK(talk(echo, {"S: 227 (10,0,0,1,195,80)"}).reason == Reason::unsolicited_reply);
}

TEST_CASE("rule 4: a reply that does not end disables the connection") {
  Session many_lines = logged_in();
  talk(many_lines, {"C: STAT", "S: 211-status"});
  Meaning last;
  for (int line = 0; line < 1001 && many_lines.is_parsed(); ++line) {
    last = talk(many_lines, {"S:  entry"});
  }
  CHECK(last.reason == Reason::reply_too_long);
  CHECK_FALSE(many_lines.is_parsed());

  Session many_bytes = logged_in();
  talk(many_bytes, {"C: STAT", "S: 211-status"});
  const std::string entry = "S:  " + std::string(2000, 'x');
  for (int line = 0; line < 40 && many_bytes.is_parsed(); ++line) talk(many_bytes, {entry});
  CHECK_FALSE(many_bytes.is_parsed());
}

TEST_CASE("rule 6: commands announce only from the client, replies only from the server") {
  Session session = logged_in();
  CHECK(talk(session, {"S: PORT 10,0,0,1,195,80"}).kind == Kind::nothing);
  CHECK(talk(session, {"C: PASV", "C: 227 (10,0,0,1,195,80)"}).kind == Kind::nothing);
}

TEST_CASE("rule 7: 227, 228 and 229 need an unanswered PASV, EPSV, LPSV or CPSV") {
  for (const char* verb : {"C: PASV", "C: EPSV", "C: LPSV", "C: CPSV", "C: EPSV 1", "C: pasv"}) {
    for (const char* reply : {"S: 227 x", "S: 228 x", "S: 229 x"}) {
      Session session = logged_in();
      CHECK(talk(session, {reply}).reason == Reason::unsolicited_reply);
      CHECK(talk(session, {verb, reply}).kind == Kind::announces);
      CHECK(talk(session, {reply}).reason == Reason::unsolicited_reply);
    }
  }
}

TEST_CASE("rule 7: an ABOR with two final replies does not eat the answer to the next PASV") {
  Session session = logged_in();
  CHECK(talk(session, {"C: RETR x", "S: 150 opening", "S: 226 sent", "C: ABOR", "S: 426 aborted",
                       "C: PASV", "S: 226 aborted", "S: 227 x"})
            .kind == Kind::announces);
}

TEST_CASE("rule 9: what does not begin as FTP is left alone for good") {
  struct Row {
    const char* name;
    std::initializer_list<std::string_view> lines;
  };
  for (const auto& [name, lines] :
       {Row{"the client speaks first", {"C: USER a"}},
        Row{"HTTP", {"S: 220 ready", "C: GET / HTTP/1.1"}},
        Row{"SIP", {"S: 220 ready", "C: REGISTER sip:a SIP/2.0"}},
        Row{"SSH", {"S: SSH-2.0-OpenSSH", "S: 500 no"}}, Row{"no banner", {"S: 530 busy"}}}) {
    CAPTURE(name);
    Session session = Session::from_start();
    CHECK(talk(session, lines).reason == Reason::not_ftp);
    talk(session, {"S: 220 ready", "C: USER a", "S: 230 in"});
    CHECK(talk(session, {"C: PORT 10,0,0,1,195,80"}).kind == Kind::nothing);
  }
}

TEST_CASE("rule 9: 120 before 220 is a greeting too") {
  Session session = Session::from_start();
  CHECK(talk(session,
             {"S: 120 wait", "S: 220 ready", "C: USER a", "S: 230 in", "C: PASV", "S: 227 x"})
            .kind == Kind::announces);
}

TEST_CASE("rule 9: PORT and PASV open nothing before 230 or 232") {
  Session session = Session::from_start();
  talk(session, {"S: 220 ready", "C: USER a", "S: 331 who?"});
  CHECK(talk(session, {"C: PORT 10,0,0,1,195,80"}).reason == Reason::not_logged_in);
  CHECK(talk(session, {"S: 530 no", "C: PASV", "S: 227 x"}).reason == Reason::not_logged_in);
  CHECK(talk(session, {"C: PASS b", "S: 232 in", "C: PASV", "S: 227 x"}).kind == Kind::announces);
}

TEST_CASE("rule 10: a command that is not known is answered by whatever comes") {
  for (const char* const answer : {"S: 200 ok", "S: 500 what?", "S: 227 Logout.", "S: 230 in"}) {
    CAPTURE(answer);
    Session session = Session::adopted();
    talk(session, {"C: SV", answer});
    CHECK(talk(session, {"C: PORT 10,0,0,2,195,80"}).kind == Meaning::Kind::announces);
  }
}

TEST_CASE("rule 10: PORT opens nothing while an earlier command is unanswered") {
  Session session = logged_in();
  CHECK(talk(session, {"C: NOOP", "C: PORT 10,0,0,1,195,80"}).reason == Reason::command_unanswered);
  CHECK(talk(session, {"S: 200 ok", "S: 200 ok", "C: PORT 10,0,0,1,195,80"}).kind ==
        Kind::announces);
}

TEST_CASE("rule 11: after EPSV ALL only EPSV opens anything, until REIN") {
  Session session = logged_in();
  talk(session, {"C: EPSV ALL", "S: 229 EPSV ALL Successful."});
  CHECK(talk(session, {"C: PORT 10,0,0,1,195,80"}).reason == Reason::epsv_all);
  CHECK(talk(session, {"S: 501 no", "C: PASV", "S: 227 x"}).reason == Reason::epsv_all);
  CHECK(talk(session, {"C: EPSV", "S: 229 x"}).kind == Kind::announces);
  CHECK(talk(session, {"C: REIN", "S: 220 again"}).kind == Kind::ends_expectation);
  CHECK(talk(session, {"C: PASV", "S: 227 x"}).reason == Reason::not_logged_in);
  CHECK(talk(session, {"C: USER a", "S: 230 in", "C: PASV", "S: 227 x"}).kind == Kind::announces);
}

TEST_CASE("rule 11: a refused EPSV ALL changes nothing") {
  Session session = logged_in();
  CHECK(talk(session, {"C: epsv all", "S: 501 no", "C: PASV", "S: 227 x"}).kind == Kind::announces);
}

TEST_CASE("rule 12: 220 also answers HOST") {
  Session session = Session::from_start();
  CHECK(talk(session, {"S: 220 ready", "C: HOST a.example", "S: 220 a", "C: USER a", "S: 230 in",
                       "C: PORT 10,0,0,1,195,80"})
            .kind == Kind::announces);
}

TEST_CASE("rule 13: any positive answer to AUTH makes the connection opaque, a refusal does not") {
  for (const char* answer : {"S: 234 go", "S: 334 more", "S: 200 ok"}) {
    Session session = Session::from_start();
    talk(session, {"S: 220 ready", "C: AUTH TLS"});
    CHECK(talk(session, {"C: PORT 10,0,0,1,195,80"}).kind == Kind::nothing);
    CHECK(talk(session, {answer}).reason == Reason::opaque);
    CHECK(session.is_opaque());
  }
  Session refused = logged_in();
  talk(refused, {"C: AUTH TLS", "S: 534 no"});
  CHECK(talk(refused, {"C: PASV", "S: 227 x"}).kind == Kind::announces);
}

TEST_CASE("rule 27: refusals end the expectation") {
  for (const char* line : {"C: PORT x", "C: EPRT x", "C: LPRT x", "C: RETR x", "C: LIST"}) {
    Session session = logged_in();
    CHECK(talk(session, {line, "S: 500 no"}).kind == Kind::ends_expectation);
    CHECK(talk(session, {line, "S: 200 ok"}).kind == Kind::nothing);
  }
}

TEST_CASE("more unanswered commands than are remembered disable the connection") {
  Session session = logged_in();
  Meaning last;
  for (int command = 0; command < 40 && session.is_parsed(); ++command) {
    last = talk(session, {"C: NOOP"});
  }
  CHECK(last.reason == Reason::too_much_unanswered);
}

TEST_CASE("a line that is not fit announces nothing, and is answered like any other") {
  Session session = logged_in();
  CHECK(session.on_command("PORT 10,0,0,1,195,80", false, policy).kind == Kind::nothing);
  CHECK(talk(session, {"S: 500 what?", "C: PORT 10,0,0,1,195,80"}).kind == Kind::announces);
}

}  // namespace
}  // namespace ftpalg::test
