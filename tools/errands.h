// SPDX-License-Identifier: GPL-2.0-or-later
// The errands on which the worker sends the keeper (keeper.h).
#pragma once

#include <string_view>

#include "tools/keeper.h"
#include "tools/running_config.h"

namespace ftpalg::tools {

/// To put the rules in place, if they are this run's, and to give up what is not needed from then
/// on.
inline constexpr std::string_view begin_errand = "begin";
/// To read the configuration anew and to put its rules in place. Brings what the file says; fails
/// without a word when anything is wrong with it, which the log is told.
inline constexpr std::string_view reload_errand = "reload";
/// To take out the rules of this run.
inline constexpr std::string_view end_errand = "end";

/// The keeper's side of them.
Keeper::Errands errands(RunningConfig config, bool applies_rules);

}  // namespace ftpalg::tools
