// SPDX-License-Identifier: GPL-2.0-or-later
// TCP options: walking over them (RFC 9293, section 3.1).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace ftpalg::tcp_option {

inline constexpr std::uint8_t end = 0;
inline constexpr std::uint8_t no_operation = 1;
inline constexpr std::uint8_t sack = 5;
inline constexpr std::uint8_t timestamps = 8;
inline constexpr std::size_t timestamps_bytes = 10;

/// Calls `visit` with each option that has a length, from its kind on, in order. Stops at the end
/// option and at the first that does not fit.
template <typename Byte, typename Visit>
constexpr void visit_all(std::span<Byte> options, Visit visit) {
  std::size_t at = 0;
  while (at < options.size() && options[at] != end) {
    if (options[at] == no_operation) {
      ++at;
      continue;
    }
    if (at + 1 >= options.size()) return;
    const std::size_t length = options[at + 1];
    if (length < 2 || at + length > options.size()) return;
    visit(options.subspan(at, length));
    at += length;
  }
}

}  // namespace ftpalg::tcp_option
