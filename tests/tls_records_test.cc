// SPDX-License-Identifier: GPL-2.0-or-later
#include "alg/tls_records.h"

#include <catch2/catch.hpp>

#include "conversation.h"

namespace ftpalg::test {
namespace {

std::string record(char type, std::size_t body_bytes) {
  std::string text{type, 3, 3, static_cast<char>(body_bytes >> 8),
                   static_cast<char>(body_bytes & 0xff)};
  // Bodies that look like lines must not be taken for some.
  while (text.size() < 5 + body_bytes) text += "\r\nPORT 10,0,0,2,195,80\r\n";
  return text.substr(0, 5 + body_bytes);
}

wire::Bytes bytes_of(const std::string& text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

TEST_CASE("records are passed by their lengths, wherever they are cut") {
  const std::string records = record(22, 300) + record(20, 1) + record(23, 0) + record(21, 2);
  const std::string all = records + "PORT 10,0,0,2,195,80\r\n";
  for (std::size_t cut = 0; cut < all.size(); ++cut) {
    CAPTURE(cut);
    TlsRecords reader;
    const std::string first = all.substr(0, cut);
    const std::string second = all.substr(cut);
    const std::size_t passed = *reader.pass(bytes_of(first));
    CHECK(passed == std::min(cut, records.size()));
    if (cut <= records.size()) CHECK(*reader.pass(bytes_of(second)) == records.size() - cut);
  }
}

TEST_CASE("a record that breaks off is the end of all certainty") {
  TlsRecords reader;
  CHECK_FALSE(reader.pass(bytes_of("\x16PORT 10,0,0,2,195,80")));
  CHECK_FALSE(reader.pass(bytes_of("PORT 10,0,0,2,195,80")));
}

const std::string handshake = record(22, 100);
const std::string talk = record(23, 40);
const std::string close_notify = record(21, 2);

void encrypt_and_clear(Conversation& conversation) {
  conversation.server("220 ready\r\n");
  conversation.client("AUTH TLS\r\n");
  conversation.server("234 go\r\n");
  conversation.client(handshake);
  conversation.server(handshake);
  conversation.client(talk);  // CCC
  conversation.server(talk);  // 200
  conversation.server(close_notify);
  conversation.client(close_notify);
  conversation.client("PORT 10,0,0,2,195,80\r\n");
  conversation.server("200 ok\r\n");
}

TEST_CASE("rule 14: what follows CCC is not read by default") {
  Conversation conversation(client_behind_snat(), {});
  encrypt_and_clear(conversation);
  CHECK(conversation.server_received().ends_with("PORT 10,0,0,2,195,80\r\n"));
  CHECK(conversation.expectations().all().empty());
}

TEST_CASE("rule 14: what follows CCC is read where the policy says so") {
  Policy policy;
  policy.resume_after_ccc = true;
  for (const Ways& ways : all_ways(30)) {
    CAPTURE(to_string(ways));
    Conversation conversation(client_behind_snat(), ways, policy);
    encrypt_and_clear(conversation);
    CHECK(conversation.server_received() ==
          "AUTH TLS\r\n" + handshake + talk + close_notify + "PORT 203,0,113,100,195,80\r\n");
    CHECK(conversation.client_received() ==
          "220 ready\r\n234 go\r\n" + handshake + talk + close_notify + "200 ok\r\n");
    CHECK(conversation.expectations().all().size() == 1);
  }
}

}  // namespace
}  // namespace ftpalg::test
