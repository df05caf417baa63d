// SPDX-License-Identifier: GPL-2.0-or-later
// A hash with a secret key: who does not know it can neither make many tuples meet in a table nor
// foresee a port that was drawn with it.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "conntrack/network.h"
#include "conntrack/tuple.h"

namespace ftpalg {

/// SipHash-2-4 (Aumasson and Bernstein, "SipHash: a fast short-input PRF", 2012).
class KeyedHash {
 public:
  using Key = std::array<std::uint8_t, 16>;

  /// With the key that is all zeros every result can be foreseen.
  explicit KeyedHash(const Key& key = {}) : key_(key) {}

  std::uint64_t operator()(std::span<const std::uint8_t> bytes) const;
  std::uint64_t operator()(const Tuple& tuple) const;
  std::uint64_t operator()(const Network& network) const;

 private:
  Key key_;
};

}  // namespace ftpalg
