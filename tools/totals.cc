// SPDX-License-Identifier: GPL-2.0-or-later
#include "tools/totals.h"

#include <spdlog/spdlog.h>

namespace ftpalg::tools {

void Totals::add(const Engine& engine) {
  for (std::size_t number = 0; number < reason_count; ++number) {
    counts_[number] += engine.count(static_cast<Reason>(number));
  }
}

void Totals::tell() const {
  for (std::size_t number = 0; number < reason_count; ++number) {
    if (counts_[number] == 0) continue;
    spdlog::info("in all {} times: {}", counts_[number], text(static_cast<Reason>(number)));
  }
}

}  // namespace ftpalg::tools
