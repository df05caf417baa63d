// SPDX-License-Identifier: GPL-2.0-or-later
// How often this program has asked for memory: counted here, and not in what is measured.
#pragma once

#include <cstdint>

namespace ftpalg::bench {

std::uint64_t allocations();

}  // namespace ftpalg::bench
