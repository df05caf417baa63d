// SPDX-License-Identifier: GPL-2.0-or-later
#include "link.h"

#include <algorithm>

namespace ftpalg::simulator {
namespace {

constexpr std::uint8_t plain_flags =
    Segment::ack_flag | Segment::psh_flag;  // what cutting and joining understand
constexpr std::size_t joined_bytes_max = 3000;

}  // namespace

void Link::send(wire::Bytes packet, Time now) {
  ++figures_.packets;
  const bool calm = now >= weather_.calm_from;
  if (!calm && random_.chance(weather_.loss)) {
    ++figures_.lost;
    return;
  }
  const auto segment = Segment::parse(packet);
  const std::size_t payload_bytes = segment ? segment->payload().size() : 0;
  const bool can_cut =
      payload_bytes >= 2 && (segment->flags() & ~(plain_flags | Segment::fin_flag)) == 0;
  if (!can_cut || !random_.chance(weather_.cuts)) {
    send_whole(packet, now);
    return;
  }
  ++figures_.cut;
  const auto first = random_.between(1, static_cast<std::uint32_t>(payload_bytes) - 1);
  const std::size_t tcp = segment->tcp_begin();
  const auto headers = segment->headers();
  for (const bool is_first : {true, false}) {
    const auto part =
        is_first ? segment->payload().first(first) : segment->payload().subspan(first);
    scratch_.assign(headers.begin(), headers.end());
    scratch_.insert(scratch_.end(), part.begin(), part.end());
    if (is_first) {
      scratch_[tcp + 13] = static_cast<std::uint8_t>(scratch_[tcp + 13] & ~Segment::fin_flag);
    } else {
      wire::write32(scratch_, tcp + 4, (segment->seq() + first).number);
    }
    seal(scratch_);
    send_whole(scratch_, now);
  }
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
  pool_.at(id).assign(packet.begin(), packet.end());
  agenda_.plan(arrival, Event::Kind::arrival, place_, id);
  last_ = overtaken ? none : id;
}

/// Appends the payload of `packet` to the one before it, as receive offload does, when it follows
/// directly and says nothing new otherwise.
bool Link::join(wire::Bytes packet) {
  if (last_ == none) return false;
  PacketBytes& before = pool_.at(last_);
  const auto first = Segment::parse(before);
  const auto second = Segment::parse(packet);
  if (!first || !second || first->payload().empty() || second->payload().empty() ||
      (first->flags() & ~plain_flags) != 0 || (second->flags() & ~plain_flags) != 0 ||
      first->payload_end() != second->seq() || first->ack() != second->ack() ||
      first->options().size() != second->options().size() ||
      before.size() + second->payload().size() > joined_bytes_max) {
    return false;
  }
  const auto more = second->payload();
  before.insert(before.end(), more.begin(), more.end());
  seal(before);
  return true;
}

}  // namespace ftpalg::simulator
