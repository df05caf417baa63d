// SPDX-License-Identifier: GPL-2.0-or-later
#include "conntrack/netlink/queued_masters.h"

namespace ftpalg {

std::optional<Master> QueuedMasters::find(const Tuple& tuple) {
  if (packet_.connection.empty()) return ctnetlink_.find(tuple);
  auto master = master_of(packet_.connection, tuple.source.address.family());
  // The packet may be an error that is about a connection: its own addresses are others.
  if (!master || (master->original != tuple && master->reply != tuple)) return std::nullopt;
  return master;
}

}  // namespace ftpalg
