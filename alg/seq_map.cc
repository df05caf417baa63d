// SPDX-License-Identifier: GPL-2.0-or-later
#include "alg/seq_map.h"

#include <algorithm>
#include <cassert>
#include <utility>

namespace ftpalg {

void SeqMap::add(Seq position, std::uint32_t old_length, std::uint32_t new_length) {
  assert(has_room());
  assert(size_ == 0 || position >= edits_[size_ - 1].end());
  if (size_ == edits_max) forget_oldest();
  edits_[size_++] = {position, old_length, new_length};
}

void SeqMap::acknowledged(Seq position) {
  while (acknowledged_ < size_ && edits_[acknowledged_].end() <= position) ++acknowledged_;
  // A number and an edit more than 2^31 apart could no longer be put in order.
  while (acknowledged_ > 0 && position - edits_[0].end() > repeat_reach_max) forget_oldest();
}

std::int32_t SeqMap::shift() const {
  std::uint32_t shift = base_shift_;
  for (std::size_t i = 0; i < size_; ++i) shift += edits_[i].growth();
  return static_cast<std::int32_t>(shift);
}

Seq SeqMap::map(Way way, Seq from, Round round) const {
  std::uint32_t shift = base_shift_;
  for (std::size_t i = 0; i < size_; ++i) {
    const Edit& edit = edits_[i];
    Seq here = edit.position;
    Seq there = edit.position + shift;
    std::uint32_t length_here = edit.old_length;
    std::uint32_t length_there = edit.new_length;
    if (way == Way::backward) {
      std::swap(here, there);
      std::swap(length_here, length_there);
    }

    if (from < here) break;
    if (from < here + length_here) {
      return from == here || round == Round::down ? there : there + length_there;
    }
    shift += edit.growth();
  }
  return way == Way::forward ? from + shift : from + -std::int64_t{shift};
}

std::optional<SackBlock> SeqMap::map(Way way, const SackBlock& block) const {
  const SackBlock mapped{map(way, block.left, Round::up), map(way, block.right, Round::down)};
  if (mapped.left >= mapped.right) return std::nullopt;
  return mapped;
}

bool SeqMap::is_sound(Seq end) const {
  if (size_ > edits_max || acknowledged_ > size_) return false;
  for (std::size_t i = 0; i < size_; ++i) {
    const Seq next = i + 1 < size_ ? edits_[i + 1].position : end;
    if (edits_[i].end() < edits_[i].position || edits_[i].end() > next) return false;
  }
  return true;
}

void SeqMap::forget_oldest() {
  base_shift_ += edits_[0].growth();
  std::shift_left(edits_.begin(), edits_.end(), 1);
  --size_;
  if (acknowledged_ > 0) --acknowledged_;
}

}  // namespace ftpalg
