// SPDX-License-Identifier: GPL-2.0-or-later
// Takes passwords out of lines, before anything stores or shows these.
#pragma once

#include <string>
#include <string_view>

#include "alg/decision.h"

namespace ftpalg::tools {

/// What stands in the place of a password.
inline constexpr std::string_view secret_mark = "***";

/// The line with a mark in the place of the arguments of PASS and ACCT, however they are spelled
/// and whatever comes before them, and of what changes a password (SITE PSWD and its like). What
/// the server says stays as it is.
std::string without_secret(Direction direction, std::string_view line);

/// The same of the line as it leaves, in which the verb may be another word of the same length.
std::string after_without_secret(const Decision& decision);

}  // namespace ftpalg::tools
