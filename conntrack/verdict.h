// SPDX-License-Identifier: GPL-2.0-or-later
// What is to become of a queued packet.
#pragma once

#include <cstdint>
#include <span>

namespace ftpalg {

struct Verdict {
  enum class Action : std::uint8_t {
    accept,   ///< let it pass as it came
    replace,  ///< let `packet` pass in its place
    drop,     ///< its sender will send it again
  };
  Action action = Action::accept;
  /// With `replace`: a complete IP packet, owned by whoever gave the verdict and valid until it
  /// gives the next.
  std::span<const std::uint8_t> packet{};
};

}  // namespace ftpalg
