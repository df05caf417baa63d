// SPDX-License-Identifier: GPL-2.0-or-later
#include "alg/departure.h"

#include <algorithm>

namespace ftpalg {
namespace {

/// Appends the bytes [from, to) as they first came: what is not kept any more is the segment's own.
void append_original(PacketBuilder& builder, const Stream& stream, const Segment* segment, Seq from,
                     Seq to) {
  const auto append_own = [&](Seq own_from, Seq own_to) {
    if (own_from >= own_to) return;
    const auto offset = static_cast<std::size_t>(own_from - segment->payload_seq());
    builder.append(segment->payload().subspan(offset, static_cast<std::size_t>(own_to - own_from)));
  };
  const Seq kept_from = stream.keeps_any() ? std::clamp(stream.kept_begin(), from, to) : from;
  const Seq kept_to = stream.keeps_any() ? std::clamp(stream.kept_end(), kept_from, to) : from;
  append_own(from, kept_from);
  if (kept_from < kept_to) builder.append(stream.kept(kept_from, kept_to));
  append_own(kept_to, to);
}

/// What of `edit` lies in [from, to).
std::string_view part_of(const Edit& edit, Seq from, Seq to) {
  const std::string_view text = edit.text.view();
  if (edit.growth() != 0) return text;
  const auto begin = static_cast<std::size_t>(std::max(0, from - edit.position));
  const auto end = static_cast<std::size_t>(std::min(to, edit.end()) - edit.position);
  return text.substr(begin, end - begin);
}

}  // namespace

std::size_t safe_packet_bytes(const Tuple& tuple) {
  constexpr std::size_t ipv4_packet_bytes = 576;
  constexpr std::size_t ipv6_packet_bytes = 1280;
  return tuple.source.address.family() == Family::ipv4 ? ipv4_packet_bytes : ipv6_packet_bytes;
}

std::size_t payload_room(const Segment& segment) {
  return std::max(segment.packet().size(), safe_packet_bytes(segment.tuple())) -
         segment.headers().size();
}

Seq fitting_end(const Stream& stream, Seq from, Seq to, std::size_t room) {
  Seq at = from;
  for (const Edit& edit : stream.edits()) {
    if (edit.end() <= at || edit.growth() == 0) continue;
    if (edit.position >= to) break;
    const auto before = static_cast<std::size_t>(std::max(0, edit.position - at));
    if (before >= room) return at + static_cast<std::int64_t>(room);
    room -= before;
    const std::size_t text_bytes = edit.text.view().size();
    if (text_bytes > room) return edit.position > from ? edit.position : edit.end();
    room -= text_bytes;
    at = edit.end();
  }
  return std::min(std::max(at, to), at + static_cast<std::int64_t>(room));
}

void append_range(PacketBuilder& builder, const Stream& stream, const Segment* segment, Seq from,
                  Seq to) {
  Seq at = from;
  for (const Edit& edit : stream.edits()) {
    if (edit.end() <= at) continue;
    if (edit.position >= to) break;
    append_original(builder, stream, segment, at, std::max(at, edit.position));
    const std::string_view text = part_of(edit, at, to);
    builder.append({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
    at = edit.end();
  }
  append_original(builder, stream, segment, at, std::max(at, to));
}

}  // namespace ftpalg
