// SPDX-License-Identifier: GPL-2.0-or-later
#include "link.h"

#include <algorithm>

namespace ftpalg::simulator {
namespace {

constexpr std::uint8_t plain_flags =
    Segment::ack_flag | Segment::psh_flag;  // what cutting and joining understand

}  // namespace

Link::Result Link::send(wire::Bytes packet, std::size_t segment_bytes, Time now) {
  const auto segment = Segment::parse(packet);
  const std::size_t payload_bytes = segment ? segment->payload().size() : 0;
  if (segment_bytes == 0 || payload_bytes <= segment_bytes) return send_one(packet, now);
  Result result = Result::sent;
  for (std::size_t begin = 0; begin < payload_bytes; begin += segment_bytes) {
    write_part(*segment, begin, std::min(begin + segment_bytes, payload_bytes));
    segment_.swap(part_);
    if (send_one(segment_, now) == Result::too_large) result = Result::too_large;
  }
  return result;
}

/// Writes the payload bytes [begin, end) of `segment` as a segment of their own.
void Link::write_part(const Segment& segment, std::size_t begin, std::size_t end) {
  const std::size_t tcp = segment.tcp_begin();
  const auto headers = segment.headers();
  const auto payload = segment.payload().subspan(begin, end - begin);
  part_.assign(headers.begin(), headers.end());
  part_.insert(part_.end(), payload.begin(), payload.end());
  if (end < segment.payload().size()) {
    part_[tcp + 13] = static_cast<std::uint8_t>(part_[tcp + 13] & ~Segment::fin_flag);
  }
  if (segment.has(Segment::urg_flag)) {
    const bool is_before_end = begin < segment.urgent_pointer();
    const std::size_t rest = is_before_end ? segment.urgent_pointer() - begin : 0;
    wire::write16(part_, tcp + 18, static_cast<std::uint16_t>(rest));
    if (!is_before_end) {
      part_[tcp + 13] = static_cast<std::uint8_t>(part_[tcp + 13] & ~Segment::urg_flag);
    }
  }
  const Seq seq = segment.seq() + static_cast<std::int64_t>(begin);
  wire::write32(part_, tcp + 4, seq.number);
  seal(part_);
}

Link::Result Link::send_one(wire::Bytes packet, Time now) {
  ++figures_.packets;
  if (packet.size() > mtu_) {
    ++figures_.too_large;
    return Result::too_large;
  }
  const bool calm = now >= weather_.calm_from;
  if (!calm && random_.chance(weather_.loss)) {
    ++figures_.lost;
    return Result::sent;
  }
  const auto segment = Segment::parse(packet);
  const std::size_t payload_bytes = segment ? segment->payload().size() : 0;
  const bool can_cut =
      payload_bytes >= 2 && (segment->flags() & ~(plain_flags | Segment::fin_flag)) == 0;
  if (!can_cut || !random_.chance(weather_.cuts)) {
    send_whole(packet, now);
    return Result::sent;
  }
  ++figures_.cut;
  const std::size_t cut = random_.between(1, static_cast<std::uint32_t>(payload_bytes) - 1);
  write_part(*segment, 0, cut);
  send_whole(part_, now);
  write_part(*segment, cut, payload_bytes);
  send_whole(part_, now);
  return Result::sent;
}

void Link::send_whole(wire::Bytes packet, Time now) {
  put(packet, now);
  if (random_.chance(weather_.repeats)) {
    ++figures_.repeated;
    put(packet, now);
  }
}

void Link::put(wire::Bytes packet, Time now) {
  if (random_.chance(weather_.joins) && join(packet)) {
    ++figures_.joined;
    return;
  }
  Time arrival = now + weather_.delay;
  if (weather_.jitter_ms > 0) {
    arrival += std::chrono::milliseconds{random_.below(weather_.jitter_ms)};
  }
  const bool overtaken = random_.chance(weather_.reorders);
  if (overtaken) {
    ++figures_.reordered;
    constexpr std::uint32_t short_ms = 40;
    constexpr std::uint32_t long_ms = 3000;
    arrival += std::chrono::milliseconds{random_.below(random_.chance(100) ? long_ms : short_ms)};
  } else {
    last_arrival_ = arrival = std::max(arrival, last_arrival_);
  }
  const std::uint32_t id = pool_.take();
  pool_.at(id).packet.assign(packet.begin(), packet.end());
  pool_.at(id).segment_bytes = 0;
  agenda_.plan(arrival, Event::Kind::arrival, place_, id);
  last_ = overtaken ? none : id;
}

/// Appends the payload of `packet` to the one before it, as receive offload does, when it follows
/// directly and says nothing new otherwise.
bool Link::join(wire::Bytes packet) {
  if (last_ == none) return false;
  auto& [before, segment_bytes] = pool_.at(last_);
  const auto first = Segment::parse(before);
  const auto second = Segment::parse(packet);
  if (!first || !second || first->payload().empty() || second->payload().empty() ||
      (first->flags() & ~plain_flags) != 0 || (second->flags() & ~plain_flags) != 0 ||
      first->payload_end() != second->seq() || first->ack() != second->ack() ||
      first->options().size() != second->options().size() ||
      before.size() + second->payload().size() > weather_.joined_bytes_max) {
    return false;
  }
  const auto more = second->payload();
  if (segment_bytes == 0) segment_bytes = first->payload().size();
  segment_bytes = std::max(segment_bytes, more.size());
  before.insert(before.end(), more.begin(), more.end());
  seal(before);
  if (before.size() > figures_.largest_packet) figures_.largest_packet = before.size();
  return true;
}

}  // namespace ftpalg::simulator
