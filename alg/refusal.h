// SPDX-License-Identifier: GPL-2.0-or-later
// Refusal: a command that the policy keeps from the server. The server is given a word of the same
// length that it does not know, and answers 5xx itself: nothing else of the session changes.
//
// A verb is found where a lenient server would find it: behind blanks and Telnet sequences, and
// with Telnet sequences and NULs inside it.
#pragma once

#include <optional>
#include <string_view>

#include "alg/policy.h"

namespace ftpalg {

/// The bytes [begin, end) of a line that must not reach the server.
struct Refusal {
  Reason reason = Reason::command_refused;
  std::size_t begin = 0;
  std::size_t end = 0;
};

/// What stands in their place, each.
inline constexpr char refused_byte = 'X';

/// Whether any command of `client`'s is refused.
bool refuses_any(const Policy& policy, const Address& client);

enum class LinePart : std::uint8_t {
  whole,      ///< all of it, without its line end
  beginning,  ///< the rest is not known yet
};

/// Whether `line`, or any line that begins so, is refused to `client`, and what of it. The
/// beginning of a verb counts as the verb.
std::optional<Refusal> refusal(const Policy& policy, const Address& client, std::string_view line,
                               LinePart part);

}  // namespace ftpalg
