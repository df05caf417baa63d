// SPDX-License-Identifier: GPL-2.0-or-later
// What this process may do.
#pragma once

namespace ftpalg::rules {

struct Privileges {
  bool net_admin = false;  ///< CAP_NET_ADMIN: firewall, conntrack, queues
  bool net_raw = false;    ///< CAP_NET_RAW: raw sockets
};

Privileges effective_privileges();

}  // namespace ftpalg::rules
