// SPDX-License-Identifier: GPL-2.0-or-later
// The masters of queued packets: where the kernel tells of a packet's connection with the packet
// itself (NFQA_CT), it is found in whatever zone it is, and nobody asks conntrack for one that
// begins.
#pragma once

#include <functional>

#include "conntrack/netlink/ctnetlink.h"
#include "conntrack/netlink/packet_queue.h"

namespace ftpalg {

class QueuedMasters final : public Masters {
 public:
  /// `ctnetlink` outlives this.
  explicit QueuedMasters(Ctnetlink& ctnetlink) : ctnetlink_(ctnetlink) {}

  /// From now on find() is asked about this packet. It is looked at only then.
  void note(const QueuedPacket& packet) { packet_ = packet; }

  /// Called with each offset before it is set, on account of which packet.
  using BeforeOffset = std::function<void(std::uint32_t packet_id, const Master& master,
                                          Direction direction, const SequenceOffset& offset)>;
  void tell_of_offsets(BeforeOffset before_offset) { before_offset_ = std::move(before_offset); }

  std::optional<Master> find(const Tuple& tuple) override;
  OffsetResult set_offset(const Master& master, Direction direction,
                          const SequenceOffset& offset) override {
    if (before_offset_) before_offset_(packet_.id, master, direction, offset);
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
  BeforeOffset before_offset_;
};

}  // namespace ftpalg
