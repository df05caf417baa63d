// SPDX-License-Identifier: GPL-2.0-or-later
// Chance, the same for the same seed on every machine (splitmix64).
#pragma once

#include <cstddef>
#include <cstdint>

namespace ftpalg::simulator {

class Random {
 public:
  /// Mixed, or the numbers of neighbouring seeds would be the same, one further on.
  explicit Random(std::uint64_t seed) : state_(mix(seed + step)) {}

  std::uint64_t next() { return mix(state_ += step); }
  /// 0 to `end` - 1.
  std::uint32_t below(std::uint32_t end) {
    return static_cast<std::uint32_t>(((next() >> 32) * end) >> 32);
  }
  /// `first` to `last`, both included.
  std::uint32_t between(std::uint32_t first, std::uint32_t last) {
    return first + below(last - first + 1);
  }
  bool chance(std::uint32_t per_mille) { return below(1000) < per_mille; }

  template <typename Choices>
  const auto& pick(const Choices& choices) {
    return choices[below(static_cast<std::uint32_t>(std::size(choices)))];
  }

 private:
  static constexpr std::uint64_t step = 0x9e3779b97f4a7c15;
  static constexpr std::uint64_t mix(std::uint64_t number) {
    number = (number ^ (number >> 30)) * 0xbf58476d1ce4e5b9;
    number = (number ^ (number >> 27)) * 0x94d049bb133111eb;
    return number ^ (number >> 31);
  }

  std::uint64_t state_;
};

}  // namespace ftpalg::simulator
