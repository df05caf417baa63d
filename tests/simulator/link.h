// SPDX-License-Identifier: GPL-2.0-or-later
// One direction of a network: loses, repeats, reorders, delays, cuts and joins segments, and does
// not take packets that are too large for it.
#pragma once

#include "agenda.h"
#include "figures.h"
#include "packet.h"
#include "random.h"

namespace ftpalg::simulator {

/// How a link treats packets; chances are per mille.
struct Weather {
  Time delay{};
  std::uint32_t jitter_ms = 0;
  std::uint32_t loss = 0;
  std::uint32_t repeats = 0;
  std::uint32_t reorders = 0;
  std::uint32_t cuts = 0;
  std::uint32_t joins = 0;
  std::size_t joined_bytes_max = 3000;
  /// From then on nothing is lost, so that every session comes to its end.
  Time calm_from{};
};

class Link {
 public:
  /// Packets of more than `mtu` bytes are lost.
  Link(std::uint8_t place, const Weather& weather, std::size_t mtu, std::uint64_t seed,
       Agenda& agenda, PacketPool& pool, Figures& figures)
      : place_(place),
        weather_(weather),
        mtu_(mtu),
        random_(seed),
        agenda_(agenda),
        pool_(pool),
        figures_(figures) {}

  enum class Result : std::uint8_t { sent, too_large };
  /// Copies `packet`; it arrives later, as an event of this link's place, or never. One that was
  /// joined leaves in segments of `segment_bytes`, as they came.
  Result send(wire::Bytes packet, std::size_t segment_bytes, Time now);
  /// To be told when a packet has arrived: nothing can be joined to it any more.
  void note_arrival(std::uint32_t id) {
    if (last_ == id) last_ = none;
  }

 private:
  static constexpr std::uint32_t none = ~0U;

  Result send_one(wire::Bytes packet, Time now);
  void write_part(const Segment& segment, std::size_t begin, std::size_t end);
  void send_whole(wire::Bytes packet, Time now);
  void put(wire::Bytes packet, Time now);
  bool join(wire::Bytes packet);

  std::uint8_t place_;
  Weather weather_;
  std::size_t mtu_;
  Random random_;
  Agenda& agenda_;
  PacketPool& pool_;
  PacketBytes segment_;
  PacketBytes part_;
  Time last_arrival_{};
  std::uint32_t last_ = none;  // the packet that was put last, while it is under way
  Figures& figures_;
};

}  // namespace ftpalg::simulator
