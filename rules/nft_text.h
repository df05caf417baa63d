// SPDX-License-Identifier: GPL-2.0-or-later
// The ruleset in nft's language.
#pragma once

#include <string>

#include "rules/ruleset.h"

namespace ftpalg::rules {

enum class IpVersions { both, ipv4_only };

/// One transaction: whatever table of ours there is, whole or half, makes room for a new one.
std::string nft_apply_text(const Ruleset& ruleset, IpVersions versions = IpVersions::both);

/// One transaction that succeeds whether our table is there or not.
std::string nft_remove_text();

/// What a person can paste into a root shell.
std::string nft_shell_text(const Ruleset& ruleset);

}  // namespace ftpalg::rules
