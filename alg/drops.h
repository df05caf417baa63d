// SPDX-License-Identifier: GPL-2.0-or-later
// Drops: how often a sender's timer has sent again what was dropped here, to come again.
#pragma once

#include "alg/tcp_seq.h"
#include "alg/time.h"

namespace ftpalg {

class Drops {
 public:
  /// Copies of a segment that come closer together than this may be a tail loss probe, a repair
  /// after SACK, or a duplicate of the network's; those further apart come from the sender's
  /// retransmission timer.
  static constexpr Time timer_spacing_min = std::chrono::seconds{1};
  /// After which a timer has run out for the first time, wherever it began.
  static constexpr Time first_copy_max = std::chrono::seconds{4};

  /// Counts that the bytes at `at` were dropped. Returns how often they came by the sender's timer,
  /// with no earlier byte sent again in between.
  unsigned count(Seq at, Time now) {
    if (count_ == 0 || at != at_) {
      *this = {};
      at_ = at;
      first_ = now;
    } else if (now - last_ < timer_spacing_min) {
      return count_;
    }
    last_ = now;
    return ++count_;
  }
  void forget() { count_ = 0; }
  /// Bytes at `position` have come: a count of later ones begins anew.
  void forget_behind(Seq position) {
    if (position < at_) forget();
  }
  /// They should have come once more by now, if their sender still lacks their acknowledgement: the
  /// timer waits twice as long each time (RFC 6298, section 5.5). Also where none were dropped.
  bool are_overdue(Time now) const {
    return count_ == 0 || now > last_ + 2 * (last_ - first_) + first_copy_max;
  }

  /// For alg/state_bytes.h.
  template <typename Fields, typename Self>
  static void visit(Fields& fields, Self& self) {
    fields(self.at_, self.first_, self.last_, self.count_);
  }

 private:
  Seq at_;
  Time first_{};
  Time last_{};
  unsigned count_ = 0;
};

}  // namespace ftpalg
