// SPDX-License-Identifier: GPL-2.0-or-later
// Looks at this machine for preflight.
#pragma once

#include <optional>
#include <string_view>

#include "rules/preflight.h"

namespace ftpalg::rules {

/// Everything but the trials, which are somebody else's to make.
Machine look_at_this_machine(const Ruleset& ruleset, std::optional<Format> format);

/// The value of a sysctl that is one number; nothing when there is none of that name.
std::optional<long> read_sysctl(std::string_view name);

/// Who listens on `queue`, by the text of /proc/net/netfilter/nfnetlink_queue. Pure.
std::optional<std::uint32_t> queue_owner_port(std::string_view proc_text, std::uint16_t queue);

/// The inode of the netlink socket to netfilter that has the port id, by the text of
/// /proc/net/netlink. Pure.
std::optional<unsigned long> socket_inode(std::string_view proc_text, std::uint32_t port_id);

}  // namespace ftpalg::rules
