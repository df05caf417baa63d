// SPDX-License-Identifier: GPL-2.0-or-later
#include "conntrack/netlink/queued_masters.h"

namespace ftpalg {

std::optional<Master> QueuedMasters::find(const Tuple& tuple) {
  if (packet_.connection.empty()) return ctnetlink_.find(tuple);
  const auto queued = master_of(packet_.connection, tuple.source.address.family());
  if (!queued) return std::nullopt;
  const Master& master = queued->master;
  // Where others' rules queue the packet, NAT may have changed its addresses already.
  if (master.original != tuple && master.reply != tuple) return std::nullopt;
  // Since the packet was queued its mark or offsets may have been set, on account of those before.
  if (queued->is_assured) return ctnetlink_.find(master.original, master.zone);
  return master;
}

}  // namespace ftpalg
