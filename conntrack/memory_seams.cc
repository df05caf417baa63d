// SPDX-License-Identifier: GPL-2.0-or-later
#include "conntrack/memory_seams.h"

#include <algorithm>

namespace ftpalg {

void MemoryMasters::add(const Master& master) {
  std::erase_if(masters_, [&](const Master& known) {
    return known.original == master.original || known.reply == master.reply;
  });
  masters_.push_back(master);
}

std::optional<Master> MemoryMasters::find(const Tuple& tuple) {
  const auto found = std::find_if(masters_.begin(), masters_.end(), [&](const Master& master) {
    return master.original == tuple || master.reply == tuple;
  });
  if (found == masters_.end()) return std::nullopt;
  return *found;
}

OffsetResult MemoryMasters::set_offset(const Master& master, Direction direction,
                                       const SequenceOffset& offset) {
  if (offset_answer_ != OffsetResult::done) return offset_answer_;
  for (Master& known : masters_) {
    if (known.original != master.original) continue;
    known.offsets[static_cast<std::size_t>(direction)] = offset;
    return OffsetResult::done;
  }
  return OffsetResult::failed;
}

MarkResult MemoryMasters::set_mark(const Master& master, std::uint32_t bits) {
  if (mark_answer_ != MarkResult::done) return mark_answer_;
  for (Master& known : masters_) {
    if (known.original != master.original) continue;
    known.mark |= bits;
    return MarkResult::done;
  }
  return MarkResult::failed;
}

std::optional<std::chrono::seconds> MemoryMasters::keep(const Master&,
                                                        std::chrono::seconds at_least) {
  if (!forgotten_after_ || *forgotten_after_ >= at_least) return forgotten_after_;
  ++kept_;
  return at_least;
}

ExpectationResult MemoryExpectations::add(const Expectation& expectation) {
  if (answer_ && *answer_ != ExpectationResult::added) return *answer_;
  const auto clashes = [&](const Expectation& other) {
    return other.master != expectation.master && other.source == expectation.source &&
           other.destination == expectation.destination;
  };
  if (std::any_of(expectations_.begin(), expectations_.end(), clashes)) {
    return ExpectationResult::busy;
  }
  std::erase_if(expectations_,
                [&](const Expectation& other) { return other.master == expectation.master; });
  expectations_.push_back(expectation);
  return ExpectationResult::added;
}

void MemoryExpectations::remove(const Expectation& expectation) {
  std::erase(expectations_, expectation);
}

InjectResult MemoryInjector::send(std::span<const std::uint8_t> packet, InjectAs as) {
  if (answer_ == InjectResult::sent) sent_.push_back({{packet.begin(), packet.end()}, as});
  return answer_;
}

}  // namespace ftpalg
