// SPDX-License-Identifier: GPL-2.0-or-later
// A directory that nobody else sees and that is gone with this process, whatever ends it.
#pragma once

#include <string>
#include <tl/expected.hpp>

namespace ftpalg::tools {

/// Gives this process, and what it starts from now on, an empty directory in memory, and returns
/// its path. It covers /run in a mount namespace of its own: whatever programs leave there, such
/// as the lock of iptables, vanishes too. Needs CAP_SYS_ADMIN, and a process of one thread.
tl::expected<std::string, std::string> make_vanishing_directory();

}  // namespace ftpalg::tools
