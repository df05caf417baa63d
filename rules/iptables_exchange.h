// SPDX-License-Identifier: GPL-2.0-or-later
// Reads and writes the kernel's iptables rules by the programs of the iptables package.
#pragma once

#include <string>
#include <tl/expected.hpp>

#include "conntrack/address.h"
#include "rules/iptables_listing.h"
#include "rules/ruleset.h"

namespace ftpalg::rules {

/// All rules of one family. Makes no table that is not there yet. `format` is one of the two
/// iptables formats, here and below.
tl::expected<IptablesListing, std::string> read_iptables(Format format, Family family);

/// Runs iptables-restore --noflush. Nothing to do for an empty text.
tl::expected<void, std::string> write_iptables(Format format, Family family,
                                               const std::string& text);

/// Whether the programs of this format are installed.
bool has_iptables(Format format, Family family);

/// Whether this kernel runs with IPv6 at all.
bool kernel_has_ipv6();

/// Whether older x_tables hold rules of any kind, as they do where iptables-legacy is in use.
bool legacy_tables_hold_rules();

/// Deletes the nf_tables tables raw and mangle where nothing is left in them: iptables-nft makes
/// them when the first rule comes and leaves them behind when the last one goes.
void delete_empty_chains(Family family);

}  // namespace ftpalg::rules
