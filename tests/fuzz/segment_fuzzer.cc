// SPDX-License-Identifier: GPL-2.0-or-later
// Any bytes as a packet: the view reads inside of it, and a packet that is built from it says the
// same.
#include <algorithm>
#include <memory>
#include <vector>

#include "alg/sack_option.h"
#include "valid_packet.h"

namespace ftpalg::fuzz {
namespace {

void rebuild(const Segment& segment, PacketBuilder& builder) {
  builder.begin_like(segment);
  require(builder.append(segment.payload()), "a packet that was parsed fits");
  const wire::Bytes packet = builder.finish();
  const Segment again = require_valid(packet);
  require(again.tuple() == segment.tuple(), "same tuple");
  require(again.seq() == segment.seq() && again.ack() == segment.ack(), "same numbers");
  require(again.flags() == segment.flags(), "same flags");
  require(std::ranges::equal(again.options(), segment.options()), "same options");
  require(std::ranges::equal(again.payload(), segment.payload()), "same payload");
}

void shift_sack(const Segment& segment, PacketBuilder& builder) {
  SeqMap map;
  map.add(segment.ack(), 20, 30);
  map.add(segment.ack() + 100, 20, 5);
  builder.begin_like(segment);
  shift_sack_blocks(builder.options(), map);
  const Segment again = require_valid(builder.finish());
  require(again.options().size() == segment.options().size(), "options keep their length");
}

void answer(const Segment& segment, PacketBuilder& builder) {
  builder.begin_bare(segment.tuple().reversed(), segment.ack(), segment.seq(), segment.window(),
                     segment.timestamps());
  const Segment bare = require_valid(builder.finish());
  require(bare.tuple() == segment.tuple().reversed(), "goes back");
  require(bare.flags() == Segment::ack_flag && bare.payload().empty(), "a bare acknowledgement");
  require(bare.timestamps().has_value() == segment.timestamps().has_value(), "timestamps or none");
}

}  // namespace
}  // namespace ftpalg::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace ftpalg;
  static const auto builder = std::make_unique<PacketBuilder>();
  // A copy of its own size: reading past it is found.
  const std::vector<std::uint8_t> packet(data, data + size);
  const auto segment = Segment::parse(packet);
  if (!segment) return 0;
  fuzz::require(segment->headers().size() + segment->payload().size() == segment->packet().size(),
                "headers and payload are all");
  fuzz::require(segment->packet().size() <= packet.size(), "inside");
  fuzz::rebuild(*segment, *builder);
  fuzz::shift_sack(*segment, *builder);
  fuzz::answer(*segment, *builder);
  return 0;
}
