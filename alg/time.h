// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <chrono>

namespace ftpalg {

/// A point in time, counted from any fixed one, or a time span. The engine has no clock: its driver
/// says what time it is.
using Time = std::chrono::nanoseconds;

}  // namespace ftpalg
