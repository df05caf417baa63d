// SPDX-License-Identifier: GPL-2.0-or-later
// Fetches the listings of the kernel's firewall and has them verified.
#pragma once

#include <optional>
#include <vector>

#include "rules/ruleset.h"
#include "rules/verification.h"

namespace ftpalg::rules {

/// Whether the rules are in place and nothing is in their way: all that verification.h knows,
/// with the sysctl that assigns the kernel's ftp helper by itself.
/// Without `format`: of the format our rules are found in, or of the default one.
std::vector<Discrepancy> verify(const Ruleset& ruleset, std::optional<Format> format);

/// Foreign rules that share bits of the connection mark with ours. Rules that cannot be read count
/// for nothing here: verify() names them.
std::vector<Discrepancy> mark_conflicts(const Ruleset& ruleset);

}  // namespace ftpalg::rules
