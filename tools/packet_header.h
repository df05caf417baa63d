// SPDX-License-Identifier: GPL-2.0-or-later
// Changes to the headers of a TCP packet, in place, as NAT makes them. Checksums follow by what has
// changed (RFC 1624) and not by what they ought to be: a checksum that was wrong stays wrong, and
// the payload need not be there.
#pragma once

#include "alg/segment.h"
#include "alg/seq_map.h"

namespace ftpalg::tools {

/// A packet whose headers are to be changed. It must be one that Segment::parse takes, and outlive
/// this.
class PacketHeader {
 public:
  PacketHeader(wire::MutableBytes packet, std::size_t tcp_begin)
      : packet_(packet), tcp_begin_(tcp_begin) {}

  /// Addresses and ports, of the packet's own family.
  void set_tuple(const Tuple& tuple);
  void set_seq(Seq seq);
  void set_ack(Seq ack);
  void set_flags(std::uint8_t flags);
  /// SACK blocks that count in the numbering of the sender that `map` is for, told in the
  /// receiver's: what shift_sack_blocks (alg/sack_option.h) turns back.
  void forward_sack_blocks(const SeqMap& map);

 private:
  enum class Covered : std::uint8_t { tcp, ip_and_tcp };
  void replace(std::size_t at, wire::Bytes bytes, Covered covered);
  void forward_sack_option(std::size_t at, const SeqMap& map);

  wire::MutableBytes packet_;
  std::size_t tcp_begin_;
};

}  // namespace ftpalg::tools
