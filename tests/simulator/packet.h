// SPDX-License-Identifier: GPL-2.0-or-later
// Packets under way: made, verified, described, and kept in a pool that allocates only while it
// grows.
#pragma once

#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "alg/sack_option.h"
#include "alg/segment.h"

namespace ftpalg::simulator {

using PacketBytes = std::vector<std::uint8_t>;

/// What an endpoint says in a segment.
struct Header {
  Seq seq;
  Seq ack;
  std::uint8_t flags = 0;
  std::uint16_t window = 0;
  std::uint16_t urgent_pointer = 0;
  std::uint16_t mss = 0;        ///< announced when not 0
  bool sack_permitted = false;  ///< announced
  bool timestamps = false;
  std::uint32_t timestamp = 0;
  std::uint32_t timestamp_echo = 0;
  std::array<SackBlock, 3> sack{};
  std::size_t sack_count = 0;
};

/// Writes a whole packet with right checksums into `packet`.
void make_packet(const Tuple& tuple, const Header& header, std::string_view payload,
                 PacketBytes& packet);

/// Writes the lengths and checksums of a packet whose content was changed in place.
void seal(PacketBytes& packet);

bool checksums_are_right(wire::Bytes packet);

/// The SACK blocks of `options`; at most as many as fit.
std::size_t read_sack(wire::Bytes options, std::array<SackBlock, 4>& blocks);
/// The value of an option of 4 bytes, as MSS is, or 0.
std::uint16_t read_mss(wire::Bytes options);
bool has_option(wire::Bytes options, std::uint8_t kind);

/// "seq 17+23 ack 5 PA win 500 'PASV\r\n'"; numbers count from `base` and `ack_base`.
std::string describe(wire::Bytes packet, Seq base, Seq ack_base);
std::string escaped(std::string_view text);

/// What is under way as one: a packet, or several that an offload has joined (GRO).
struct Shipment {
  PacketBytes packet;
  std::size_t segment_bytes = 0;  ///< the most payload of one of the joined; 0: none was
};

class PacketPool {
 public:
  std::uint32_t take();
  void give_back(std::uint32_t id) { free_.push_back(id); }
  Shipment& at(std::uint32_t id) { return packets_[id]; }
  void give_back_all();

 private:
  std::deque<Shipment> packets_;  // a deque: packets stay where they are
  std::vector<std::uint32_t> free_;
};

}  // namespace ftpalg::simulator
