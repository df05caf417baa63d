// SPDX-License-Identifier: GPL-2.0-or-later
// The addresses of this machine's own interfaces.
#pragma once

#include <vector>

#include "conntrack/address.h"

namespace ftpalg::tools {

/// All of them, in the network namespace of this process. Empty when the kernel does not tell.
std::vector<Address> own_addresses();

}  // namespace ftpalg::tools
