// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/load/session.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdio>

namespace ftpalg::load {
namespace {

constexpr std::array<std::string_view, 4> mode_names{"PORT", "PASV", "EPRT", "EPSV"};

constexpr bool is_active(Mode mode) {
  return mode == Mode::port || mode == Mode::eprt;
}

/// Where a 227 reply sends its reader.
Endpoint named_by_227(const std::string& reply) {
  std::array<unsigned, 6> n{};
  const std::size_t open = reply.find('(');
  if (open == std::string::npos ||
      std::sscanf(reply.c_str() + open, "(%u,%u,%u,%u,%u,%u)", &n[0], &n[1], &n[2], &n[3], &n[4],
                  &n[5]) != 6 ||
      std::ranges::any_of(n, [](unsigned number) { return number > 255; })) {
    throw Failure(fmt::format("no host-port in '{}'", reply));
  }
  const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(n.at(i)); };
  return {Address::ipv4(byte(0), byte(1), byte(2), byte(3)),
          Port{static_cast<std::uint16_t>(n[4] << 8 | n[5])}};
}

Port named_by_229(const std::string& reply) {
  unsigned port = 0;
  const std::size_t open = reply.find("(|||");
  if (open == std::string::npos || std::sscanf(reply.c_str() + open, "(|||%u|)", &port) != 1 ||
      port > 65535) {
    throw Failure(fmt::format("no port in '{}'", reply));
  }
  return Port{static_cast<std::uint16_t>(port)};
}

}  // namespace

std::string_view name(Mode mode) {
  return mode_names.at(static_cast<std::size_t>(mode));
}

std::optional<Mode> mode_named(std::string_view name) {
  const auto* found = std::ranges::find(mode_names, name);
  if (found == mode_names.end()) return std::nullopt;
  return static_cast<Mode>(found - mode_names.begin());
}

Session::Session(const Endpoint& server, Mode mode, Limit limit)
    : server_(server), mode_(mode), limit_(limit), control_(Connection::dial(server, limit)) {
  hear_reply("2");
}

void Session::log_in(std::string_view user, std::string_view password) {
  // Some servers want no password.
  if (exchange(fmt::format("USER {}", user), "23").starts_with('3')) {
    exchange(fmt::format("PASS {}", password), "2");
  }
  exchange("TYPE I", "2");
}

void Session::download(std::string_view file, std::string_view expected) {
  transfer(fmt::format("RETR {}", file), [&](Connection data) {
    const std::string got = data.read_all();
    if (got != expected) {
      throw Failure(fmt::format("{} is not as it is at the server: {} bytes of {}", file,
                                got.size(), expected.size()));
    }
  });
}

void Session::upload(std::string_view file, std::string_view content) {
  transfer(fmt::format("STOR {}", file), [&](Connection data) { data.write(content); });
}

template <typename Transfer>
void Session::transfer(std::string_view command, Transfer&& over) {
  if (is_active(mode_)) {
    Listener listener(control_.own_end().address, limit_);
    announce(listener.own_end());
    // The server says 150 before or after it dials.
    exchange(command, "1");
    over(listener.accept());
  } else {
    Connection data = Connection::dial(ask(), limit_);
    exchange(command, "1");
    over(std::move(data));
  }
  hear_reply("2");
}

void Session::announce(const Endpoint& own) {
  const std::string address = own.address.text();
  if (mode_ == Mode::port) {
    std::string host = address;
    std::ranges::replace(host, '.', ',');
    exchange(fmt::format("PORT {},{},{}", host, own.port.number >> 8, own.port.number & 255), "2");
  } else {
    const int family = own.address.family() == Family::ipv4 ? 1 : 2;
    exchange(fmt::format("EPRT |{}|{}|{}|", family, address, own.port.number), "2");
  }
}

Endpoint Session::ask() {
  const std::string reply = exchange(name(mode_), "2");
  return mode_ == Mode::pasv ? named_by_227(reply) : Endpoint{server_.address, named_by_229(reply)};
}

std::string Session::exchange(std::string_view command, std::string_view digits) {
  control_.write(fmt::format("{}\r\n", command));
  try {
    return hear_reply(digits);
  } catch (const Failure& failure) {
    throw Failure(fmt::format("{}: {}", command, failure.what()));
  }
}

std::string Session::hear_reply(std::string_view digits) {
  std::string line = control_.read_line();
  // Of a reply of several lines the last one counts: the same code, and a blank.
  if (line.size() > 3 && line[3] == '-') {
    const std::string last = line.substr(0, 3) + ' ';
    while (!line.starts_with(last)) line = control_.read_line();
  }
  if (line.empty() || digits.find(line[0]) == digits.npos)
    throw Failure(fmt::format("the server says '{}'", line));
  return line;
}

}  // namespace ftpalg::load
