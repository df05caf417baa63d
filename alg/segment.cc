// SPDX-License-Identifier: GPL-2.0-or-later
#include "alg/segment.h"

#include <algorithm>

#include "alg/tcp_option.h"

namespace ftpalg {
namespace {

constexpr std::size_t ipv4_header_bytes_min = 20;
constexpr std::size_t ipv6_header_bytes = 40;
constexpr std::size_t tcp_header_bytes_min = 20;
constexpr std::uint8_t protocol_tcp = 6;

struct Located {
  std::size_t tcp_begin;
  std::size_t packet_bytes;
  Address source;
  Address destination;
};

std::optional<Located> locate_in_ipv4(wire::Bytes packet) {
  if (packet.size() < ipv4_header_bytes_min) return std::nullopt;
  const std::size_t header_bytes = std::size_t{packet[0] & 0x0fU} * 4;
  const std::size_t total_bytes = wire::read16(packet, 2);
  const bool fragmented = (wire::read16(packet, 6) & 0x3fff) != 0;  // more-fragments bit, offset
  if (header_bytes < ipv4_header_bytes_min || total_bytes < header_bytes ||
      total_bytes > packet.size() || fragmented || packet[9] != protocol_tcp) {
    return std::nullopt;
  }
  return Located{header_bytes, total_bytes, *Address::from_bytes(packet.subspan(12, 4)),
                 *Address::from_bytes(packet.subspan(16, 4))};
}

std::optional<Located> locate_in_ipv6(wire::Bytes packet) {
  if (packet.size() < ipv6_header_bytes) return std::nullopt;
  const std::size_t total_bytes = ipv6_header_bytes + wire::read16(packet, 4);
  if (total_bytes > packet.size()) return std::nullopt;

  constexpr std::uint8_t hop_by_hop = 0;
  constexpr std::uint8_t destination_options = 60;
  std::uint8_t next_header = packet[6];
  std::size_t at = ipv6_header_bytes;
  while (next_header == hop_by_hop || next_header == destination_options) {
    if (at + 8 > total_bytes) return std::nullopt;
    next_header = packet[at];
    at += (std::size_t{packet[at + 1]} + 1) * 8;
  }
  if (next_header != protocol_tcp || at > total_bytes) return std::nullopt;
  return Located{at, total_bytes, *Address::from_bytes(packet.subspan(8, 16)),
                 *Address::from_bytes(packet.subspan(24, 16))};
}

}  // namespace

std::optional<Segment> Segment::parse(wire::Bytes packet) {
  if (packet.empty()) return std::nullopt;
  const unsigned version = packet[0] >> 4;
  const auto located = version == 4   ? locate_in_ipv4(packet)
                       : version == 6 ? locate_in_ipv6(packet)
                                      : std::nullopt;
  if (!located || located->tcp_begin + tcp_header_bytes_min > located->packet_bytes) {
    return std::nullopt;
  }
  const std::size_t tcp = located->tcp_begin;
  const std::size_t header_bytes = std::size_t{packet[tcp + 12]} >> 4 << 2;
  if (header_bytes < tcp_header_bytes_min || tcp + header_bytes > located->packet_bytes) {
    return std::nullopt;
  }
  const Tuple tuple{{located->source, Port{wire::read16(packet, tcp)}},
                    {located->destination, Port{wire::read16(packet, tcp + 2)}}};
  return Segment(packet.first(located->packet_bytes), tcp, tcp + header_bytes, tuple);
}

std::optional<Timestamps> Segment::timestamps() const {
  std::optional<Timestamps> found;
  tcp_option::visit_all(options(), [&](wire::Bytes option) {
    if (option[0] == tcp_option::timestamps && option.size() == tcp_option::timestamps_bytes) {
      found = Timestamps{wire::read32(option, 2), wire::read32(option, 6)};
    }
  });
  return found;
}

void PacketBuilder::begin_like(const Segment& model) {
  const auto headers = model.headers();
  std::copy(headers.begin(), headers.end(), buffer_.begin());
  tcp_begin_ = model.tcp_begin();
  payload_begin_ = size_ = headers.size();
}

void PacketBuilder::begin_bare(const Tuple& tuple, Seq seq, Seq ack, std::uint16_t window,
                               const std::optional<Timestamps>& timestamps) {
  const wire::MutableBytes bytes{buffer_};
  const auto from = tuple.source.address.bytes();
  const auto to = tuple.destination.address.bytes();
  constexpr std::uint8_t hop_limit = 64;
  constexpr std::size_t header_bytes_max = ipv6_header_bytes + 60;
  std::fill_n(buffer_.begin(), header_bytes_max, std::uint8_t{0});

  std::size_t addresses_begin;
  if (tuple.source.address.family() == Family::ipv4) {
    tcp_begin_ = ipv4_header_bytes_min;
    addresses_begin = 12;
    buffer_[0] = 0x45;
    wire::write16(bytes, 6, 0x4000);  // do not fragment
    buffer_[8] = hop_limit;
    buffer_[9] = protocol_tcp;
  } else {
    tcp_begin_ = ipv6_header_bytes;
    addresses_begin = 8;
    buffer_[0] = 0x60;
    buffer_[6] = protocol_tcp;
    buffer_[7] = hop_limit;
  }
  std::copy(from.begin(), from.end(), buffer_.data() + addresses_begin);
  std::copy(to.begin(), to.end(), buffer_.data() + addresses_begin + from.size());

  const std::size_t option_bytes = timestamps ? 2 + tcp_option::timestamps_bytes : 0;
  payload_begin_ = size_ = tcp_begin_ + tcp_header_bytes_min + option_bytes;
  wire::write16(bytes, tcp_begin_, tuple.source.port.number);
  wire::write16(bytes, tcp_begin_ + 2, tuple.destination.port.number);
  set_seq(seq);
  set_ack(ack);
  buffer_[tcp_begin_ + 12] = static_cast<std::uint8_t>((size_ - tcp_begin_) / 4 << 4);
  buffer_[tcp_begin_ + 13] = Segment::ack_flag;
  wire::write16(bytes, tcp_begin_ + 14, window);
  if (timestamps) {
    const std::size_t at = tcp_begin_ + tcp_header_bytes_min;
    buffer_[at] = buffer_[at + 1] = tcp_option::no_operation;
    buffer_[at + 2] = tcp_option::timestamps;
    buffer_[at + 3] = tcp_option::timestamps_bytes;
    wire::write32(bytes, at + 4, timestamps->value);
    wire::write32(bytes, at + 8, timestamps->echo);
  }
}

bool PacketBuilder::append(wire::Bytes payload) {
  if (payload.size() > buffer_.size() - size_) return false;
  std::copy(payload.begin(), payload.end(), buffer_.data() + size_);
  size_ += payload.size();
  return true;
}

wire::Bytes PacketBuilder::finish() {
  const wire::MutableBytes packet = wire::MutableBytes{buffer_}.first(size_);
  const wire::MutableBytes tcp = packet.subspan(tcp_begin_);
  const bool is_ipv4 = packet[0] >> 4 == 4;
  wire::Bytes addresses;
  if (is_ipv4) {
    wire::write16(packet, 2, static_cast<std::uint16_t>(size_));
    wire::write16(packet, 10, 0);
    wire::write16(packet, 10,
                  wire::checksum_finish(wire::checksum_add(0, packet.first(tcp_begin_))));
    addresses = packet.subspan(12, 8);
  } else {
    wire::write16(packet, 4, static_cast<std::uint16_t>(size_ - ipv6_header_bytes));
    addresses = packet.subspan(8, 32);
  }
  // The pseudo header (RFC 9293, section 3.1): addresses, protocol, length.
  wire::write16(tcp, 16, 0);
  std::uint64_t sum = wire::checksum_add(0, addresses);
  sum += protocol_tcp;
  sum += tcp.size();
  wire::write16(tcp, 16, wire::checksum_finish(wire::checksum_add(sum, tcp)));
  return packet;
}

}  // namespace ftpalg
