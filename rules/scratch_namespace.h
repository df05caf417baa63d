// SPDX-License-Identifier: GPL-2.0-or-later
// A network namespace for the length of one call: what is done to the firewall in it is gone
// afterwards, and never was anywhere else.
#pragma once

#include <functional>
#include <string>
#include <tl/expected.hpp>

namespace ftpalg::rules {

/// Calls `work` on a thread of its own inside a new network namespace, and waits for it. An error,
/// and no call, where this process may not make one (CAP_SYS_ADMIN).
tl::expected<void, std::string> in_scratch_namespace(const std::function<void()>& work);

}  // namespace ftpalg::rules
