// SPDX-License-Identifier: GPL-2.0-or-later
#include "tools/packet_header.h"

#include <algorithm>
#include <array>

namespace ftpalg::tools {
namespace {

constexpr std::size_t ipv4_checksum_at = 10;
constexpr std::uint8_t option_end = 0;
constexpr std::uint8_t option_nop = 1;
constexpr std::uint8_t option_sack = 5;
constexpr std::size_t sack_block_bytes = 8;

std::array<std::uint8_t, 2> bytes_of(std::uint16_t value) {
  std::array<std::uint8_t, 2> bytes{};
  wire::write16(bytes, 0, value);
  return bytes;
}

std::array<std::uint8_t, 4> bytes_of(std::uint32_t value) {
  std::array<std::uint8_t, 4> bytes{};
  wire::write32(bytes, 0, value);
  return bytes;
}

}  // namespace

void PacketHeader::replace(std::size_t at, wire::Bytes bytes, Covered covered) {
  // HC' = ~(~HC + ~m + m'), byte by byte: a byte's weight hangs on its place, and all headers begin
  // at even ones.
  std::uint64_t change = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const unsigned shift = (at + i) % 2 == 0 ? 8 : 0;
    const std::uint32_t old_word = std::uint32_t{packet_[at + i]} << shift;
    const std::uint32_t new_word = std::uint32_t{bytes[i]} << shift;
    change += (0xffff - old_word) + new_word;
  }
  const auto follow = [&](std::size_t checksum_at) {
    const std::uint32_t old_sum = 0xffffU - wire::read16(packet_, checksum_at);
    wire::write16(packet_, checksum_at, wire::checksum_finish(old_sum + change));
  };
  follow(tcp_begin_ + 16);
  if (covered == Covered::ip_and_tcp && packet_[0] >> 4 == 4) follow(ipv4_checksum_at);
  std::copy(bytes.begin(), bytes.end(), packet_.begin() + static_cast<std::ptrdiff_t>(at));
}

void PacketHeader::set_tuple(const Tuple& tuple) {
  const std::size_t source_at = packet_[0] >> 4 == 4 ? 12 : 8;
  replace(source_at, tuple.source.address.bytes(), Covered::ip_and_tcp);
  replace(source_at + tuple.source.address.size(), tuple.destination.address.bytes(),
          Covered::ip_and_tcp);
  replace(tcp_begin_, bytes_of(tuple.source.port.number), Covered::tcp);
  replace(tcp_begin_ + 2, bytes_of(tuple.destination.port.number), Covered::tcp);
}

void PacketHeader::set_seq(Seq seq) {
  replace(tcp_begin_ + 4, bytes_of(seq.number), Covered::tcp);
}
void PacketHeader::set_ack(Seq ack) {
  replace(tcp_begin_ + 8, bytes_of(ack.number), Covered::tcp);
}

void PacketHeader::set_flags(std::uint8_t flags) {
  replace(tcp_begin_ + 13, {&flags, 1}, Covered::tcp);
}

void PacketHeader::forward_sack_blocks(const SeqMap& map) {
  const std::size_t header_bytes = std::size_t{packet_[tcp_begin_ + 12]} / 16 * 4;
  const std::size_t end = std::min(tcp_begin_ + header_bytes, packet_.size());
  std::size_t at = tcp_begin_ + 20;
  while (at < end && packet_[at] != option_end) {
    if (packet_[at] == option_nop) {
      ++at;
      continue;
    }
    const std::size_t length = at + 1 < end ? packet_[at + 1] : 0;
    if (length < 2 || at + length > end) return;
    if (packet_[at] == option_sack) forward_sack_option(at, map);
    at += length;
  }
}

void PacketHeader::forward_sack_option(std::size_t at, const SeqMap& map) {
  std::array<std::uint8_t, 255> forwarded{};
  forwarded.fill(option_nop);
  const std::size_t length = packet_[at + 1];
  std::size_t written = 2;
  for (std::size_t block_at = 2; block_at + sack_block_bytes <= length;
       block_at += sack_block_bytes) {
    const auto block = map.forward_sack(
        {{wire::read32(packet_, at + block_at)}, {wire::read32(packet_, at + block_at + 4)}});
    if (!block) continue;
    wire::write32(forwarded, written, block->left.number);
    wire::write32(forwarded, written + 4, block->right.number);
    written += sack_block_bytes;
  }
  if (written > 2) {
    forwarded[0] = option_sack;
    forwarded[1] = static_cast<std::uint8_t>(written);
  }
  replace(at, wire::Bytes{forwarded}.first(length), Covered::tcp);
}

}  // namespace ftpalg::tools
