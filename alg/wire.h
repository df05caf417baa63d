// SPDX-License-Identifier: GPL-2.0-or-later
// Numbers in network byte order, and the Internet checksum.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace ftpalg::wire {

using Bytes = std::span<const std::uint8_t>;
using MutableBytes = std::span<std::uint8_t>;

/// The caller has checked that `at` and the bytes after it lie inside.
constexpr std::uint16_t read16(Bytes bytes, std::size_t at) {
  return static_cast<std::uint16_t>(bytes[at] << 8 | bytes[at + 1]);
}

constexpr std::uint32_t read32(Bytes bytes, std::size_t at) {
  return std::uint32_t{read16(bytes, at)} << 16 | read16(bytes, at + 2);
}

constexpr void write16(MutableBytes bytes, std::size_t at, std::uint16_t value) {
  bytes[at] = static_cast<std::uint8_t>(value >> 8);
  bytes[at + 1] = static_cast<std::uint8_t>(value & 0xff);
}

constexpr void write32(MutableBytes bytes, std::size_t at, std::uint32_t value) {
  write16(bytes, at, static_cast<std::uint16_t>(value >> 16));
  write16(bytes, at + 2, static_cast<std::uint16_t>(value & 0xffff));
}

/// One's complement sum of 16-bit words (RFC 1071), to be continued over several pieces. Each piece
/// but the last must have an even length.
constexpr std::uint64_t checksum_add(std::uint64_t sum, Bytes bytes) {
  std::size_t at = 0;
  for (; at + 1 < bytes.size(); at += 2) sum += read16(bytes, at);
  if (at < bytes.size()) sum += std::uint64_t{bytes[at]} << 8;
  return sum;
}

constexpr std::uint16_t checksum_finish(std::uint64_t sum) {
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum & 0xffff);
}

}  // namespace ftpalg::wire
