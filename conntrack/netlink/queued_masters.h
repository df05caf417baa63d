// SPDX-License-Identifier: GPL-2.0-or-later
// The masters of queued packets: where the kernel tells of a packet's connection with the packet
// itself (NFQA_CT), it is found in whatever zone it is, and nobody asks conntrack for one that
// begins.
#pragma once

#include "conntrack/netlink/ctnetlink.h"
#include "conntrack/netlink/packet_queue.h"

namespace ftpalg {

class QueuedMasters final : public Masters {
 public:
  /// `ctnetlink` outlives this.
  explicit QueuedMasters(Ctnetlink& ctnetlink) : ctnetlink_(ctnetlink) {}

  /// From now on find() is asked about this packet. It is looked at only then.
  void note(const QueuedPacket& packet) { packet_ = packet; }

  std::optional<Master> find(const Tuple& tuple) override;
  OffsetResult set_offset(const Master& master, Direction direction,
                          const SequenceOffset& offset) override {
    return ctnetlink_.set_offset(master, direction, offset);
  }
  MarkResult set_mark(const Master& master, std::uint32_t bits) override {
    return ctnetlink_.set_mark(master, bits);
  }
  std::optional<std::chrono::seconds> keep(const Master& master,
                                           std::chrono::seconds at_least) override {
    return ctnetlink_.keep(master, at_least);
  }

 private:
  Ctnetlink& ctnetlink_;
  QueuedPacket packet_;
};

}  // namespace ftpalg
