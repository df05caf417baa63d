// SPDX-License-Identifier: GPL-2.0-or-later
// What a gateway has done in all, when it ends: also what single lines of the log have left out.
#pragma once

#include <array>

#include "alg/engine.h"

namespace ftpalg::tools {

class Totals {
 public:
  void add(const Engine& engine);
  /// A line of the log for each reason for which something was decided, with how often.
  void tell() const;

 private:
  std::array<std::uint64_t, reason_count> counts_{};
};

}  // namespace ftpalg::tools
