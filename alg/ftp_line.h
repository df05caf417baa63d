// SPDX-License-Identifier: GPL-2.0-or-later
// One line of the control connection: a command from the client, or a line of a reply from the
// server.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "alg/host_port.h"

namespace ftpalg {

/// What the session must tell apart. Verbs that it treats alike share a value.
enum class Verb : std::uint8_t {
  unknown,  ///< no FTP command that we know: the peer may not be speaking FTP at all
  other,    ///< an FTP command without a meaning of its own here
  user,
  login,  ///< PASS, ACCT
  auth,
  host,
  rein,
  port,
  eprt,
  lprt,
  passive,  ///< PASV, CPSV, LPSV, EPSV
  epsv_all,
  transfer,  ///< a command that uses the data connection
  abor,
};

struct Command {
  Verb verb = Verb::unknown;
  /// Where the verb stands in the line: Telnet sequences may come before it (RFC 959,
  /// section 4.1.3).
  std::size_t verb_begin = 0;
};

/// Reads a client line, without its line end.
Command read_command(std::string_view line);

/// The length of the Telnet sequences that `line` begins with (RFC 854): IAC and one byte, or two
/// when it negotiates an option. One that is cut short at the end counts as far as it goes.
std::size_t telnet_bytes(std::string_view line);

/// Whether `name`, in capitals, is the verb of an FTP command that we know.
bool is_known_verb(std::string_view name);

/// The names of which is_known_verb() is true.
std::vector<std::string_view> known_verbs();

/// Announced by the client, for the server to connect to; the others are announced by the server.
constexpr bool is_active(AnnouncementKind kind) {
  return kind == AnnouncementKind::port || kind == AnnouncementKind::eprt ||
         kind == AnnouncementKind::lprt;
}

/// PORT, EPRT and LPRT announce a host-port; the others do not.
std::optional<AnnouncementKind> announcement_of(Verb verb);

struct ReplyLine {
  std::uint16_t code = 0;  ///< 100 to 659
  bool continues =
      false;  ///< "ddd-": more lines follow until the same code closes (RFC 959, section 4.2)
};

/// Reads a server line, without its line end. Nothing when it does not begin with three digits and
/// a blank, a hyphen or the end.
std::optional<ReplyLine> read_reply(std::string_view line);

/// 227, 228 and 229 announce a host-port; the others do not.
std::optional<AnnouncementKind> announcement_of(std::uint16_t reply_code);

/// True when `begin`, the first bytes of a client line, could still grow into PORT, EPRT or LPRT.
bool may_become_active_command(std::string_view begin);

/// True when `begin`, the first bytes of a server line, could still grow into a 227, 228 or 229.
bool may_become_passive_reply(std::string_view begin);

}  // namespace ftpalg
