// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/bench/talk.h"

#include <fmt/format.h>

#include <array>
#include <string>

#include "tests/conversation.h"

namespace ftpalg::bench {
namespace {

constexpr std::uint32_t sessions_per_client = 500;
constexpr std::uint16_t first_port = 20000;
const Endpoint server_inside{Address::ipv4(192, 168, 100, 200), Port{21}};
const Endpoint server_outside{Address::ipv4(9, 9, 9, 9), Port{21}};

/// The client's address begins so, as it knows itself and as the server sees it.
constexpr std::uint8_t inside_net = 10;
constexpr std::uint8_t outside_net = 100;

Endpoint end_of(std::uint8_t net, std::uint32_t number) {
  const std::uint32_t client = number / sessions_per_client;
  const auto port = static_cast<std::uint16_t>(first_port + number % sessions_per_client);
  return {Address::ipv4(net, static_cast<std::uint8_t>(64 + (client >> 16)),
                        static_cast<std::uint8_t>(client >> 8), static_cast<std::uint8_t>(client)),
          Port{port}};
}

std::uint32_t number_of(const Endpoint& client) {
  const auto address = client.address.bytes();
  const std::uint32_t host =
      (std::uint32_t{address[1]} - 64U) << 16U | std::uint32_t{address[2]} << 8U | address[3];
  return host * sessions_per_client + client.port.number - first_port;
}

enum class Says : std::uint8_t { text, port, reply_227, reply_229 };

struct Step {
  Direction direction;
  std::string_view text;
  std::uint8_t flags = 0;
  Says says = Says::text;
};

constexpr auto client = Direction::original;
constexpr auto server = Direction::reply;
constexpr std::array steps{
    Step{client, "", Segment::syn_flag},
    Step{server, "", Segment::syn_flag},
    Step{server, "220 ready\r\n"},
    Step{client, "USER anonymous\r\n"},
    Step{server, "331 Please specify the password.\r\n"},
    Step{client, "PASS bench@example.org\r\n"},
    Step{server, "230 Login successful.\r\n"},
    Step{client, "SYST\r\n"},
    Step{server, "215 UNIX Type: L8\r\n"},
    Step{client, "TYPE I\r\n"},
    Step{server, "200 Switching to Binary mode.\r\n"},
    // From here...
    Step{client, "CWD /pub\r\n"},
    Step{server, "250 Directory successfully changed.\r\n"},
    Step{client, "PASV\r\n"},
    Step{server, "", 0, Says::reply_227},
    Step{client, "RETR file.bin\r\n"},
    Step{server, "150 Opening BINARY mode data connection for file.bin (1024 bytes).\r\n"},
    Step{server, "226 Transfer complete.\r\n"},
    Step{client, "NOOP\r\n"},
    Step{server, "200 NOOP ok.\r\n"},
    Step{client, "", 0, Says::port},
    Step{server, "200 PORT command successful. Consider using PASV.\r\n"},
    Step{client, "LIST\r\n"},
    Step{server, "150 Here comes the directory listing.\r\n"},
    Step{server, "226 Directory send OK.\r\n"},
    Step{client, "SIZE file.bin\r\n"},
    Step{server, "213 1024\r\n"},
    Step{client, "EPSV\r\n"},
    Step{server, "", 0, Says::reply_229},
    Step{client, "STOR file.bin\r\n"},
    Step{server, "150 Ok to send data.\r\n"},
    Step{server, "226 Transfer complete.\r\n"},
    // ...to here again and again.
    Step{client, "QUIT\r\n"},
    Step{server, "221 Goodbye.\r\n"},
    Step{server, "", Segment::fin_flag},
    Step{client, "", Segment::fin_flag},
};
constexpr std::uint8_t first_of_transfers = 11;
constexpr std::uint8_t end_of_transfers = 32;
static_assert(steps[first_of_transfers].text == "CWD /pub\r\n");
static_assert(steps[end_of_transfers].text == "QUIT\r\n");

std::string host_port(const Address& address, std::uint16_t port) {
  const auto bytes = address.bytes();
  return fmt::format("{},{},{},{},{},{}", bytes[0], bytes[1], bytes[2], bytes[3], port >> 8,
                     port & 0xff);
}

}  // namespace

Master master_of(std::uint32_t number) {
  Master master;
  master.original = {end_of(inside_net, number), server_outside};
  master.reply = {server_inside, end_of(outside_net, number)};
  master.has_carrier = true;
  return master;
}

Master master_of(const Tuple& tuple) {
  return master_of(number_of(tuple.source == server_inside ? tuple.destination : tuple.source));
}

std::vector<std::uint8_t> Talk::packet() const {
  const Step& step = steps[step_];
  const Master master = master_of(number_);
  const bool is_client = step.direction == Direction::original;
  // Another one each time, and of every session of a client.
  const auto port =
      static_cast<std::uint16_t>(30000 + (number_ % sessions_per_client) * 50 + round_ % 50);
  std::string text{step.text};
  if (step.says == Says::port) {
    text = fmt::format("PORT {}\r\n", host_port(master.client(), port));
  } else if (step.says == Says::reply_227) {
    text = fmt::format("227 Entering Passive Mode ({}).\r\n", host_port(master.server(), port));
  } else if (step.says == Says::reply_229) {
    text = fmt::format("229 Entering Extended Passive Mode (|||{}|)\r\n", port);
  }
  const std::uint32_t seq = is_client ? client_seq_ : server_seq_;
  const std::uint32_t ack = is_client ? server_seq_ + static_cast<std::uint32_t>(server_growth_)
                                      : client_seq_ + static_cast<std::uint32_t>(client_growth_);
  const bool has_ack = step_ != 0;
  const auto flags = static_cast<std::uint8_t>(step.flags | (has_ack ? Segment::ack_flag : 0) |
                                               (text.empty() ? 0 : Segment::psh_flag));
  return test::make_packet(is_client ? master.original : master.reply, Seq{seq},
                           Seq{has_ack ? ack : 0}, flags, text);
}

void Talk::go_on(const Verdict& verdict, std::size_t packet_bytes) {
  const Step& step = steps[step_];
  const bool is_client = step.direction == Direction::original;
  const auto parsed_bytes = static_cast<std::uint32_t>(packet_bytes - 40);
  const std::uint32_t numbers = step.flags != 0 ? parsed_bytes + 1 : parsed_bytes;
  (is_client ? client_seq_ : server_seq_) += numbers;
  if (verdict.action == Verdict::Action::replace) {
    (is_client ? client_growth_ : server_growth_) +=
        static_cast<std::int32_t>(verdict.packet.size()) - static_cast<std::int32_t>(packet_bytes);
  }
  ++step_;
  if (step_ == end_of_transfers && stays_) step_ = first_of_transfers;
  if (step_ == end_of_transfers || step_ == first_of_transfers) ++round_;
  if (step_ < steps.size()) return;
  step_ = 0;
  // The next one is another connection, with numbers of its own.
  client_seq_ += 1U << 20U;
  server_seq_ += 1U << 20U;
  client_growth_ = server_growth_ = 0;
}

bool Talk::is_logged_in() const {
  return step_ >= first_of_transfers && step_ < end_of_transfers;
}

}  // namespace ftpalg::bench
