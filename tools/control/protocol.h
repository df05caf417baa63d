// SPDX-License-Identifier: GPL-2.0-or-later
// The control protocol's version (PROTOCOL.md).
#pragma once

namespace ftpalg::tools {

inline constexpr int protocol_version = 1;

}  // namespace ftpalg::tools
