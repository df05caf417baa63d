// SPDX-License-Identifier: GPL-2.0-or-later
// The forger: makes what one end repeats differ from what came first. The first copy wins (protocol
// rule 31), so nobody may notice.
#pragma once

#include <algorithm>
#include <optional>

#include "packet.h"

namespace ftpalg::simulator {

class Forger {
 public:
  /// Overwrites the bytes of `packet`, the next of its end, that came before, in their order. True
  /// when there were any.
  bool forge(PacketBytes& packet) {
    const auto segment = Segment::parse(packet);
    const Seq begin = segment->payload_seq();
    const Seq end = segment->payload_end();
    if (segment->has(Segment::syn_flag)) {
      // What goes with a SYN need not be taken.
      if (begin == end) next_ = end;
      return false;
    }
    if (begin == end || !next_ || begin > *next_) return false;
    const Seq old_end = std::min(end, *next_);
    next_ = std::max(end, *next_);
    if (begin >= old_end) return false;
    const auto payload = packet.end() - (end - begin);
    std::fill(payload, payload + (old_end - begin), std::uint8_t{'#'});
    seal(packet);
    return true;
  }

 private:
  std::optional<Seq> next_;
};

}  // namespace ftpalg::simulator
