// SPDX-License-Identifier: GPL-2.0-or-later
// What is shown over HTTP, and the report of a replay: texts, escaping, and who is answered.
#include <sys/socket.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <chrono>
#include <nlohmann/json.hpp>

#include "tools/report/html_report.h"
#include "tools/web/gateway_link.h"
#include "tools/web/http_request.h"
#include "tools/web/http_response.h"
#include "tools/web/metrics.h"
#include "tools/web/page_files.h"
#include "tools/web/site.h"

namespace ftpalg::tools {
namespace {

using nlohmann::json;
using State = RequestReader::State;

// ---- requests

State state_after(std::string_view text) {
  RequestReader reader;
  return reader.take(text);
}

HttpRequest request_of(std::string_view text) {
  RequestReader reader;
  REQUIRE(reader.take(text) == State::complete);
  return reader.request();
}

TEST_CASE("a request is read, however it comes") {
  const std::string text =
      "GET /api/sessions?address=10.0.0.0%2F8&user=a+b&empty=&flag HTTP/1.1\r\n"
      "User-Agent: x\r\nhOST: localhost:9121\r\n\r\n";
  for (std::size_t piece = 1; piece <= text.size(); ++piece) {
    RequestReader reader;
    State state = State::incomplete;
    for (std::size_t at = 0; at < text.size(); at += piece) {
      CHECK(state == State::incomplete);
      state = reader.take(std::string_view{text}.substr(at, piece));
    }
    REQUIRE(state == State::complete);
    const HttpRequest& request = reader.request();
    CHECK(request.method == "GET");
    CHECK(request.path == "/api/sessions");
    CHECK(request.argument("address") == "10.0.0.0/8");
    CHECK(request.argument("user") == "a b");
    CHECK(request.argument("empty") == std::nullopt);
    CHECK(request.argument("flag") == std::nullopt);
    CHECK(request.argument("other") == std::nullopt);
    CHECK(request.host == "localhost:9121");
  }
}

TEST_CASE("what follows a request is not looked at") {
  CHECK(request_of("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n\1\2\3").method ==
        "POST");
  CHECK(request_of("GET / HTTP/1.1\r\nHost: a\r\n\r\n\xff\xfe nothing").path == "/");
  CHECK(request_of("GET / HTTP/1.0\r\n\r\n").host == std::nullopt);
}

TEST_CASE("a query is decoded, and what is no code stands for itself") {
  CHECK(request_of("GET /?a=%41%zz%4 HTTP/1.0\r\n\r\n").argument("a") == "A%zz%4");
  CHECK(request_of("GET /?a=b=c&&=d HTTP/1.0\r\n\r\n").argument("a") == "b=c");
  CHECK(request_of("GET /%2e%2e/x HTTP/1.0\r\n\r\n").path == "/../x");
}

TEST_CASE("what is no request of HTTP/1 is refused") {
  for (const std::string_view text : {
           "GET / HTTP/1.1\r\n\r\n",                        // no Host
           "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",  // two
           "GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\nHost: b\r\n\r\n",
           "GET http://other/ HTTP/1.1\r\nHost: a\r\n\r\n",  // for a proxy
           "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
           "GET / HTTP/2.0\r\nHost: a\r\n\r\n",
           "GET /\r\n\r\n",
           "\x16\x03\x01\x02",  // TLS
           "220 lab server ready.\r\n",
           "GET / HTTP/1.1\r\nHost a\r\n\r\n",
       }) {
    CAPTURE(text);
    CHECK(state_after(text) == State::malformed);
  }
}

TEST_CASE("a request that is too long is refused, whatever is long in it") {
  const std::string much(request_bytes_max, 'a');
  CHECK(state_after("GET /" + much + " HTTP/1.1\r\n") == State::too_long);
  CHECK(state_after("GET / HTTP/1.1\r\nHost: a\r\nX: " + much + "\r\n\r\n") == State::too_long);
  std::string fields = "GET / HTTP/1.1\r\nHost: a\r\n";
  while (fields.size() < request_bytes_max) fields += "X: y\r\n";
  CHECK(state_after(fields + "\r\n") == State::too_long);
}

// ---- answers

TEST_CASE("every answer protects whoever sees it, and ends the connection") {
  const std::string bytes = bytes_of({.status = 200, .type = "text/html", .body = "abc"}, true);
  CHECK_THAT(bytes, Catch::StartsWith("HTTP/1.1 200 OK\r\n"));
  CHECK_THAT(bytes, Catch::EndsWith("\r\n\r\nabc"));
  for (const char* const line :
       {"Content-Length: 3\r\n", "Connection: close\r\n", "default-src 'none'",
        "frame-ancestors 'none'", "X-Content-Type-Options: nosniff\r\n", "no-store"}) {
    CHECK_THAT(bytes, Catch::Contains(line));
  }
  CHECK_THAT(bytes, !Catch::Contains("unsafe"));
  CHECK_THAT(bytes_of({.body = "abc"}, false), Catch::EndsWith("\r\n\r\n"));
  CHECK_THAT(bytes_of(refusal(405, "x"), true), Catch::Contains("Allow: GET, HEAD\r\n"));
  CHECK_THAT(bytes_of(refusal(431, "x"), true),
             Catch::StartsWith("HTTP/1.1 431 Request Header Fields Too Large\r\n"));
}

// ---- whom it answers

TEST_CASE("only names of this machine name this machine") {
  for (const std::string_view host : {"localhost", "LocalHost:9121", "127.0.0.1", "127.0.0.1:80",
                                      "127.1.2.3", "[::1]", "[::1]:9121"}) {
    CAPTURE(host);
    CHECK(names_this_machine(host));
  }
  for (const std::string_view host :
       {"", ":", "evil.example", "evil.example:9121", "localhost.evil.example", "127.0.0.1.nip.io",
        "10.0.0.1", "10.0.0.1:9121", "[2001:db8::1]:9121", "localhost@evil.example", "[localhost",
        "2130706433", "0.0.0.0", "xlocalhost"}) {
    CAPTURE(host);
    CHECK_FALSE(names_this_machine(host));
  }
}

GatewayLink::Answer one(json line) {
  return {std::move(line)};
}

HttpRequest get(std::string path, std::optional<std::string> host = "localhost") {
  return {.method = "GET", .path = std::move(path), .query = {}, .host = std::move(host)};
}

const Endpoint loopback{Address::ipv4(127, 0, 0, 1), Port{9121}};

TEST_CASE("on loopback whoever means somebody else is refused, before the gateway is asked") {
  unsigned asked = 0;
  const Site site{loopback, [&](const json&) -> tl::expected<GatewayLink::Answer, NoAnswer> {
                    ++asked;
                    return one({{"status", json::object()}});
                  }};
  for (const char* const path : {"/", "/metrics", "/api/status", "/nothing"}) {
    CHECK(site.respond(get(path, "evil.example")).status == 403);
  }
  CHECK(asked == 0);
  CHECK(site.respond(get("/metrics", std::nullopt)).status == 200);
  CHECK(site.respond(get("/metrics")).status == 200);
  const Site open{Endpoint{Address::ipv4(10, 0, 0, 1), Port{80}}, [](const json&) {
                    return one({{"status", json::object()}});
                  }};
  CHECK(open.respond(get("/metrics", "router.example")).status == 200);
}

TEST_CASE("every file that the page names is there, and no other") {
  const Site site{loopback, [](const json&) { return one({{"status", json::object()}}); }};
  const auto page = site.respond(get("/"));
  CHECK(page.status == 200);
  CHECK_THAT(std::string{page.type}, Catch::StartsWith("text/html"));
  for (const std::string_view attribute : {"href=\"/", "src=\"/"}) {
    std::size_t at = 0;
    while ((at = page.body.find(attribute, at)) != std::string::npos) {
      const std::size_t begin = at + attribute.size() - 1;
      at = page.body.find('"', begin);
      const std::string path = page.body.substr(begin, at - begin);
      CAPTURE(path);
      CHECK(site.respond(get(path)).status == 200);
    }
  }
  CHECK_THAT(page.body, !Catch::Contains("http://") && !Catch::Contains("https://"));
  for (const char* const path : {"/report.html", "/index.html", "/../etc/passwd", "//", "/api"}) {
    CHECK(site.respond(get(path)).status == 404);
  }
}

TEST_CASE("no script of the page makes a document out of text") {
  for (const std::string_view name : {"page.js", "ladder.js", "report.js"}) {
    const auto script = page_file(name);
    REQUIRE(script);
    for (const char* const word :
         {"innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function",
          "DOMParser", "createContextualFragment", "srcdoc", "</script", "<!--"}) {
      CAPTURE(name, word);
      CHECK(script->find(word) == std::string_view::npos);
    }
  }
}

TEST_CASE("the site asks what is asked of it") {
  std::vector<json> asked;
  const Site site{loopback, [&](const json& question) {
                    asked.push_back(question);
                    return GatewayLink::Answer{{{"session", {{"id", "21-1"}}}},
                                               {{"session", {{"id", "21-2"}}}},
                                               {{"end", {{"sessions", 2}, {"shown", 2}}}}};
                  }};
  HttpRequest request = get("/api/sessions");
  request.query = {{"address", "10.0.0.0/8"}, {"user", "anna"}, {"limit", "100000"}};
  const auto response = site.respond(request);
  CHECK(response.type == "application/json");
  CHECK(json::parse(response.body) == json{{"list", {{{"id", "21-1"}}, {{"id", "21-2"}}}},
                                           {"end", {{"sessions", 2}, {"shown", 2}}}});
  CHECK(asked.at(0)["ask"] == "sessions");
  CHECK(asked.at(0)["filter"] == json{{"address", "10.0.0.0/8"}, {"user", "anna"}});
  CHECK(asked.at(0)["limit"] == 1000);
  request.query = {{"limit", "-1"}};
  site.respond(request);
  CHECK(asked.at(1)["limit"] == 200);
  CHECK(asked.at(1)["filter"] == json::object());
  request = get("/api/session");
  request.query = {{"id", "21-\"2"}};
  site.respond(request);
  CHECK(asked.at(2) == json{{"ask", "session"}, {"id", "21-\"2"}});
}

TEST_CASE("the site says why there is no answer") {
  NoAnswer no_answer{NoAnswer::Cause::gone, "the gateway is gone"};
  const Site site{loopback, [&](const json&) -> tl::expected<GatewayLink::Answer, NoAnswer> {
                    return tl::unexpected(no_answer);
                  }};
  CHECK(site.respond(get("/metrics")).status == 503);
  CHECK(site.respond(get("/metrics")).body == "the gateway is gone\n");
  CHECK(site.respond(get("/api/status")).status == 503);
  CHECK(json::parse(site.respond(get("/api/status")).body) ==
        json{{"error", "the gateway is gone"}});
  CHECK(site.respond(get("/")).status == 200);
  no_answer.cause = NoAnswer::Cause::refused;
  CHECK(site.respond(get("/api/session")).status == 400);
}

// ---- the way to the gateway

class Gateway {
 public:
  Gateway() {
    int ends[2];
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0);
    ours_ = Descriptor{ends[0]};
    theirs_ = Descriptor{ends[1]};
  }
  void say(std::string_view text) {
    REQUIRE(send(ours_.number(), text.data(), text.size(), 0) == static_cast<ssize_t>(text.size()));
  }
  std::string heard() {
    char bytes[4096];
    const ssize_t received = recv(ours_.number(), bytes, sizeof bytes, 0);
    return {bytes, received > 0 ? static_cast<std::size_t>(received) : 0};
  }
  void end() { ours_.close(); }
  Descriptor take() { return std::move(theirs_); }

 private:
  Descriptor ours_;
  Descriptor theirs_;
};

TEST_CASE("an answer is its line, or the lines up to its end") {
  Gateway gateway;
  GatewayLink link{gateway.take()};
  gateway.say("{\"ftpalg\":\"0.1.0\",\"protocol\":1}\n{\"status\":{\"pid\":7}}\n");
  const auto status = link.ask({{"ask", "status"}});
  REQUIRE(status);
  CHECK(*status == GatewayLink::Answer{{{"status", {{"pid", 7}}}}});
  CHECK(gateway.heard() == "{\"ask\":\"status\"}\n");
  gateway.say("{\"session\":{}}\n{\"session\":{}}\n{\"end\":{\"shown\":2}}\n");
  const auto sessions = link.ask({{"ask", "sessions"}});
  REQUIRE(sessions);
  CHECK(sessions->size() == 3);
  gateway.say("{\"error\":\"there is no such session\"}\n");
  const auto refused = link.ask({{"ask", "sessions"}});
  REQUIRE_FALSE(refused);
  CHECK(refused.error().cause == NoAnswer::Cause::refused);
  CHECK(refused.error().text == "there is no such session");
}

TEST_CASE("a gateway that does not answer costs two seconds, and its late answer is nobody's") {
  Gateway gateway;
  GatewayLink link{gateway.take()};
  gateway.say("{\"ftpalg\":\"0.1.0\",\"protocol\":1}\n{\"session\":{}}\n");
  const auto begin = std::chrono::steady_clock::now();
  const auto late = link.ask({{"ask", "sessions"}});
  REQUIRE_FALSE(late);
  CHECK(late.error().cause == NoAnswer::Cause::gone);
  CHECK(std::chrono::steady_clock::now() - begin >= GatewayLink::answer_time_max);
  // It does not wait a second time.
  const auto again = std::chrono::steady_clock::now();
  CHECK_FALSE(link.ask({{"ask", "status"}}));
  CHECK(std::chrono::steady_clock::now() - again < GatewayLink::answer_time_max);
  gateway.say("{\"session\":{}}\n{\"end\":{}}\n{\"status\":{\"pid\":7}}\n");
  const auto status = link.ask({{"ask", "status"}});
  REQUIRE(status);
  CHECK(status->front() == json{{"status", {{"pid", 7}}}});
}

TEST_CASE("a gateway that has ended, or speaks nonsense, gives no answer") {
  for (const std::string_view said : {"", "nonsense\n", "[]\n", "{\"ftpalg\":\"0\"}\nnonsense\n"}) {
    Gateway gateway;
    GatewayLink link{gateway.take()};
    if (!said.empty()) gateway.say(said);
    gateway.end();
    const auto answer = link.ask({{"ask", "status"}});
    REQUIRE_FALSE(answer);
    CHECK(answer.error().cause == NoAnswer::Cause::gone);
  }
}

TEST_CASE("the gateway is not asked more often than it can bear") {
  Gateway gateway;
  GatewayLink link{gateway.take()};
  gateway.say("{\"ftpalg\":\"0.1.0\",\"protocol\":1}\n");
  unsigned answered = 0;
  const auto begin = std::chrono::steady_clock::now();
  for (unsigned count = 0; count < 2 * GatewayLink::questions_per_second_max; ++count) {
    gateway.say("{\"status\":{}}\n");
    const auto answer = link.ask({{"ask", "status"}});
    if (answer) {
      ++answered;
    } else {
      CHECK(answer.error().cause == NoAnswer::Cause::busy);
    }
  }
  const auto seconds = (std::chrono::steady_clock::now() - begin) / std::chrono::seconds{1};
  CHECK(answered <= GatewayLink::questions_per_second_max * static_cast<unsigned>(seconds + 1));
}

// ---- metrics

json status() {
  return {
      {"version", "0.1.0"},
      {"since", 1764190000.25},
      {"uptime", 12.5},
      {"kernel", {{"release", "6.1.0-\"x\\y\n"}}},
      {"rules", {{"state", "in place"}}},
      {"queues",
       {{{"number", 21}, {"packets", 7}, {"unread", 1}},
        {{"number", 22}, {"packets", 0}, {"unread", 0}}}},
      {"sessions", {{"now", 2}, {"begun", 5}, {"ended", 3}, {"encrypted_now", 1}}},
      {"expectations", {{"now", 1}, {"installed", 4}}},
      {"transfers", {{"now", 0}, {"done", 9}, {"failed", 2}, {"bytes", 123456789012}}},
      {"decisions",
       {{{"reason", "foreign_address"}, {"action", "forward"}, {"count", 3}},
        {{"reason", "edit_waits"}, {"action", "wait"}, {"count", 2}},
        {{"reason", "edit_waits"}, {"action", "forward"}, {"count", 1}}}},
  };
}

TEST_CASE("metrics say what the status says") {
  const std::string text = "\n" + metrics_text(status());
  for (const char* const line : {
           "\n# TYPE ftpalg_sessions gauge\nftpalg_sessions 2\n",
           "\n# TYPE ftpalg_sessions_total counter\nftpalg_sessions_total 5\n",
           "\nftpalg_sessions_ended_total 3\n",
           "\nftpalg_sessions_encrypted 1\n",
           "\nftpalg_queue_packets_total{queue=\"21\"} 7\nftpalg_queue_packets_total{queue=\"22\"} "
           "0\n",
           "\nftpalg_queue_unread_total{queue=\"21\"} 1\n",
           "\nftpalg_expectations 1\n",
           "\nftpalg_expectations_total 4\n",
           "\nftpalg_transfers_total{result=\"done\"} 9\n",
           "\nftpalg_transfers_total{result=\"failed\"} 2\n",
           "\nftpalg_transfer_bytes_total 123456789012\n",
           "\nftpalg_rules_in_place 1\n",
           "\nprocess_start_time_seconds 1764190000.25\n",
           "\nftpalg_decisions_total{reason=\"foreign_address\"} 3\n",
           "\nftpalg_decisions_total{reason=\"edit_waits\"} 3\n",
           "\nftpalg_decisions_total{reason=\"rewritten\"} 0\n",
           "\nftpalg_build_info{version=\"0.1.0\",kernel=\"6.1.0-\\\"x\\\\y\\n\"} 1\n",
       }) {
    CHECK_THAT(text, Catch::Contains(line));
  }
  CHECK_THAT(text, Catch::EndsWith("\n"));
}

TEST_CASE("every metric has its help and its type once, before its samples") {
  const std::string text = metrics_text(status());
  std::vector<std::string> known;
  std::istringstream lines{text};
  for (std::string line; std::getline(lines, line);) {
    CAPTURE(line);
    std::istringstream words{line};
    std::string first;
    std::string second;
    std::string third;
    words >> first >> second >> third;
    if (second == "HELP") {
      CHECK(std::ranges::count(known, third) == 0);
      known.push_back(third);
      CHECK(line.back() == '.');
    } else if (second == "TYPE") {
      CHECK(known.back() == third);
    } else {
      CHECK(known.back() == first.substr(0, first.find('{')));
    }
  }
}

TEST_CASE("what the gateway does not know is no metric") {
  CHECK(metrics_text(json::object()).empty());
  CHECK(metrics_text(nullptr).empty());
  json unknown = status();
  unknown["transfers"]["bytes"] = nullptr;
  unknown["rules"]["state"] = "unknown";
  unknown["queues"] = "none";
  unknown.erase("decisions");
  const std::string text = metrics_text(unknown);
  for (const char* const name : {"bytes", "rules", "queue_", "decisions"}) {
    CHECK_THAT(text, !Catch::Contains(name));
  }
  unknown["rules"]["state"] = "incomplete";
  CHECK_THAT(metrics_text(unknown), Catch::Contains("ftpalg_rules_in_place 0\n"));
}

// ---- the report

TEST_CASE("data in a report is data, whatever is in it") {
  const nlohmann::ordered_json evil{{"a", "</script><script>alert(1)</script>"},
                                    {"b", "<!--"},
                                    {"c", "]]>&lt;"},
                                    {"</ScRiPt>", "\xe2\x80\xa8\xff"}};
  const std::string text = json_in_html(evil);
  for (const char c : {'<', '>', '&'}) CHECK(text.find(c) == std::string::npos);
  CHECK(std::ranges::all_of(text, [](unsigned char c) { return c >= 0x20 && c < 0x7f; }));
  const json back = json::parse(text);
  CHECK(back["a"] == "</script><script>alert(1)</script>");
  CHECK(back["c"] == "]]>&lt;");
}

TEST_CASE("a report is one file, with its data and nothing from elsewhere") {
  const std::string report = html_report({{"capture", "@SCRIPT@ @STYLE@ @DATA@ </script>"}});
  CHECK_THAT(report, Catch::StartsWith("<!doctype html>"));
  CHECK_THAT(report, Catch::EndsWith("</html>\n"));
  CHECK_THAT(report,
             Catch::Contains("{\"capture\":\"@SCRIPT@ @STYLE@ @DATA@ \\u003c/script\\u003e\"}"));
  CHECK_THAT(report, Catch::Contains("const Ladder"));
  CHECK_THAT(report, !Catch::Contains("@POLICY@"));
  CHECK_THAT(report, Catch::Contains("script-src 'sha256-"));
  for (const char* const elsewhere : {"src=", "href=", "url(", "@import", "http://", "https://"}) {
    CAPTURE(elsewhere);
    CHECK_THAT(report, !Catch::Contains(elsewhere));
  }
  const auto count = [&](std::string_view word) {
    std::size_t found = 0;
    for (std::size_t at = report.find(word); at != std::string::npos;
         at = report.find(word, at + 1)) {
      ++found;
    }
    return found;
  };
  CHECK(count("<script") == 2);
  CHECK(count("</script>") == 2);
}

}  // namespace
}  // namespace ftpalg::tools
