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
/// Without `format`: of the format our rules are found in, or of the default one. `expected` is
/// what our nft table must be, for whoever may make no namespace to find it out; else it is found
/// out.
std::vector<Discrepancy> verify(const Ruleset& ruleset, std::optional<Format> format,
                                const std::optional<NftTable>& expected = std::nullopt);

/// Our nft table as it must be for `ruleset`, in the words of this kernel and this nft; nothing
/// where that cannot be found out (CAP_SYS_ADMIN).
std::optional<NftTable> expected_table(const Ruleset& ruleset);

/// Our nft table as it is, if there is one.
std::optional<NftTable> present_table();

/// Foreign rules that share bits of the connection mark with ours. Rules that cannot be read count
/// for nothing here: verify() names them.
std::vector<Discrepancy> mark_conflicts(const Ruleset& ruleset);

}  // namespace ftpalg::rules
