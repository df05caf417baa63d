// SPDX-License-Identifier: GPL-2.0-or-later
#include "packet.h"

#include <fmt/format.h>

#include <algorithm>

namespace ftpalg::simulator {
namespace {

constexpr std::uint8_t option_end = 0;
constexpr std::uint8_t option_nop = 1;
constexpr std::uint8_t option_mss = 2;
constexpr std::uint8_t option_sack_permitted = 4;
constexpr std::uint8_t option_sack = 5;
constexpr std::uint8_t option_timestamps = 8;
constexpr std::uint8_t protocol_tcp = 6;

/// Calls `visit` with each option, until it returns false.
template <typename Visit>
void visit_options(wire::Bytes options, Visit visit) {
  std::size_t at = 0;
  while (at < options.size() && options[at] != option_end) {
    if (options[at] == option_nop) {
      ++at;
      continue;
    }
    if (at + 1 >= options.size()) return;
    const std::size_t length = options[at + 1];
    if (length < 2 || at + length > options.size()) return;
    if (!visit(options.subspan(at, length))) return;
    at += length;
  }
}

struct Layout {
  std::size_t tcp_begin;
  wire::Bytes addresses;
};

Layout layout_of(wire::Bytes packet) {
  const bool is_ipv4 = packet[0] >> 4 == 4;
  return is_ipv4 ? Layout{20, packet.subspan(12, 8)} : Layout{40, packet.subspan(8, 32)};
}

std::uint16_t tcp_checksum(wire::Bytes packet) {
  const Layout layout = layout_of(packet);
  const wire::Bytes tcp = packet.subspan(layout.tcp_begin);
  const std::uint64_t sum = wire::checksum_add(0, layout.addresses) + protocol_tcp + tcp.size();
  return wire::checksum_finish(wire::checksum_add(sum, tcp));
}

std::size_t write_options(const Header& header, std::array<std::uint8_t, 40>& options) {
  std::size_t size = 0;
  const wire::MutableBytes bytes{options};
  const auto put = [&](std::uint8_t byte) { options[size++] = byte; };
  if (header.mss != 0) {
    put(option_mss);
    put(4);
    wire::write16(bytes, size, header.mss);
    size += 2;
  }
  if (header.sack_permitted) {
    for (const std::uint8_t byte : {option_nop, option_nop, option_sack_permitted}) put(byte);
    put(2);
  }
  if (header.timestamps) {
    for (const std::uint8_t byte : {option_nop, option_nop, option_timestamps}) put(byte);
    put(10);
    wire::write32(bytes, size, header.timestamp);
    wire::write32(bytes, size + 4, header.timestamp_echo);
    size += 8;
  }
  if (header.sack_count > 0) {
    for (const std::uint8_t byte : {option_nop, option_nop, option_sack}) put(byte);
    put(static_cast<std::uint8_t>(2 + 8 * header.sack_count));
    for (std::size_t i = 0; i < header.sack_count; ++i, size += 8) {
      wire::write32(bytes, size, header.sack[i].left.number);
      wire::write32(bytes, size + 4, header.sack[i].right.number);
    }
  }
  return size;
}

}  // namespace

void make_packet(const Tuple& tuple, const Header& header, std::string_view payload,
                 PacketBytes& packet) {
  std::array<std::uint8_t, 40> options{};
  const std::size_t option_bytes = write_options(header, options);
  const bool is_ipv4 = tuple.source.address.family() == Family::ipv4;
  const std::size_t tcp = is_ipv4 ? 20 : 40;
  packet.assign(tcp + 20 + option_bytes, 0);
  const wire::MutableBytes bytes{packet};
  const auto source = tuple.source.address.bytes();
  const auto destination = tuple.destination.address.bytes();
  constexpr std::uint8_t hop_limit = 64;
  if (is_ipv4) {
    packet[0] = 0x45;
    packet[6] = 0x40;  // do not fragment
    packet[8] = hop_limit;
    packet[9] = protocol_tcp;
  } else {
    packet[0] = 0x60;
    packet[6] = protocol_tcp;
    packet[7] = hop_limit;
  }
  const auto addresses = packet.begin() + (is_ipv4 ? 12 : 8);
  std::copy(destination.begin(), destination.end(),
            std::copy(source.begin(), source.end(), addresses));
  wire::write16(bytes, tcp, tuple.source.port.number);
  wire::write16(bytes, tcp + 2, tuple.destination.port.number);
  wire::write32(bytes, tcp + 4, header.seq.number);
  wire::write32(bytes, tcp + 8, header.ack.number);
  packet[tcp + 12] = static_cast<std::uint8_t>((20 + option_bytes) / 4 << 4);
  packet[tcp + 13] = header.flags;
  wire::write16(bytes, tcp + 14, header.window);
  wire::write16(bytes, tcp + 18, header.urgent_pointer);
  std::copy_n(options.begin(), option_bytes,
              packet.begin() + static_cast<std::ptrdiff_t>(tcp + 20));
  packet.insert(packet.end(), payload.begin(), payload.end());
  seal(packet);
}

void seal(PacketBytes& packet) {
  const wire::MutableBytes bytes{packet};
  const std::size_t tcp = layout_of(packet).tcp_begin;
  if (tcp == 20) {
    wire::write16(bytes, 2, static_cast<std::uint16_t>(packet.size()));
    wire::write16(bytes, 10, 0);
    wire::write16(bytes, 10, wire::checksum_finish(wire::checksum_add(0, bytes.first(20))));
  } else {
    wire::write16(bytes, 4, static_cast<std::uint16_t>(packet.size() - 40));
  }
  wire::write16(bytes, tcp + 16, 0);
  wire::write16(bytes, tcp + 16, tcp_checksum(packet));
}

bool checksums_are_right(wire::Bytes packet) {
  const bool ip_is_right =
      packet[0] >> 4 != 4 || wire::checksum_finish(wire::checksum_add(0, packet.first(20))) == 0;
  return ip_is_right && tcp_checksum(packet) == 0;
}

std::size_t read_sack(wire::Bytes options, std::array<SackBlock, 4>& blocks) {
  std::size_t count = 0;
  visit_options(options, [&](wire::Bytes option) {
    if (option[0] != option_sack) return true;
    for (std::size_t at = 2; at + 8 <= option.size() && count < blocks.size(); at += 8) {
      blocks[count++] = {{wire::read32(option, at)}, {wire::read32(option, at + 4)}};
    }
    return false;
  });
  return count;
}

std::uint16_t read_mss(wire::Bytes options) {
  std::uint16_t mss = 0;
  visit_options(options, [&](wire::Bytes option) {
    if (option[0] != option_mss || option.size() != 4) return true;
    mss = wire::read16(option, 2);
    return false;
  });
  return mss;
}

bool has_option(wire::Bytes options, std::uint8_t kind) {
  bool found = false;
  visit_options(options, [&](wire::Bytes option) { return !(found = option[0] == kind); });
  return found;
}

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\r') {
      out += "\\r";
    } else if (c == '\n') {
      out += "\\n";
    } else if (c < ' ' || c > '~') {
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    } else {
      out += c;
    }
  }
  return out;
}

std::string describe(wire::Bytes packet, Seq base, Seq ack_base) {
  const auto segment = Segment::parse(packet);
  if (!segment) return "no segment";
  std::string flags;
  constexpr std::string_view letters = "FSRPAU";
  for (std::size_t bit = 0; bit < letters.size(); ++bit) {
    if (segment->has(static_cast<std::uint8_t>(1U << bit))) flags += letters[bit];
  }
  const auto payload = segment->payload();
  std::string text =
      fmt::format("seq {}+{} ack {} {} win {}", segment->seq() - base, payload.size(),
                  segment->ack() - ack_base, flags, segment->window());
  std::array<SackBlock, 4> blocks;
  const std::size_t count = read_sack(segment->options(), blocks);
  for (std::size_t i = 0; i < count; ++i) {
    text += fmt::format(" sack {}-{}", blocks[i].left - ack_base, blocks[i].right - ack_base);
  }
  if (segment->has(Segment::urg_flag)) text += fmt::format(" urg {}", segment->urgent_pointer());
  if (!payload.empty()) {
    text += fmt::format(" '{}'",
                        escaped({reinterpret_cast<const char*>(payload.data()), payload.size()}));
  }
  return text;
}

std::uint32_t PacketPool::take() {
  if (free_.empty()) {
    packets_.emplace_back();
    return static_cast<std::uint32_t>(packets_.size() - 1);
  }
  const std::uint32_t id = free_.back();
  free_.pop_back();
  return id;
}

void PacketPool::give_back_all() {
  free_.clear();
  for (std::uint32_t id = 0; id < packets_.size(); ++id) free_.push_back(id);
}

}  // namespace ftpalg::simulator
