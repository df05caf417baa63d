// SPDX-License-Identifier: GPL-2.0-or-later
// Which bits of the connection mark a foreign rule reads or writes, as far as its text says so. In
// doubt all of them.
#pragma once

#include <cstdint>
#include <string_view>

#include "rules/iptables_listing.h"

namespace ftpalg::rules {

std::uint32_t mark_bits_used(const IptablesRule& rule);
std::uint32_t mark_bits_used(std::string_view nft_rule);

}  // namespace ftpalg::rules
