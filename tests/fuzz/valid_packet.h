// SPDX-License-Identifier: GPL-2.0-or-later
// What every packet that the engine makes must be: whole, and with right checksums.
#pragma once

#include "alg/segment.h"
#include "input.h"

namespace ftpalg::fuzz {

/// The segment in `packet`, after all that can be said of it has been required.
inline Segment require_valid(wire::Bytes packet) {
  const auto segment = Segment::parse(packet);
  require(segment.has_value(), "a packet that is given out can be parsed");
  require(segment->packet().size() == packet.size(), "its length is what its header says");
  const bool is_ipv4 = packet[0] >> 4 == 4;
  const wire::Bytes tcp = packet.subspan(segment->tcp_begin());
  if (is_ipv4) {
    const wire::Bytes header = packet.first(segment->tcp_begin());
    require(wire::checksum_finish(wire::checksum_add(0, header)) == 0, "IPv4 checksum");
  }
  constexpr std::uint8_t protocol_tcp = 6;
  std::uint64_t sum =
      wire::checksum_add(0, is_ipv4 ? packet.subspan(12, 8) : packet.subspan(8, 32));
  sum += protocol_tcp;
  sum += tcp.size();
  require(wire::checksum_finish(wire::checksum_add(sum, tcp)) == 0, "TCP checksum");
  return *segment;
}

}  // namespace ftpalg::fuzz
