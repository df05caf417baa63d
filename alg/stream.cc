// SPDX-License-Identifier: GPL-2.0-or-later
#include "alg/stream.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

namespace ftpalg {

void Stream::take_room(Stream& other) {
  partial_ = std::move(other.partial_);
  kept_ = std::move(other.kept_);
  edits_ = std::move(other.edits_);
  partial_.clear();
  kept_.clear();
  edits_.clear();
}

void Stream::forget_line_done() {
  if (std::exchange(line_done_, false)) partial_.clear();
}

void Stream::start(Seq first) {
  Stream fresh(line_bytes_max_);
  fresh.take_room(*this);
  *this = std::move(fresh);
  started_ = true;
  start_certain_ = true;
  next_ = forwarded_ = acknowledged_ = owed_end_ = line_begin_ = kept_begin_ = first;
}

void Stream::adopt(Seq first, const SequenceOffset& offset) {
  start(first);
  start_certain_ = false;
  fresh_ = false;
  offset_ = offset;
  map_ = SeqMap(offset.after);
  if (offset.before != offset.after) {
    was_edited_ = true;
    offset_unacknowledged_ = true;
    offset_edit_end_ = Seq{offset.position} + 1;
  }
}

std::optional<Line> Stream::take_line(wire::Bytes& rest) {
  forget_line_done();
  const auto line_feed = std::find(rest.begin(), rest.end(), std::uint8_t{'\n'});
  const bool complete = line_feed != rest.end();
  const std::size_t length =
      static_cast<std::size_t>(line_feed - rest.begin()) + (complete ? 1U : 0U);
  const std::string_view piece{reinterpret_cast<const char*>(rest.data()), length};
  rest = rest.subspan(length);
  next_ = next_ + static_cast<std::int64_t>(length);

  if (partial_.size() + length > line_bytes_max_) too_long_ = true;
  const bool in_one_piece = partial_.empty();
  if (!(in_one_piece && complete)) {
    partial_.append(piece.substr(0, line_bytes_max_ - partial_.size()));
  }
  if (!complete) return std::nullopt;

  Line line{in_one_piece ? piece : std::string_view{partial_}, line_begin_, !too_long_,
            start_certain_};
  if (line.text.ends_with('\n')) line.text.remove_suffix(1);
  if (line.text.ends_with('\r')) line.text.remove_suffix(1);
  constexpr std::string_view forbidden{"\0\r", 2};
  if (line.text.find_first_of(forbidden) != std::string_view::npos) line.fit = false;

  line_done_ = true;
  line_begin_ = next_;
  start_certain_ = true;
  too_long_ = false;
  return line;
}

Stream::Mark Stream::mark() const {
  return {next_, line_begin_, line_done_ ? 0 : partial_.size(), start_certain_, too_long_};
}

void Stream::rewind(const Mark& mark) {
  next_ = mark.next;
  line_begin_ = mark.line_begin;
  start_certain_ = mark.start_certain;
  too_long_ = mark.too_long;
  partial_.resize(std::min(mark.partial_bytes, partial_.size()));
  if (kept_end() > next_) kept_.resize(static_cast<std::size_t>(std::max(0, next_ - kept_begin_)));
  line_done_ = false;
}

void Stream::skip_to(Seq next) {
  next_ = next;
  forwarded_ = next;
  if (kept_end() != next && !owes_bytes()) forget_kept();
  early_.clear();
}

void Stream::begin_line() {
  line_begin_ = next_;
  start_certain_ = true;
  too_long_ = false;
  line_done_ = false;
  partial_.clear();
}

void Stream::resume_at(Seq next) {
  next_ = forwarded_ = line_begin_ = next;
  owed_end_ = acknowledged_;
  start_certain_ = false;
  fresh_ = true;
  too_long_ = false;
  line_done_ = false;
  partial_.clear();
  forget_kept();
  early_.clear();
  line_drops_.forget();
  early_drops_.forget();
}

std::optional<std::string_view> Stream::unfinished_line() const {
  return too_long_ ? std::nullopt : line_beginning();
}

std::optional<std::string_view> Stream::line_beginning() const {
  if (line_done_ || partial_.empty() || !start_certain_) return std::nullopt;
  return partial_;
}

void Stream::forget_kept() {
  kept_.clear();
  kept_begin_ = next_;
}

bool Stream::keep(Seq at, wire::Bytes bytes) {
  const bool follows = !kept_.empty() && at == kept_end();
  const bool fits = kept_.size() + bytes.size() <= kept_bytes_max;
  if (!follows || !fits) {
    if (owes_bytes() || bytes.size() > kept_bytes_max) return false;
    kept_.clear();
    kept_begin_ = at;
  }
  kept_.insert(kept_.end(), bytes.begin(), bytes.end());
  return true;
}

bool Stream::keep_if_room(wire::Bytes bytes) {
  if (kept_.size() + bytes.size() > kept_bytes_max) return false;
  kept_.insert(kept_.end(), bytes.begin(), bytes.end());
  return true;
}

void Stream::keep_unfinished_line() {
  acknowledged(line_begin_);
  kept_.assign(partial_.begin(), partial_.end());
  kept_begin_ = line_begin_;
}

wire::Bytes Stream::kept(Seq from, Seq to) const {
  return wire::Bytes{kept_}.subspan(static_cast<std::size_t>(from - kept_begin_),
                                    static_cast<std::size_t>(to - from));
}

bool Stream::repeats_faithfully(Seq at, wire::Bytes bytes) const {
  if (kept_.empty()) return true;
  const Seq from = std::max(at, kept_begin_);
  const Seq to = std::min(at + static_cast<std::int64_t>(bytes.size()), kept_end());
  if (from >= to) return true;
  const wire::Bytes first = kept(from, to);
  return std::equal(first.begin(), first.end(), bytes.begin() + (from - at));
}

bool Stream::can_give(Seq from, Seq to, const Segment* segment) const {
  const auto known_until = [&](Seq at) {
    if (kept_begin_ <= at && at < kept_end()) return kept_end();
    const bool is_own =
        segment != nullptr && segment->payload_seq() <= at && at < segment->payload_end();
    return is_own ? segment->payload_end() : at;
  };
  while (from < to) {
    const Seq until = known_until(from);
    if (until == from) return false;
    from = until;
  }
  return true;
}

std::size_t Stream::kept_bytes() const {
  std::size_t bytes = kept_.size() + partial_.size();
  for (const Early& early : early_) bytes += early.bytes.size();
  return bytes;
}

void Stream::add_edit(const Edit& edit) {
  edits_.push_back(edit);
  if (edit.growth() != 0) {
    map_.add(edit.position, edit.length, static_cast<std::uint32_t>(edit.text.view().size()));
  }
  was_edited_ = true;
}

const Edit* Stream::edit_at(Seq position) const {
  const auto found = std::find_if(edits_.begin(), edits_.end(), [&](const Edit& edit) {
    return edit.position == position && edit.end() <= forwarded_;
  });
  return found == edits_.end() ? nullptr : &*found;
}

void Stream::acknowledged(Seq position) {
  if (position <= acknowledged_) return;
  acknowledged_ = position;
  fresh_ = true;
  map_.acknowledged(position);
  std::erase_if(edits_, [&](const Edit& edit) { return edit.end() <= position; });
  if (urgent_end_ && *urgent_end_ <= position) urgent_end_.reset();
  if (received_end_ && *received_end_ <= position) received_end_.reset();
  if (kept_.empty() || position >= kept_end()) {
    forget_kept();
  } else if (position > kept_begin_) {
    kept_.erase(kept_.begin(), kept_.begin() + (position - kept_begin_));
    kept_begin_ = position;
  }
  if (position >= offset_edit_end_) offset_unacknowledged_ = false;
}

void Stream::set_offset(const SequenceOffset& offset, Seq end) {
  offset_ = offset;
  offset_edit_end_ = end;
  offset_unacknowledged_ = true;
}

Seq Stream::before_kernel_shift(Seq shifted) const {
  const Seq if_before = shifted + -std::int64_t{offset_.before};
  return if_before <= Seq{offset_.position} ? if_before : shifted + -std::int64_t{offset_.after};
}

void Stream::keep_early(Seq begin, wire::Bytes bytes) {
  std::size_t total = bytes.size();
  for (const Early& early : early_) {
    if (early.begin == begin && early.bytes.size() >= bytes.size()) return;
    total += early.bytes.size();
  }
  if (total <= early_bytes_max) early_.push_back({begin, {bytes.begin(), bytes.end()}});
}

std::optional<std::vector<std::uint8_t>> Stream::take_early(Seq from) {
  std::erase_if(early_, [&](const Early& early) { return early.end() <= from; });
  const auto found = std::find_if(early_.begin(), early_.end(),
                                  [&](const Early& early) { return early.begin <= from; });
  if (found == early_.end()) return std::nullopt;
  std::vector<std::uint8_t> bytes(found->bytes.begin() + (from - found->begin), found->bytes.end());
  early_.erase(found);
  return bytes;
}

void Stream::note_progress() {
  line_waits_ = false;
  line_drops_.forget_behind(next_);
  early_drops_.forget_behind(next_);
}

bool Stream::is_sound() const {
  // Numbers further apart than any window could not be put in order.
  const auto is_near = [&](Seq seq) {
    return std::abs(std::int64_t{next_ - seq}) <= SeqMap::repeat_reach_max;
  };
  const bool are_near =
      is_near(acknowledged_) && is_near(forwarded_) &&
      (kept_.empty() || (is_near(kept_begin_) && kept_end() <= next_)) &&
      std::ranges::all_of(early_, [&](const Early& early) { return is_near(early.begin); });
  if (!are_near) return false;
  std::size_t early_bytes = 0;
  for (const Early& early : early_) early_bytes += early.bytes.size();
  if (partial_.size() > line_bytes_max_ || kept_.size() > kept_bytes_max ||
      early_bytes > early_bytes_max) {
    return false;
  }
  const bool holds_what_it_says =
      forwarded_ == next_ || (forwarded_ < next_ && can_give(forwarded_, next_, nullptr));
  if (!holds_what_it_says || !map_.is_sound(next_)) return false;
  Seq end = edits_.empty() ? next_ : edits_.front().position;
  for (const Edit& edit : edits_) {
    const bool is_a_run = edit.length <= line_bytes_max_ && edit.position >= end;
    if (!is_a_run) return false;
    end = edit.end();
  }
  return end <= next_;
}

}  // namespace ftpalg
