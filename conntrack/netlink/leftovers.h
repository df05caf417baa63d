// SPDX-License-Identifier: GPL-2.0-or-later
// Expectations that a gateway left when it was killed: each is a way through the firewall that
// nobody closes before the kernel does.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

#include "conntrack/netlink/ctnetlink.h"

namespace ftpalg {

/// Removes the expectations that look in everything as Ctnetlink::add installs them: of masters
/// that bear the helper `carrier`, whose client dialled one of `control_ports`, exact but for the
/// source port, and following the master exactly where it is NATed. Those of other helpers, of
/// other ports, or of another make stay. Returns how many were removed, or the cause.
tl::expected<std::size_t, std::string> remove_leftovers(
    Ctnetlink& ctnetlink, std::string_view carrier,
    const std::vector<std::uint16_t>& control_ports);

/// Has the kernel forget them after `life` instead: their data connections may be about to come.
/// Returns how many there are, or the cause.
tl::expected<std::size_t, std::string> limit_leftovers(
    Ctnetlink& ctnetlink, std::string_view carrier, const std::vector<std::uint16_t>& control_ports,
    std::chrono::seconds life);

}  // namespace ftpalg
