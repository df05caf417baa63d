// SPDX-License-Identifier: GPL-2.0-or-later
// TCP sequence numbers: 32 bits that wrap (RFC 9293, section 3.4).
#pragma once

#include <cstdint>

namespace ftpalg {

/// A sequence number. Order is defined between numbers less than 2^31 apart; `a - b` is the signed
/// way from b to a.
struct Seq {
  std::uint32_t number = 0;

  friend constexpr bool operator==(Seq, Seq) = default;
  friend constexpr std::int32_t operator-(Seq a, Seq b) {
    return static_cast<std::int32_t>(a.number - b.number);
  }
  friend constexpr bool operator<(Seq a, Seq b) { return a - b < 0; }
  friend constexpr bool operator>(Seq a, Seq b) { return b < a; }
  friend constexpr bool operator<=(Seq a, Seq b) { return !(b < a); }
  friend constexpr bool operator>=(Seq a, Seq b) { return !(a < b); }

  /// The number `bytes` further on, or back when negative. Takes 64 bits so that sizes and shifts
  /// both fit.
  friend constexpr Seq operator+(Seq a, std::int64_t bytes) {
    return {a.number + static_cast<std::uint32_t>(bytes)};
  }
};

}  // namespace ftpalg
