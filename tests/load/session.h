// SPDX-License-Identifier: GPL-2.0-or-later
// One session with an FTP server, as a plain client has it: a command, its reply, the next command.
// It believes what it is told of addresses. What goes wrong is a Failure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "tests/load/connection.h"

namespace ftpalg::load {

/// By which command data connections are announced.
enum class Mode : std::uint8_t { port, pasv, eprt, epsv };

std::string_view name(Mode mode);
std::optional<Mode> mode_named(std::string_view name);

class Session {
 public:
  /// Dials, and waits until the server greets.
  Session(const Endpoint& server, Mode mode, Limit limit);

  void log_in(std::string_view user, std::string_view password);
  /// The file must be as expected.
  void download(std::string_view file, std::string_view expected);
  void upload(std::string_view file, std::string_view content);
  /// A command whose reply begins with one of the digits; returns the reply.
  std::string exchange(std::string_view command, std::string_view digits);

 private:
  template <typename Transfer>
  void transfer(std::string_view command, Transfer&& over);
  void announce(const Endpoint& own);
  Endpoint ask();
  std::string hear_reply(std::string_view digits);

  Endpoint server_;
  Mode mode_;
  Limit limit_;
  Connection control_;
};

}  // namespace ftpalg::load
