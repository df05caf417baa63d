// SPDX-License-Identifier: GPL-2.0-or-later
// Puts the ruleset into the kernel's firewall, and takes it out again. Touches nothing that is not
// ours.
#pragma once

#include <optional>
#include <string>
#include <tl/expected.hpp>
#include <vector>

#include "rules/ruleset.h"

namespace ftpalg::rules {

/// The format to use when nobody named one: nft where the kernel has `queue` in nft; else
/// iptables-legacy where the older x_tables hold rules and those over nf_tables do not; else
/// iptables.
Format default_format();

struct Applied {
  Format format = Format::nft;
  std::vector<std::string> notes;  ///< what a person should know, a sentence each
};

/// Applies the ruleset in the place of whatever of ours is there, in any format. Either all of it
/// is in place afterwards or, with an error, what was there before. A machine without IPv6 gets the
/// rules for IPv4, and a note.
tl::expected<Applied, std::string> apply(const Ruleset& ruleset,
                                         std::optional<Format> format = std::nullopt);

/// As apply(), but in a network namespace that ends with the call: what this kernel and the
/// programs here make of the rules. Nothing where such a namespace cannot be made (CAP_SYS_ADMIN).
std::optional<tl::expected<Applied, std::string>> rehearse(const Ruleset& ruleset, Format format);

struct Removed {
  std::vector<Format> formats;  ///< where something of ours was found
};

/// Removes whatever of ours is there, whole or half: of `format`, or of every format. To find
/// nothing is no error.
tl::expected<Removed, std::string> remove(std::optional<Format> format = std::nullopt);

}  // namespace ftpalg::rules
