// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <compare>
#include <functional>
#include <queue>
#include <vector>

#include "alg/time.h"
#include "conntrack/tuple.h"

namespace ftpalg {

/// A connection's time has come to be looked at.
struct Deadline {
  Time at{};
  Tuple original;
  unsigned repeats = 0;  ///< how often the same was done before

  /// Of two at the same time one comes first all the same, whoever keeps them.
  friend auto operator<=>(const Deadline&, const Deadline&) = default;

  /// For alg/state_bytes.h.
  template <typename Fields, typename Self>
  static void visit(Fields& fields, Self& self) {
    fields(self.at, self.original);
    fields.number(self.repeats, repeats_max);
  }
  static constexpr std::uint32_t repeats_max = 31;
};

/// The one that is due first comes first.
template <typename Due>
class DueQueue : public std::priority_queue<Due, std::vector<Due>, std::greater<>> {
 public:
  /// Gives back memory that a crowd has needed, once it is gone.
  void trim() {
    if (this->c.capacity() > kept_max && this->c.size() < this->c.capacity() / 4) {
      this->c.shrink_to_fit();
    }
  }

 private:
  static constexpr std::size_t kept_max = 1024;
};

}  // namespace ftpalg
