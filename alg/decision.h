// SPDX-License-Identifier: GPL-2.0-or-later
// A decision: what was done with one line that matters, and why.
#pragma once

#include <optional>
#include <string>

#include "alg/reason.h"
#include "conntrack/expectation.h"

namespace ftpalg {

enum class Action : std::uint8_t {
  forward,  ///< the line passes as it is
  rewrite,  ///< it passes with another host-port
  refuse,   ///< it passes as a word of the same length that the server does not know
  wait,     ///< it was dropped, to come again: only the time is wrong
};

struct Decision {
  Tuple control;                              ///< the control connection, client to dialled address
  Direction direction = Direction::original;  ///< original: the client's line, reply: the server's
  Action action = Action::forward;
  Reason reason = Reason::none;
  std::string before;  ///< the line as it came, without its line end; empty for a decision about no
                       ///< single line
  std::string after;   ///< the line as it leaves
  std::optional<Expectation> expectation;
};

}  // namespace ftpalg
