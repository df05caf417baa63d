// SPDX-License-Identifier: GPL-2.0-or-later
// An FTP session as both ends play it, and what an ideal gateway makes of each line. Which
// announcements are to be opened is known from how the script is made; nothing here asks the engine
// or shares its parsers.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "alg/policy.h"
#include "conntrack/expectation.h"
#include "conntrack/master.h"
#include "random.h"

namespace ftpalg::simulator {

enum class Format : std::uint8_t { port, eprt, lprt, reply_227, reply_228, reply_229 };

/// One line that one end sends, line end included.
struct Line {
  std::string text;
  /// With an announcement that an ideal gateway opens:
  bool opens = false;
  /// Whether it opens depends on what else was under way when it came by: either is right.
  bool may_stay = false;
  Format format = Format::port;
  std::uint16_t port = 0;  ///< announced; no other line of the session has the same
  std::size_t begin = 0;   ///< text[begin, end) is the host-port
  std::size_t end = 0;
  /// When this line has arrived nothing may be expected any more.
  bool ends_expectation = false;
  std::size_t urgent_end = 0;  ///< text[0, urgent_end) is urgent
  bool after_pause = false;    ///< the server takes its time before it
};

enum class Ending : std::uint8_t {
  quit,  ///< 221, the server closes, the client follows
  client_closes,
  client_aborts,
  server_aborts,
};

/// Who talks: an index.
enum Who : std::uint8_t { client, server };

/// A reset in the middle of it all: even before the connection stands.
struct Break {
  Who who;
  std::uint32_t steps;  ///< it comes after so many packets received and pieces written
};

struct Script {
  Master master;
  /// What somebody else maps, as a cloud does.
  std::vector<ExternalAddress> external_addresses;
  /// As the other end must be told the client's address, and the server's.
  Address client_told;
  Address server_told;
  bool active_needs_quiet = true;
  /// The gateway is started while the session is under way. What only the beginning can tell, such
  /// as an EPSV ALL, is not in it.
  bool gateway_is_late = false;
  std::vector<Line> commands;
  std::vector<Line> replies;
  bool has_much_text = false;  ///< more than small segments and windows can bear
  /// The client sends commands[.., until) as soon as it has got replies[.., after).
  struct Batch {
    std::size_t until;
    std::size_t after;
  };
  std::vector<Batch> batches;
  /// When command i has arrived the server sends replies up to replies_until[i]. Before any
  /// command: replies_until_greeting.
  std::vector<std::size_t> replies_until;
  std::size_t replies_until_greeting = 0;
  /// How much of the first command the client sends with its SYN (TCP Fast Open, RFC 7413).
  std::size_t in_syn = 0;
  /// The server sends its greeting, or the start of it, with its SYN.
  bool greets_in_syn = false;
  Ending ending = Ending::quit;
  std::optional<Break> broken;  ///< before the ending
  /// What the client sends last, without a line end.
  std::string client_tail;
};

Script make_script(Random& random);
/// Whether it ends with a reset.
bool is_aborted(const Script& script);

/// The line as an ideal gateway sends it on when `public_port` was granted.
std::string ideal_text(const Line& line, const Script& script, std::uint16_t public_port);
/// The expectation for it.
Expectation ideal_expectation(const Line& line, const Master& master, std::uint16_t public_port);

}  // namespace ftpalg::simulator
