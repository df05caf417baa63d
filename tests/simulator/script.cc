// SPDX-License-Identifier: GPL-2.0-or-later
#include "script.h"

#include <fmt/format.h>

#include <array>

namespace ftpalg::simulator {
namespace {

bool is_active(Format format) {
  return format == Format::port || format == Format::eprt || format == Format::lprt;
}

std::string host_port(Format format, const Address& address, std::uint16_t port) {
  std::string list;
  for (const std::uint8_t byte : address.bytes()) list += fmt::format("{},", byte);
  const unsigned high = port >> 8;
  const unsigned low = port & 0xffU;
  const bool is_ipv4 = address.family() == Family::ipv4;
  switch (format) {
    case Format::port:
    case Format::reply_227:
      return fmt::format("{}{},{}", list, high, low);
    case Format::lprt:
    case Format::reply_228:
      return fmt::format("{}{}2,{},{}", is_ipv4 ? "4,4," : "6,16,", list, high, low);
    case Format::eprt:
      return fmt::format("|{}|{}|{}|", is_ipv4 ? 1 : 2, address.text(), port);
    case Format::reply_229:
      return fmt::format("|||{}|", port);
  }
  return {};
}

/// Makes a session step by step, as a client would go through it.
class Author {
 public:
  explicit Author(Random& random) : random_(random) {}

  Script write() {
    choose_master();
    script_.active_needs_quiet = random_.chance(600);
    script_.gateway_is_late = random_.chance(80);
    greet();
    log_in();
    const std::uint32_t steps = random_.between(1, 5);
    for (std::uint32_t step = 0; step < steps; ++step) {
      if (random_.chance(30)) {
        talk_much();
      } else {
        random_.chance(300) ? pipeline() : walk();
      }
    }
    end();
    if (random_.chance(80)) open_fast();
    script_.greets_in_syn = random_.chance(script_.in_syn > 0 ? 500 : 20);
    if (random_.chance(80)) {
      const std::uint32_t late = random_.below(random_.chance(500) ? 8 : 100);
      script_.broken = Break{random_.chance(500) ? client : server, late};
    }
    return std::move(script_);
  }

 private:
  static Endpoint at(const char* address, std::uint16_t port) {
    return {*Address::parse(address), Port{port}};
  }

  void choose_master() {
    constexpr std::array inside4{"10.0.0.2", "192.168.100.200", "172.16.31.4"};
    constexpr std::array outside4{"203.0.113.100", "9.9.9.9", "198.51.100.17", "8.8.4.4"};
    constexpr std::array inside6{"fd00::2", "fd00:1234:5678:9abc:def0:1234:5678:9abc"};
    constexpr std::array outside6{"2001:db8::1", "2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff"};
    const bool is_ipv4 = random_.chance(800);
    const auto inside = [&] { return is_ipv4 ? random_.pick(inside4) : random_.pick(inside6); };
    const auto outside = [&] { return is_ipv4 ? random_.pick(outside4) : random_.pick(outside6); };
    const char* const far = is_ipv4 ? "198.51.100.7" : "2001:db8::7";
    const std::uint32_t kind = random_.below(10);
    const bool snat = kind < 4 || (kind >= 7 && kind < 9);
    const bool dnat = kind >= 4 && kind < 9;
    // What somebody else maps is a private address, with or without translation of our own.
    const std::uint32_t mapped_per_mille = snat || dnat ? 80 : 400;
    const bool client_is_mapped = random_.chance(mapped_per_mille);
    const bool server_is_mapped = random_.chance(mapped_per_mille);
    const bool client_is_private = snat || client_is_mapped;
    const bool server_is_private = dnat || server_is_mapped;
    constexpr std::uint16_t client_port = 40000;
    constexpr std::uint16_t ftp_port = 21;

    const Endpoint client = at(client_is_private ? inside() : far, client_port);
    const char* const front = is_ipv4 ? "172.20.0.1" : "fd00:20::1";
    const Endpoint client_outside = snat ? at(client_is_mapped ? front : outside(), 41000) : client;
    const char* const other = is_ipv4 ? "192.0.2.9" : "2001:db8:9::9";
    const Endpoint server = at(server_is_private ? inside() : other, ftp_port);
    const Endpoint server_outside =
        dnat ? at(server_is_mapped ? front : outside(), ftp_port) : server;
    script_.master.original = {client, server_outside};
    script_.master.reply = {server, client_outside};
    script_.master.has_carrier = true;

    script_.client_told = client_outside.address;
    script_.server_told = server_outside.address;
    const Address mapped = at(is_ipv4 ? "4.3.2.1" : "2001:db8:4321::1", 0).address;
    // Who has a private address can dial one.
    if (client_is_mapped) {
      script_.external_addresses.push_back({client_outside.address, mapped});
      if (!server_is_private) script_.client_told = mapped;
    }
    if (server_is_mapped) {
      script_.external_addresses.push_back({server_outside.address, mapped});
      if (!client_is_private) script_.server_told = mapped;
    }
  }

  Line& command(std::string text) {
    script_.commands.push_back({std::move(text)});
    script_.replies_until.push_back(script_.replies.size());
    return script_.commands.back();
  }
  /// Belongs to the last command.
  Line& reply(std::string text) {
    script_.replies.push_back({std::move(text)});
    if (script_.commands.empty()) {
      script_.replies_until_greeting = script_.replies.size();
    } else {
      script_.replies_until.back() = script_.replies.size();
    }
    return script_.replies.back();
  }
  /// What was written since the last batch is sent at once, after all replies to what was before.
  void end_batch() {
    const std::size_t first = script_.batches.empty() ? 0 : script_.batches.back().until;
    if (first == script_.commands.size()) return;
    const std::size_t after =
        first == 0 ? script_.replies_until_greeting : script_.replies_until[first - 1];
    script_.batches.push_back({script_.commands.size(), after});
  }

  void greet() {
    if (random_.chance(200)) reply("120 Service ready in 1 minute.\r\n");
    if (random_.chance(300)) {
      reply("220-Welcome\r\n");
      if (random_.chance(300)) reply("227 is not said here\r\n");
      reply(" and behave\r\n");
    }
    reply("220 FTP server ready.\r\n");
  }

  void log_in() {
    if (random_.chance(100) && !script_.gateway_is_late) {
      // Nothing is opened before the login.
      const std::uint16_t port = fresh_port();
      command(announcement_text(Format::port, script_.master.client(), port));
      reply("530 Please log in with USER and PASS.\r\n");
      end_batch();
    }
    command("USER anonymous\r\n");
    reply("331 Please specify the password.\r\n");
    end_batch();
    command("PASS a@b\r\n");
    if (random_.chance(300)) reply("230-Have a nice day\r\n");
    reply("230 Login successful.\r\n");
    end_batch();
    if (random_.chance(300)) {
      command(random_.chance(500) ? "SYST\r\n" : "syst\n");
      reply("215 UNIX Type: L8\r\n");
      end_batch();
    }
  }

  std::uint16_t fresh_port() {
    // Clear of the default deny-list; the number of digits varies.
    port_ = static_cast<std::uint16_t>(port_ + random_.between(1, 3));
    return random_.chance(500) ? static_cast<std::uint16_t>(20000 + port_)
                               : static_cast<std::uint16_t>(7000 + port_);
  }

  std::string announcement_text(Format format, const Address& address, std::uint16_t port) {
    const std::string place = host_port(format, address, port);
    switch (format) {
      case Format::port:
        return (random_.chance(500) ? "PORT " : "port ") + place + line_end();
      case Format::eprt:
        return "EPRT " + place + line_end();
      case Format::lprt:
        return "LPRT " + place + line_end();
      case Format::reply_227:
        return random_.chance(700)   ? "227 Entering Passive Mode (" + place + ").\r\n"
               : random_.chance(500) ? "227 =" + place + "\r\n"
                                     : "227 Entering Passive Mode " + place + "\r\n";
      case Format::reply_228:
        return "228 Entering Long Passive Mode (" + place + ")\r\n";
      case Format::reply_229:
        return "229 Entering Extended Passive Mode (" + place + ")\r\n";
    }
    return {};
  }
  const char* line_end() { return random_.chance(900) ? "\r\n" : "\n"; }

  void open(Line& line, Format format, const Address& address, std::uint16_t port) {
    const std::string place = host_port(format, address, port);
    line.opens = true;
    line.format = format;
    line.port = port;
    line.begin = line.text.find(place);
    line.end = line.begin + place.size();
  }

  bool is_ipv4() const { return script_.master.client().family() == Family::ipv4; }

  Format active_format() {
    if (!is_ipv4()) return random_.chance(700) ? Format::eprt : Format::lprt;
    constexpr std::array formats{Format::port, Format::port, Format::eprt, Format::lprt};
    return random_.pick(formats);
  }
  Format passive_format() {
    if (!is_ipv4()) return random_.chance(700) ? Format::reply_229 : Format::reply_228;
    constexpr std::array formats{Format::reply_227, Format::reply_227, Format::reply_229,
                                 Format::reply_228};
    return random_.pick(formats);
  }

  /// Some ends know their public address and announce that.
  const Address& announced(const Address& own, const Address& told) {
    return random_.chance(100) ? told : own;
  }

  void announce_active(bool is_opened) {
    const Format format = active_format();
    const std::uint16_t port = fresh_port();
    const Address& address = announced(script_.master.client(), script_.client_told);
    Line& line = command(announcement_text(format, address, port));
    if (is_opened && !epsv_all_) open(line, format, address, port);
  }

  void announce_passive() {
    const Format format = passive_format();
    const std::uint16_t port = fresh_port();
    const Address& address = announced(script_.master.server(), script_.server_told);
    command(format == Format::reply_227   ? "PASV\r\n"
            : format == Format::reply_229 ? "EPSV\r\n"
                                          : "LPSV\r\n");
    Line& line = reply(announcement_text(format, address, port));
    if (!epsv_all_ || format == Format::reply_229) open(line, format, address, port);
  }

  void transfer() {
    constexpr std::array verbs{"RETR file\r\n", "LIST\r\n", "STOR a long name of a file\r\n",
                               "NLST\r\n"};
    command(random_.pick(verbs));
    if (random_.chance(150)) {
      reply("550 No such file.\r\n").ends_expectation = true;
      return;
    }
    if (random_.chance(100)) reply("150-About to open\r\n");
    reply("150 Opening BINARY mode data connection.\r\n");
    if (random_.chance(150)) {
      if (random_.chance(700)) end_batch();
      abort_transfer();
      reply("426 Transfer aborted.\r\n").ends_expectation = true;
      reply("226 ABOR successful.\r\n");
      return;
    }
    reply("226 Transfer complete.\r\n").after_pause = random_.chance(700);
  }

  void small_talk() {
    switch (random_.below(8)) {
      case 0:
        command("NOOP\r\n");
        reply("200 NOOP ok.\r\n");
        return;
      case 1:
        command("PWD\r\n");
        reply("257 \"/\" is the current directory\r\n");
        return;
      case 2:
        command("FEAT\r\n");
        reply("211-Features:\r\n");
        reply(" EPRT\r\n");
        reply(" EPSV\r\n");
        // Looks like a reply, but stands inside one.
        if (is_ipv4() && !script_.gateway_is_late && random_.chance(300)) {
          reply("227 Entering Passive Mode (" +
                host_port(Format::reply_227, script_.master.server(), fresh_port()) + ").\r\n");
        }
        reply("211 End\r\n");
        return;
      case 3:
        command("P\r\n");
        reply("500 Unknown command.\r\n");
        return;
      case 4:
        command("PORTAL\r\n");
        reply("500 Unknown command.\r\n");
        return;
      case 5:
        command("TYPE I\r\n");
        reply("200 Switching to Binary mode.\r\n");
        return;
      case 6:
        // An announcement, were it at the start of a line.
        command("MKD " + announcement_text(active_format(), script_.master.client(), fresh_port()));
        reply("550 No such name.\r\n");
        return;
      default:
        abort_transfer();
        reply("225 No transfer to ABOR.\r\n");
        return;
    }
  }

  /// With the Telnet sequence that RFC 959 asks for, or as clients do without it.
  void abort_transfer() {
    Line& line = command(
        "\xff\xf4\xff\xf2"
        "ABOR\r\n");
    // The first three bytes are what BSD's ftp sends as urgent.
    const std::array<std::size_t, 4> urgent_ends{0, 3, 4, line.text.size()};
    line.urgent_end = random_.pick(urgent_ends);
  }

  /// Segments that are full, and more than one: commands at once, and replies at length.
  void talk_much() {
    constexpr std::array<std::uint32_t, 6> sizes{200, 600, 1500, 5000, 15000, 60000};
    const std::uint32_t size = random_.chance(800) ? sizes[random_.below(3)] : random_.pick(sizes);
    if (size > 200) script_.has_much_text = true;
    const std::uint32_t commands = random_.between(2, 6);
    for (std::uint32_t i = 0; i < commands; ++i) {
      switch (random_.below(4)) {
        case 0:
          announce_active(true);
          script_.commands.back().may_stay = script_.active_needs_quiet && i > 0;
          reply("200 Command successful.\r\n");
          break;
        case 1:
          announce_passive();
          break;
        case 2:
          command("MKD " + std::string(random_.between(1, 500), 'd') + "\r\n");
          reply("257 \"" + std::string(random_.between(1, 500), 'd') + "\" created.\r\n");
          break;
        default:
          command("HELP\r\n");
          reply("214-Commands:\r\n");
          for (std::uint32_t said = 0; said < size / commands;) {
            said += static_cast<std::uint32_t>(
                reply(" " + std::string(random_.between(1, 1000), 'h') + "\r\n").text.size());
          }
          reply("214 That is all.\r\n");
      }
    }
    end_batch();
  }

  void refused_announcement() {
    // Forwarded as it is: not the client's address, or a port that nobody may open.
    const bool foreign = random_.chance(500);
    if (!is_ipv4()) return;
    const Address address = foreign ? Address::ipv4(10, 99, 99, 99) : script_.master.client();
    command(announcement_text(Format::port, address, foreign ? fresh_port() : std::uint16_t{22}));
    reply("500 Illegal PORT command.\r\n");
  }

  /// One command at a time.
  void walk() {
    const std::uint32_t kind = random_.below(12);
    if (kind < 4) {
      announce_active(true);
      if (random_.chance(100)) {
        reply("500 Illegal PORT command.\r\n").ends_expectation = true;
        end_batch();
        return;
      }
      reply("200 Command successful.\r\n");
      end_batch();
      transfer();
    } else if (kind < 8) {
      announce_passive();
      end_batch();
      transfer();
    } else if (kind == 8) {
      refused_announcement();
    } else if (kind == 9 && !epsv_all_ && !script_.gateway_is_late && random_.chance(400)) {
      command("EPSV ALL\r\n");
      reply("200 EPSV ALL ok.\r\n");
      epsv_all_ = true;
    } else {
      small_talk();
    }
    end_batch();
  }

  /// Several commands at once.
  void pipeline() {
    const std::uint32_t commands = random_.between(2, 5);
    bool may_refuse = true;
    for (std::uint32_t i = 0; i < commands; ++i) {
      switch (random_.below(5)) {
        case 0:
          announce_active(true);
          // With active_needs_quiet it depends on whether what came before is answered already.
          script_.commands.back().may_stay = script_.active_needs_quiet && i > 0;
          reply("200 Command successful.\r\n");
          may_refuse = false;
          break;
        case 1:
          announce_passive();
          may_refuse = false;
          break;
        case 2:
          if (may_refuse) {
            small_talk();
          } else {
            command("RETR file\r\n");
            reply("150 Here it comes.\r\n");
            reply("226 Done.\r\n").after_pause = random_.chance(300);
          }
          break;
        default:
          small_talk();
      }
    }
    end_batch();
  }

  void open_fast() {
    const std::size_t size = script_.commands[0].text.size();
    script_.in_syn = random_.between(1, static_cast<std::uint32_t>(size));
    if (random_.chance(100)) script_.in_syn = size;
    if (script_.in_syn < size) return;
    // A client that speaks before it is greeted does not speak FTP, as far as the gateway can see.
    // It depends on the network what comes by first.
    for (auto* lines : {&script_.commands, &script_.replies}) {
      for (Line& line : *lines) line.may_stay = true;
    }
  }

  void end() {
    const std::uint32_t kind = random_.below(10);
    if (kind < 6) {
      script_.ending = Ending::quit;
      command("QUIT\r\n");
      reply("221 Goodbye.\r\n");
      end_batch();
      return;
    }
    if (kind < 8) {
      script_.ending = Ending::client_closes;
      constexpr std::array tails{"", "", "PO", "PORT 10,0,0", "EPRT |1|10.0.0.2|70", "NOO", "Q"};
      script_.client_tail = random_.pick(tails);
      return;
    }
    script_.ending = kind == 8 ? Ending::client_aborts : Ending::server_aborts;
  }

  Random& random_;
  Script script_;
  bool epsv_all_ = false;
  std::uint16_t port_ = 0;
};

}  // namespace

Script make_script(Random& random) {
  return Author(random).write();
}

bool is_aborted(const Script& script) {
  return script.broken || script.ending == Ending::client_aborts ||
         script.ending == Ending::server_aborts;
}

std::string ideal_text(const Line& line, const Script& script, std::uint16_t public_port) {
  if (!line.opens) return line.text;
  const Address& address = is_active(line.format) ? script.client_told : script.server_told;
  std::string text = line.text;
  text.replace(line.begin, line.end - line.begin, host_port(line.format, address, public_port));
  return text;
}

Expectation ideal_expectation(const Line& line, const Master& master, std::uint16_t public_port) {
  const bool active = is_active(line.format);
  Expectation expectation;
  expectation.master = master.original;
  expectation.source = active ? master.server() : master.client();
  expectation.destination.address =
      active ? master.client_as_server_sees_it() : master.server_as_client_dials_it();
  expectation.destination.port = Port{public_port};
  expectation.inside = {active ? master.client() : master.server(), Port{line.port}};
  if (active) {
    expectation.usual_source_port =
        Port{static_cast<std::uint16_t>(master.reply.source.port.number - 1)};
  }
  expectation.direction = active ? Direction::reply : Direction::original;
  expectation.follows_master = master.is_nated();
  return expectation;
}

}  // namespace ftpalg::simulator
