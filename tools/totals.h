// SPDX-License-Identifier: GPL-2.0-or-later
// What a gateway has done in all, when it ends: also what single lines of the log have left out.
#pragma once

#include "alg/engine.h"

namespace ftpalg::tools {

/// A line of the log for each reason for which something was decided, with how often.
void tell_totals(const Engine& engine);

}  // namespace ftpalg::tools
