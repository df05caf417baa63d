// SPDX-License-Identifier: GPL-2.0-or-later
// Which packets a foreign rule can match, as far as its text says so. In doubt the answer is yes.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "rules/iptables_listing.h"

namespace ftpalg::rules {

/// Whether the rule can match packets of TCP connections to one of `ports`, not counting loopback.
bool may_reach(const IptablesRule& rule, std::span<const std::uint16_t> ports);
bool may_reach(std::string_view nft_rule, std::span<const std::uint16_t> ports);

}  // namespace ftpalg::rules
