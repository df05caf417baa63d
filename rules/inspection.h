// SPDX-License-Identifier: GPL-2.0-or-later
// Fetches the listings of the kernel's firewall and has them verified.
#pragma once

#include <optional>
#include <vector>

#include "rules/ruleset.h"
#include "rules/verification.h"

namespace ftpalg::rules {

/// Whether the rules are in place and nothing is in their way: all that verification.h knows.
/// Without `format`: of the format our rules are found in, or of the default one.
std::vector<Discrepancy> verify(const Ruleset& ruleset, std::optional<Format> format);

/// Only what concerns the kernel's own `ftp` helper: rules, and the sysctl that assigns it to every
/// connection to port 21.
std::vector<Discrepancy> find_ftp_helper(const Ruleset& ruleset);

}  // namespace ftpalg::rules
