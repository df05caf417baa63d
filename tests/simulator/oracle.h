// SPDX-License-Identifier: GPL-2.0-or-later
// The judge: compares what arrives with what an ideal rewriting proxy would deliver.
//
// Every byte of a line must be the ideal one. A line with an announcement that is to be opened must
// find, when it arrives, exactly one expectation, its own; unless a later announcement has come by
// before it arrived, whose expectation the kernel has put in its place (kernel-facts 7).
//
// An edit may legally be missing in two cases: the session's seams were told to fail, or the engine
// said that it has held the line's start for as long as the policy allows. Then the line must
// arrive as it was sent. Such lines are counted.
//
// A gateway that came when the session was under way may have missed what it must know for an edit,
// so it may leave any line as it is. What it does edit must be right.
#pragma once

#include <string>
#include <string_view>

#include "figures.h"
#include "gateway.h"
#include "random.h"
#include "script.h"

namespace ftpalg::simulator {

class Oracle {
 public:
  /// Why an edit may be missing.
  struct Excuses {
    bool gateway_is_absent = false;
    bool seams_fail = false;
  };

  Oracle(const Script& script, const Excuses& excuses, Gateway& gateway, Figures& figures)
      : script_(script), excuses_(excuses), gateway_(gateway), figures_(figures) {}

  /// `received` is all that one end has got so far. True when that is what it should be.
  bool check(Direction direction, std::string_view received, Random& random);
  /// Each of `said`, the ends of urgent data as the server was told, is an end of urgent data, and
  /// when `all_came` it was told the last.
  bool check_urgent(const std::vector<std::size_t>& said, bool all_came);
  /// The engine has let go of `start`, the start of a line of `direction`, without its rest.
  void note_hold_expired(Direction direction, std::string start) {
    expired_.push_back({direction, std::move(start)});
  }

  /// Nothing more will come. With `complete` everything that was to be sent was sent.
  bool check_end(std::string_view server_received, std::string_view client_received,
                 std::string_view server_expected_tail, bool complete);

  std::size_t lines(Direction direction) const { return side(direction).lines; }
  const std::string& finding() const { return finding_; }

 private:
  struct Side {
    std::size_t lines = 0;  ///< complete ones
    std::size_t bytes = 0;  ///< of those
    std::size_t seen = 0;   ///< bytes searched for a line end
  };
  const Side& side(Direction direction) const {
    return sides_[static_cast<std::size_t>(direction)];
  }
  const std::vector<Line>& script_lines(Direction direction) const {
    return direction == Direction::original ? script_.commands : script_.replies;
  }
  struct Expired {
    Direction direction;
    std::string start;
  };
  bool is_excused(Direction direction, std::string_view text);
  bool check_line(Direction direction, std::size_t index, std::string_view text, Random& random);
  bool check_expectation(const Line& line, std::uint16_t public_port, Random& random);
  bool find(std::string finding) {
    if (finding_.empty()) finding_ = std::move(finding);
    return false;
  }

  const Script& script_;
  Excuses excuses_;
  Gateway& gateway_;
  std::array<Side, 2> sides_{};
  std::vector<Expired> expired_;
  std::vector<std::size_t> urgent_ends_;  ///< in what the server got
  std::string finding_;
  Figures& figures_;
};

}  // namespace ftpalg::simulator
