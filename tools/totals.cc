// SPDX-License-Identifier: GPL-2.0-or-later
#include "tools/totals.h"

#include <spdlog/spdlog.h>

namespace ftpalg::tools {

void tell_totals(const Engine& engine) {
  for (std::size_t number = 0; number < reason_count; ++number) {
    const auto reason = static_cast<Reason>(number);
    if (const auto count = engine.count(reason); count > 0) {
      spdlog::info("in all {} times: {}", count, text(reason));
    }
  }
}

}  // namespace ftpalg::tools
