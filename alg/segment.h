// SPDX-License-Identifier: GPL-2.0-or-later
// A TCP segment inside an IP packet: a view that reads, and a packet that is built anew from one.
#pragma once

#include <array>
#include <optional>

#include "alg/tcp_seq.h"
#include "alg/wire.h"
#include "conntrack/tuple.h"

namespace ftpalg {

/// The timestamps option (RFC 7323, section 3.2).
struct Timestamps {
  std::uint32_t value = 0;
  std::uint32_t echo = 0;

  template <typename Fields, typename Self>
  static void visit(Fields& fields, Self& self) {
    fields(self.value, self.echo);
  }
};

/// Views the packet that it was parsed from, which must outlive it.
class Segment {
 public:
  static constexpr std::uint8_t fin_flag = 0x01;
  static constexpr std::uint8_t syn_flag = 0x02;
  static constexpr std::uint8_t rst_flag = 0x04;
  static constexpr std::uint8_t psh_flag = 0x08;
  static constexpr std::uint8_t ack_flag = 0x10;
  static constexpr std::uint8_t urg_flag = 0x20;

  /// Reads an IPv4 or IPv6 packet from its first header byte on. Nothing when it is not a whole,
  /// unfragmented TCP segment; bytes after the packet's own length (link padding) are left out.
  static std::optional<Segment> parse(wire::Bytes packet);

  const Tuple& tuple() const { return tuple_; }
  Seq seq() const { return {wire::read32(packet_, tcp_begin_ + 4)}; }
  Seq ack() const { return {wire::read32(packet_, tcp_begin_ + 8)}; }
  std::uint8_t flags() const { return packet_[tcp_begin_ + 13]; }
  std::uint16_t window() const { return wire::read16(packet_, tcp_begin_ + 14); }
  std::uint16_t urgent_pointer() const { return wire::read16(packet_, tcp_begin_ + 18); }
  bool has(std::uint8_t flag) const { return (flags() & flag) != 0; }

  wire::Bytes packet() const { return packet_; }
  wire::Bytes headers() const { return packet_.first(payload_begin_); }
  wire::Bytes options() const {
    return packet_.subspan(tcp_begin_ + 20, payload_begin_ - tcp_begin_ - 20);
  }
  wire::Bytes payload() const { return packet_.subspan(payload_begin_); }
  std::size_t tcp_begin() const { return tcp_begin_; }
  std::optional<Timestamps> timestamps() const;

  /// The number of the first payload byte: a SYN takes one number before it.
  Seq payload_seq() const { return seq() + (has(syn_flag) ? 1 : 0); }
  Seq payload_end() const { return payload_seq() + static_cast<std::int64_t>(payload().size()); }

 private:
  Segment(wire::Bytes packet, std::size_t tcp_begin, std::size_t payload_begin, const Tuple& tuple)
      : packet_(packet), tcp_begin_(tcp_begin), payload_begin_(payload_begin), tuple_(tuple) {}

  wire::Bytes packet_;
  std::size_t tcp_begin_;
  std::size_t payload_begin_;
  Tuple tuple_;
};

/// One outgoing packet under construction. It copies what it is given; what finish() returns is
/// valid until the next begin. Memory is fixed.
class PacketBuilder {
 public:
  static constexpr std::size_t packet_bytes_max = 65535;

  /// Takes over the headers of `model`, with TCP options, and no payload.
  void begin_like(const Segment& model);

  /// Headers of a segment of our own with the ACK flag, from `tuple.source` to `tuple.destination`.
  /// `window` is unscaled.
  void begin_bare(const Tuple& tuple, Seq seq, Seq ack, std::uint16_t window,
                  const std::optional<Timestamps>& timestamps);

  /// False when the packet would pass packet_bytes_max; nothing is added then.
  bool append(wire::Bytes payload);

  void set_seq(Seq seq) { wire::write32(buffer_, tcp_begin_ + 4, seq.number); }
  void set_ack(Seq ack) { wire::write32(buffer_, tcp_begin_ + 8, ack.number); }
  void set_urgent_pointer(std::uint16_t at) { wire::write16(buffer_, tcp_begin_ + 18, at); }
  void set_flag(std::uint8_t flag) {
    buffer_[tcp_begin_ + 13] = static_cast<std::uint8_t>(buffer_[tcp_begin_ + 13] | flag);
  }
  void clear_flag(std::uint8_t flag) {
    buffer_[tcp_begin_ + 13] = static_cast<std::uint8_t>(buffer_[tcp_begin_ + 13] & ~flag);
  }
  /// The TCP options, to be changed in place.
  wire::MutableBytes options() {
    return wire::MutableBytes{buffer_}.subspan(tcp_begin_ + 20, payload_begin_ - tcp_begin_ - 20);
  }

  std::size_t header_bytes() const { return payload_begin_; }

  /// Writes lengths and checksums, and returns the packet.
  wire::Bytes finish();

 private:
  std::array<std::uint8_t, packet_bytes_max> buffer_;
  std::size_t tcp_begin_ = 0;
  std::size_t payload_begin_ = 0;
  std::size_t size_ = 0;
};

}  // namespace ftpalg
