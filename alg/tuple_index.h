// SPDX-License-Identifier: GPL-2.0-or-later
// A hash table in one piece of memory, of numbers only: what a number stands for its owner knows,
// who also says whether it is the one that is looked for.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <vector>

namespace ftpalg {

/// Each entry is beside its hash's own place: behind it, with no gap between (linear probing).
class TupleIndex {
 public:
  using Number = std::uint32_t;

  /// The number with that hash of which `is_it(number)` holds.
  template <typename IsIt>
  std::optional<Number> find(std::uint64_t hash, IsIt is_it) const {
    if (entries_.empty()) return std::nullopt;
    const auto tag = static_cast<std::uint32_t>(hash);
    for (std::size_t at = home_of(tag); entries_[at].number != none; at = after(at)) {
      if (entries_[at].tag == tag && is_it(entries_[at].number)) return entries_[at].number;
    }
    return std::nullopt;
  }

  /// The number is not in it yet.
  void insert(std::uint64_t hash, Number number) {
    if (entries_.size() * 3 < (size_ + 1) * 4) grow();
    place({static_cast<std::uint32_t>(hash), number});
    ++size_;
  }

  void erase(std::uint64_t hash, Number number) {
    if (entries_.empty()) return;
    std::size_t gap = home_of(static_cast<std::uint32_t>(hash));
    while (entries_[gap].number != number) {
      if (entries_[gap].number == none) return;
      gap = after(gap);
    }
    // What follows moves up, if that is not in front of its own place.
    for (std::size_t at = after(gap); entries_[at].number != none; at = after(at)) {
      const std::size_t distance = (at - home_of(entries_[at].tag)) & (entries_.size() - 1);
      if (distance < ((at - gap) & (entries_.size() - 1))) continue;
      entries_[gap] = entries_[at];
      gap = at;
    }
    entries_[gap] = {};
    --size_;
  }

 private:
  static constexpr Number none = std::numeric_limits<Number>::max();
  static constexpr std::size_t entries_min = 16;

  struct Entry {
    std::uint32_t tag = 0;  ///< the lower half of the hash
    Number number = none;
  };

  std::size_t home_of(std::uint32_t tag) const { return tag & (entries_.size() - 1); }
  std::size_t after(std::size_t at) const { return (at + 1) & (entries_.size() - 1); }

  void place(const Entry& entry) {
    std::size_t at = home_of(entry.tag);
    while (entries_[at].number != none) at = after(at);
    entries_[at] = entry;
  }

  void grow() {
    std::vector<Entry> before(entries_.empty() ? entries_min : 2 * entries_.size());
    before.swap(entries_);
    for (const Entry& entry : before) {
      if (entry.number != none) place(entry);
    }
  }

  std::vector<Entry> entries_;  ///< as many as a power of two, three quarters of them taken at most
  std::size_t size_ = 0;
};

}  // namespace ftpalg
