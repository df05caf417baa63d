// SPDX-License-Identifier: GPL-2.0-or-later
#include "tools/status_text.h"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <sstream>

#include "tools/screen_text.h"

namespace ftpalg::tools {
namespace {

using nlohmann::ordered_json;

std::size_t longest_line(const std::string& text) {
  std::size_t longest = 0;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) longest = std::max(longest, line.size());
  return longest;
}

const ordered_json status = ordered_json::parse(R"({
  "version": "0.1.0", "pid": 4711, "since": 1000,
  "kernel": {"release": "6.1.0-18-amd64", "connection_with_packet": true},
  "rules": {"format": "nft", "state": "incomplete", "looked": 1001, "lacks": [
    {"what": "table inet ftpalg is missing, so that no packet of a control connection is queued",
     "mend": "ftpalg rules apply --queues 2"}]},
  "queues": [{"number": 21, "packets": 12, "unread": 0}, {"number": 22, "packets": 3, "unread": 7}],
  "sessions": {"now": 14, "begun": 20, "ended": 6, "encrypted_now": 3},
  "expectations": {"now": 1, "installed": 9},
  "transfers": {"now": 2, "done": 7, "failed": 1, "bytes": 1572864},
  "rates": {"packets": 12.34, "sessions": 0.5, "transfers": 0.2},
  "decisions": [{"reason": "foreign_address", "action": "forward", "count": 4,
                 "text": "the address is not that of the control connection's own end"}],
  "errors": [{"time": 1010, "level": "warning", "text": "a long warning that goes on and on, to be told in several lines of a screen that has eighty columns"}]
})");

const ordered_json session = ordered_json::parse(R"({
  "id": "21-17", "client": "10.0.0.2:40000", "client_as_server_sees": "203.0.113.1:40000",
  "dialled": "192.0.2.1:21", "server": "192.0.2.1:21", "user": "anna", "tls": "none",
  "state": "waiting", "last_command": {"text": "RETR file", "time": 1080},
  "last_reply": {"text": "200 ok", "time": 1079}, "transfers": 3, "transfers_failed": 1,
  "bytes": 2048, "data": {"mode": "active", "announced": "10.0.0.2:50000",
    "advertised": "203.0.113.1:50000", "who": "192.0.2.1", "state": "expected", "since": 1079,
    "to_client": null, "to_server": null}, "began": 1000, "last_seen": 1080,
  "hint": "the server 192.0.2.1 was told to connect to 203.0.113.1:50000, and has not for 21 s"})");

TEST_CASE("times and sizes are told as people tell them") {
  CHECK(duration_text(-3) == "0 s");
  CHECK(duration_text(59.9) == "59 s");
  CHECK(duration_text(60) == "1 min");
  CHECK(duration_text(723) == "12 min 3 s");
  CHECK(duration_text(3 * 3600 + 12 * 60 + 59) == "3 h 12 min");
  CHECK(duration_text(2 * 86400 + 3600 * 4) == "2 d 4 h");
  CHECK(short_duration(59) == "59s");
  CHECK(short_duration(3599) == "59m");
  CHECK(bytes_text(1023) == "1023 B");
  CHECK(bytes_text(1024) == "1.0 KiB");
  CHECK(bytes_text(1572864) == "1.5 MiB");
  CHECK(bytes_text(~std::uint64_t{0}) == "16.0 EiB");
}

TEST_CASE("long text is told in lines") {
  CHECK(wrapped("", 10) == std::vector<std::string>{""});
  CHECK(wrapped("one two three", 7) == std::vector<std::string>{"one two", "three"});
  CHECK(wrapped("abcdefghij", 4) == std::vector<std::string>{"abcd", "efgh", "ij"});
  CHECK(fitted("abc", 5) == "abc  ");
  CHECK(fitted("abcdef", 5) == "abcd~");
  CHECK(fitted("abc", 0).empty());
}

TEST_CASE("the status fits a screen of 80 columns, and says what is wrong") {
  const std::string text = status_text(status, 4600, 80);
  CHECK(longest_line(text) <= 80);
  for (const char* part : {"running for 1 h", "process 4711", "incomplete (nft)",
                           "mend: ftpalg rules apply --queues 2", "7 passed UNREAD",
                           "14 now, 3 of them encrypted; 20 since the start", "1.5 MiB",
                           "12.3 packets", "4", "warning: a long warning"}) {
    CAPTURE(part);
    CHECK(text.find(part) != std::string::npos);
  }
}

TEST_CASE("what a gateway does not tell is left out") {
  const ordered_json nothing = ordered_json::object();
  CHECK(!status_text(nothing, 0, 80).empty());
  CHECK(!session_text(nothing, 0, 80).empty());
  CHECK(!event_text(nothing, 0).empty());
  CHECK(!rung_text(nothing, 0).empty());
  CHECK(!watch_lines(nothing, {}, {}, 0, 0, 80, 24).empty());
}

TEST_CASE("a session is told with its hint") {
  const std::string text = session_text(session, 1100, 80);
  CHECK(longest_line(text) <= 80);
  for (const char* part :
       {"session 21-17: waiting, 1 min 40 s old",
        "10.0.0.2:40000 (the server sees 203.0.113.1:40000)", "anna", "RETR file, 20 s ago",
        "3, 1 of them failed; 2.0 KiB", "HINT", "active, 10.0.0.2:50000 advertised as"}) {
    CAPTURE(part);
    CHECK(text.find(part) != std::string::npos);
  }
}

TEST_CASE("a screen that is watched has no more lines and columns than there are") {
  for (const std::size_t rows : {1U, 2U, 5U, 8U, 24U}) {
    for (const std::size_t columns : {1U, 10U, 80U}) {
      const auto lines =
          watch_lines(status, {session}, {session, session}, 14, 1100, columns, rows);
      CAPTURE(rows, columns);
      CHECK(lines.size() <= rows);
      for (const std::string& line : lines) CHECK(line.size() <= columns);
    }
  }
  const auto lines = watch_lines(status, {session}, {session}, 14, 1100, 80, 24);
  CHECK(lines.back() == "... and 13 more");
}

TEST_CASE("an event is told in a line") {
  const ordered_json rewritten = {
      {"time", 1000},        {"kind", "decision"}, {"session", "21-1"}, {"client", "c:1"},
      {"server", "s:21"},    {"user", "anna"},     {"from", "client"},  {"action", "rewrite"},
      {"text", "rewritten"}, {"before", "PORT a"}, {"after", "PORT b"}, {"expectation", nullptr}};
  CHECK(event_text(rewritten, 1000)
            .ends_with(" 21-1 c:1 -> s:21 anna: client 'PORT a' becomes 'PORT b': rewritten"));
  const ordered_json transfer = {{"time", 1000},        {"kind", "transfer"}, {"session", "21-1"},
                                 {"client", "c:1"},     {"server", "s:21"},   {"user", nullptr},
                                 {"command", "RETR x"}, {"ok", false}};
  CHECK(event_text(transfer, 1000).ends_with("c:1 -> s:21: 'RETR x' has FAILED"));
}

}  // namespace
}  // namespace ftpalg::tools
