// SPDX-License-Identifier: GPL-2.0-or-later
// A conntrack tuple of a TCP connection: who sends to whom.
#pragma once

#include "conntrack/address.h"

namespace ftpalg {

/// The two directions of a connection as conntrack names them: `original` is that of the first
/// packet.
enum class Direction : std::uint8_t { original, reply };

constexpr Direction opposite(Direction direction) {
  return direction == Direction::original ? Direction::reply : Direction::original;
}

struct Tuple {
  Endpoint source;
  Endpoint destination;

  Tuple reversed() const { return {destination, source}; }
  /// "10.0.0.2:40000 -> 192.0.2.1:21".
  std::string text() const { return source.text() + " -> " + destination.text(); }
  auto operator<=>(const Tuple&) const = default;
};

}  // namespace ftpalg

template <>
struct std::hash<ftpalg::Tuple> {
  std::size_t operator()(const ftpalg::Tuple& tuple) const noexcept {
    // The multiplication keeps a tuple and its reverse apart.
    return std::hash<ftpalg::Endpoint>{}(tuple.source) * 31 +
           std::hash<ftpalg::Endpoint>{}(tuple.destination);
  }
};
