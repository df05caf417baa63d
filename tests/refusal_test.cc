// SPDX-License-Identifier: GPL-2.0-or-later
#include "alg/refusal.h"

#include <catch2/catch.hpp>

#include "conversation.h"

namespace ftpalg::test {
namespace {

using namespace std::chrono_literals;
using namespace std::string_literals;

const std::string login_to_server = "USER a\r\nPASS b\r\n";

Policy read_only() {
  Policy policy;
  policy.refused_commands = {{*Network::parse("10.0.0.0/24"), {"STOR", "RMD", "DELE"}}};
  return policy;
}

TEST_CASE("a refused command is a word of the same length that the server does not know") {
  struct Row {
    std::string sent;
    std::string received;
  };
  const std::string much(600, 'a');
  for (const auto& [sent, received] : {
           Row{"STOR x\r\n", "XXXX x\r\n"},
           Row{"stor x\r\n", "XXXX x\r\n"},
           Row{"RMD d\n", "XXX d\n"},
           Row{"STOR\r\n", "XXXX\r\n"},
           Row{"STOR\tx\r\n", "XXXX\tx\r\n"},
           Row{"  STOR x\r\n", "  XXXX x\r\n"},
           Row{"\t\rSTOR x\r\n", "\t\rXXXX x\r\n"},
           Row{"ST\0OR x\r\n"s, "XXXXX x\r\n"s},
           Row{"STOR{x}\r\n", "XXXX{x}\r\n"},
           Row{"\0STOR x\r\n"s, "\0XXXX x\r\n"s},
           Row{"\xff\xf4\xff\xf2STOR x\r\n", "\xff\xf4\xff\xf2XXXX x\r\n"},
           Row{"ST\xff\xf1OR x\r\n", "XXXXXX x\r\n"},
           Row{"STOR " + much + "\r\n", "XXXX " + much + "\r\n"},
           Row{"STOR a\rb\r\n", "XXXX a\rb\r\n"},
           // These pass.
           Row{"STORE x\r\n", "STORE x\r\n"},
           Row{"STO x\r\n", "STO x\r\n"},
           Row{"RETR STOR x\r\n", "RETR STOR x\r\n"},
           Row{"STAT\r\n", "STAT\r\n"},
           Row{"PASV\r\n", "PASV\r\n"},
           Row{"STOR2\r\n", "STOR2\r\n"},
           Row{"STORSTORSTOR\r\n", "STORSTORSTOR\r\n"},
           Row{"@STOR x\r\n", "@STOR x\r\n"},
           Row{"[STOR x\r\n", "[STOR x\r\n"},
           Row{"!STOR x\r\n", "!STOR x\r\n"},
       }) {
    for (const Ways& ways : all_ways(12)) {
      CAPTURE(sent.substr(0, 40), to_string(ways));
      Conversation conversation(client_behind_snat(), ways, read_only());
      conversation.log_in();
      conversation.client(sent);
      conversation.client("NOOP\r\n");
      CHECK(conversation.server_received() == login_to_server + received + "NOOP\r\n");
      CHECK(conversation.everything_arrived());
    }
  }
}

TEST_CASE("a refused command is refused whatever the session is") {
  struct Row {
    const char* name;
    std::vector<std::pair<char, std::string>> before;
  };
  std::vector<std::pair<char, std::string>> many;
  for (int command = 0; command < 40; ++command) many.emplace_back('C', "NOOP\r\n");
  for (const auto& [name, before] : {
           Row{"before the greeting", {}},
           Row{"a first line that is no FTP", {{'S', "220 x\r\n"}, {'C', "GET / HTTP/1.0\r\n"}}},
           Row{"a first line that looks like TLS", {{'S', "220 x\r\n"}, {'C', "\x16\x03\x01\n"}}},
           Row{"behind an unanswered AUTH", {{'S', "220 x\r\n"}, {'C', "AUTH TLS\r\n"}}},
           Row{"behind a refused AUTH",
               {{'S', "220 x\r\n"}, {'C', "AUTH TLS\r\n"}, {'S', "502 no\r\n"}}},
           Row{"too much unanswered", many},
       }) {
    CAPTURE(name);
    Conversation conversation(client_behind_snat(), {}, read_only());
    for (const auto& [side, text] : before) {
      side == 'C' ? conversation.client(text) : conversation.server(text);
    }
    conversation.client("STOR x\r\n");
    CHECK(conversation.server_received().ends_with("XXXX x\r\n"));
    const auto decisions = conversation.take_decisions();
    CHECK(std::any_of(decisions.begin(), decisions.end(), [](const Decision& decision) {
      return decision.action == Action::refuse && decision.reason == Reason::command_refused;
    }));
  }
}

TEST_CASE("the start of a refused command that is held too long does not get by") {
  Conversation conversation(client_behind_snat(), {}, read_only());
  conversation.log_in();
  conversation.send_segment(Direction::original, "STO");
  CHECK(conversation.server_received() == login_to_server);
  conversation.advance(11s);
  CHECK(conversation.server_received() == login_to_server + "XXX");
  conversation.client("R x\r\n");
  CHECK(conversation.server_received() == login_to_server + "XXXX x\r\n");
  CHECK(conversation.everything_arrived());
}

TEST_CASE("a verb behind more Telnet sequences than a line may have does not get by") {
  Conversation conversation(client_behind_snat(), {}, read_only());
  conversation.log_in();
  std::string padding;
  while (padding.size() < 600) padding += "\xff\xf1";
  conversation.client(padding);
  conversation.client("STOR x\r\n");
  conversation.client("NOOP\r\n");
  const std::string received = conversation.server_received().substr(login_to_server.size());
  CHECK(received.size() == padding.size() + 14);
  CHECK(received.find("XSTOR") != std::string::npos);
  CHECK(received.ends_with("NOOP\r\n"));
}

TEST_CASE("commands are refused to the networks that the policy names, and to no others") {
  Policy policy = read_only();
  policy.refused_commands[0].clients = *Network::parse("10.9.0.0/16");
  Conversation conversation(client_behind_snat(), {}, policy);
  conversation.log_in();
  conversation.client("STOR x\r\n");
  CHECK(conversation.server_received() == login_to_server + "STOR x\r\n");
}

TEST_CASE("many refused commands in flight leave exactly once each") {
  Conversation conversation(client_behind_snat(), {}, read_only());
  conversation.log_in();
  std::string sent;
  std::string received;
  for (int command = 0; command < 50; ++command) {
    sent += "DELE a\r\n";
    received += "XXXX a\r\n";
  }
  conversation.lose_after_engine(Direction::original, true);
  conversation.send_segment(Direction::original, sent);
  conversation.lose_after_engine(Direction::original, false);
  conversation.run_timer(Direction::original);
  CHECK(conversation.server_received() == login_to_server + received);
  // A repetition that begins within an edit.
  conversation.send_again(Direction::original, login_to_server.size() + 2, 10);
  CHECK(conversation.everything_arrived());
}

TEST_CASE("TLS required: nobody logs in before AUTH") {
  Policy policy;
  policy.tls_mode = TlsMode::require;
  for (const Ways& ways : all_ways(6)) {
    CAPTURE(to_string(ways));
    Conversation conversation(client_behind_snat(), ways, policy);
    conversation.server("220 ready\r\n");
    conversation.client("USER a\r\n");
    conversation.server("500 what?\r\n");
    conversation.client("FEAT\r\n");
    conversation.server("211 none\r\n");
    conversation.client("AUTH TLS\r\n");
    conversation.server("234 go\r\n");
    const std::string record("\x16\x03\x01\x00\x05USER a\r\n\nUSER a\r\n", 23);
    conversation.client(record);
    CHECK(conversation.server_received() == "XXXX a\r\nFEAT\r\nAUTH TLS\r\n" + record);
  }
}

TEST_CASE("TLS refused: the server does not know AUTH, and the session goes on in the clear") {
  Policy policy;
  policy.tls_mode = TlsMode::clear_only;
  for (const Ways& ways : all_ways(6)) {
    CAPTURE(to_string(ways));
    Conversation conversation(client_behind_snat(), ways, policy);
    conversation.server("220 ready\r\n");
    conversation.client("AUTH TLS\r\n");
    conversation.server("500 what?\r\n");
    conversation.client("USER a\r\n");
    conversation.server("230 in\r\n");
    conversation.client("PORT 10,0,0,2,195,80\r\n");
    CHECK(conversation.server_received() == "XXXX TLS\r\nUSER a\r\nPORT 203,0,113,100,195,80\r\n");
  }
}

}  // namespace
}  // namespace ftpalg::test
