// SPDX-License-Identifier: GPL-2.0-or-later
// Finds out by trying what this kernel can do for the gateway. Everything is tried in a network
// namespace that lives for the length of the call, with addresses reserved for documentation: the
// host's connections, rules and queues neither change nor matter.
#pragma once

#include <string>
#include <tl/expected.hpp>

#include "conntrack/address.h"

namespace ftpalg {

/// Nothing, or why it does not work.
using Ability = tl::expected<void, std::string>;

struct FamilyAbilities {
  Ability carrier;      ///< a connection takes the helper
  Ability offsets;      ///< sequence offsets of a NATed connection can be set and read back
  Ability expectation;  ///< an expectation that follows the master's NAT is taken
};

struct KernelAbilities {
  Ability nfqueue;      ///< a queue can be bound, and hands out whole packets
  Ability connections;  ///< a queue tells of the connection with each packet (NFQA_CT)
  Ability ctnetlink;    ///< a connection can be created and found
  Ability marks;        ///< bits of the connection mark can be set, and the others stay
  FamilyAbilities ipv4;
  FamilyAbilities ipv6;
};

/// An error, and nothing tried, when this process may not make a network namespace. Where one thing
/// needs another that does not work, it is reported as not working for that reason.
tl::expected<KernelAbilities, std::string> probe_kernel(const std::string& carrier);

}  // namespace ftpalg
