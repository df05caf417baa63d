// SPDX-License-Identifier: GPL-2.0-or-later
// The witness: whoever wants to see what passes, told by the engine as it happens.
//
// The engine keeps no names and no texts, so that a session stays small; a witness keeps what it
// likes. It changes nothing. What it is told of is valid during the call alone, and the session is
// named by the original tuple of its control connection.
#pragma once

#include <string_view>

#include "alg/decision.h"
#include "alg/time.h"
#include "conntrack/master.h"

namespace ftpalg {

class Witness {
 public:
  virtual ~Witness() = default;

  enum class Beginning : std::uint8_t {
    seen,       ///< from its SYN on
    under_way,  ///< it was there before the gateway
  };

  /// A complete line, without its line end.
  struct WitnessedLine {
    const Tuple& control;
    Direction direction;  ///< original: the client's line, reply: the server's
    std::string_view text;
    bool start_certain;        ///< else `text` may be the end of a line only
    const Decision* decision;  ///< about this line, or none
  };

  /// The server has answered a SYN. The session counts from on_begin() on: anybody can send a SYN
  /// in anybody's name. One of the same tuple that has not ended has gone without a word.
  virtual void on_answered(const Master& master, Beginning beginning, Time now) = 0;
  virtual void on_begin(const Tuple& control, Time now) = 0;
  virtual void on_line(const WitnessedLine& line, Time now) = 0;
  /// A decision about no complete line; its session may be known or not.
  virtual void on_decision(const Decision& decision, Time now) = 0;
  /// The engine has no more to do with the session, which goes on without it.
  virtual void on_left(const Tuple& control, Time now) = 0;
  /// It has ended, or the engine has forgotten it. May be told of one that was left, or that has
  /// ended already.
  virtual void on_end(const Tuple& control, Time now) = 0;
};

}  // namespace ftpalg
