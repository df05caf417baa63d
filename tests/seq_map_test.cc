// SPDX-License-Identifier: GPL-2.0-or-later
#include "alg/seq_map.h"

#include <catch2/catch.hpp>
#include <random>
#include <utility>
#include <vector>

namespace {

using namespace ftpalg;

// Near 0, mid-range (where the sign of a difference could be mistaken) and just below 2^32.
constexpr std::uint32_t initial_numbers[] = {0, 0x7ffffff0, 0x80000000, 0xffffff00, 0xffffffff};

/// The same in the plainest way: all bytes of both sides, each with the mark of what it belongs to.
/// A byte outside of edits has a mark of its own, the bytes of an edit share theirs.
class ByteModel {
 public:
  void send(std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
      sender_.push_back(next_mark_);
      receiver_.push_back(next_mark_++);
    }
  }
  void edit(std::size_t old_length, std::size_t new_length) {
    sender_.insert(sender_.end(), old_length, next_mark_);
    receiver_.insert(receiver_.end(), new_length, next_mark_++);
  }

  std::size_t sent() const { return sender_.size(); }
  std::size_t received() const { return receiver_.size(); }

  std::size_t forward(std::size_t at) const { return whole_before(sender_, at, receiver_); }
  std::size_t backward(std::size_t at) const { return whole_before(receiver_, at, sender_); }

  using Range = std::pair<std::size_t, std::size_t>;
  std::optional<Range> forward(Range range) const { return whole_in(sender_, range, receiver_); }
  std::optional<Range> backward(Range range) const { return whole_in(receiver_, range, sender_); }

 private:
  using Marks = std::vector<int>;

  /// The bytes of `there` that belong to what lies entirely in the range of `here`.
  static std::optional<Range> whole_in(const Marks& here, Range range, const Marks& there) {
    const auto cut = [&](std::size_t at) {
      return at > 0 && at < here.size() && here[at - 1] == here[at];
    };
    auto [left, right] = range;
    while (left < right && cut(left)) ++left;
    while (left < right && cut(right)) --right;
    if (left >= right) return std::nullopt;
    Range mapped{0, 0};
    while (there[mapped.first] < here[left]) ++mapped.first;
    while (mapped.second < there.size() && there[mapped.second] <= here[right - 1]) ++mapped.second;
    return mapped;
  }
  static std::size_t whole_before(const Marks& here, std::size_t at, const Marks& there) {
    const auto range = whole_in(here, {0, at}, there);
    return range ? range->second : 0;
  }

  int next_mark_ = 0;
  Marks sender_;
  Marks receiver_;
};

Seq number(std::uint32_t initial, std::size_t at) {
  return Seq{initial} + static_cast<std::int64_t>(at);
}

}  // namespace

TEST_CASE("an empty map changes nothing", "[seq_map]") {
  const SeqMap map;
  for (const std::uint32_t initial : initial_numbers) {
    CHECK(map.forward({initial}) == Seq{initial});
    CHECK(map.backward({initial}) == Seq{initial});
  }
  CHECK(map.shift() == 0);
  CHECK(map.has_room());
}

TEST_CASE("one edit that lengthens", "[seq_map]") {
  const std::uint32_t initial =
      GENERATE(from_range(std::begin(initial_numbers), std::end(initial_numbers)));
  const auto at = [&](std::int64_t offset) { return Seq{initial} + offset; };
  SeqMap map;
  map.add(at(5), 3, 7);

  CHECK(map.shift() == 4);
  CHECK(map.forward(at(4)) == at(4));
  CHECK(map.forward(at(5)) == at(5));
  CHECK(map.forward(at(6)) == at(5));
  CHECK(map.forward(at(7)) == at(5));
  CHECK(map.forward(at(8)) == at(12));
  CHECK(map.forward(at(1000)) == at(1004));

  CHECK(map.backward(at(4)) == at(4));
  CHECK(map.backward(at(5)) == at(5));
  CHECK(map.backward(at(6)) == at(5));
  CHECK(map.backward(at(11)) == at(5));
  CHECK(map.backward(at(12)) == at(8));
  CHECK(map.backward(at(1004)) == at(1000));

  CHECK(map.backward_sack({at(5), at(12)}) == SackBlock{at(5), at(8)});
  CHECK(map.backward_sack({at(3), at(11)}) == SackBlock{at(3), at(5)});
  CHECK(map.backward_sack({at(6), at(14)}) == SackBlock{at(8), at(10)});
  CHECK_FALSE(map.backward_sack({at(6), at(11)}));
  CHECK_FALSE(map.backward_sack({at(5), at(11)}));
  CHECK_FALSE(map.backward_sack({at(6), at(12)}));
  CHECK(map.forward_sack({at(5), at(8)}) == SackBlock{at(5), at(12)});
  CHECK(map.forward_sack({at(6), at(9)}) == SackBlock{at(12), at(13)});
  CHECK_FALSE(map.forward_sack({at(6), at(7)}));
}

TEST_CASE("one edit that shortens", "[seq_map]") {
  const std::uint32_t initial =
      GENERATE(from_range(std::begin(initial_numbers), std::end(initial_numbers)));
  const auto at = [&](std::int64_t offset) { return Seq{initial} + offset; };
  SeqMap map;
  map.add(at(5), 7, 3);

  CHECK(map.shift() == -4);
  CHECK(map.forward(at(11)) == at(5));
  CHECK(map.forward(at(12)) == at(8));
  CHECK(map.backward(at(7)) == at(5));
  CHECK(map.backward(at(8)) == at(12));
  CHECK(map.backward(at(996)) == at(1000));
}

TEST_CASE("bytes that vanish are acknowledged with those before them", "[seq_map]") {
  SeqMap map;
  map.add({100}, 10, 0);
  CHECK(map.forward({105}) == Seq{100});
  CHECK(map.forward({110}) == Seq{100});
  CHECK(map.backward({99}) == Seq{99});
  CHECK(map.backward({100}) == Seq{110});
}

TEST_CASE("what is repeated after its acknowledgement was lost maps as the first time",
          "[seq_map]") {
  SeqMap map;
  map.add({100}, 10, 14);
  map.add({200}, 10, 14);
  map.acknowledged({500});
  CHECK(map.forward({50}) == Seq{50});
  CHECK(map.forward({100}) == Seq{100});
  CHECK(map.forward({110}) == Seq{114});
  CHECK(map.forward({210}) == Seq{218});
  CHECK(map.backward({508}) == Seq{500});
}

TEST_CASE("room for an edit is made of those acknowledged", "[seq_map]") {
  SeqMap map;
  for (std::uint32_t i = 0; i < SeqMap::edits_max; ++i) {
    REQUIRE(map.has_room());
    map.add({100 * i}, 10, 11);
  }
  CHECK_FALSE(map.has_room());
  map.acknowledged({9});  // one byte short of the first edit's end
  CHECK_FALSE(map.has_room());
  map.acknowledged({10});
  REQUIRE(map.has_room());
  map.add({10000}, 10, 11);
  CHECK_FALSE(map.has_room());
  CHECK(map.size() == SeqMap::edits_max);
  CHECK(map.shift() == static_cast<std::int32_t>(SeqMap::edits_max) + 1);
  CHECK(map.forward({50}) == Seq{51});
  CHECK(map.forward({110}) == Seq{112});
}

TEST_CASE("an edit is forgotten before its number comes round again", "[seq_map]") {
  SeqMap map;
  map.add({100}, 10, 14);
  for (std::int64_t sent = 0; sent < (std::int64_t{1} << 33); sent += 1 << 28) {
    const Seq seq = Seq{110} + sent;
    map.acknowledged(seq);
    REQUIRE(map.forward(seq) == seq + 4);
    REQUIRE(map.backward(seq + 4) == seq);
  }
  CHECK(map.size() == 0);
  CHECK(map.shift() == 4);
}

TEST_CASE("a late acknowledgement changes nothing", "[seq_map]") {
  SeqMap map;
  map.add({100}, 10, 14);
  map.acknowledged({200});
  map.acknowledged({50});
  CHECK(map.size() == 1);
  CHECK(map.forward({110}) == Seq{114});
}

TEST_CASE("any edits map as in the model of bytes", "[seq_map]") {
  const std::uint32_t initial =
      GENERATE(from_range(std::begin(initial_numbers), std::end(initial_numbers)));
  std::mt19937 random{initial};
  const auto below = [&](std::size_t limit) { return random() % limit; };

  for (int round = 0; round < 60; ++round) {
    ByteModel model;
    SeqMap map;
    std::vector<std::size_t> edit_ends;
    model.send(1 + below(10));
    for (int step = 0; step < 25; ++step) {
      model.send(below(6));
      if (!map.has_room())
        map.acknowledged(number(initial, edit_ends[edit_ends.size() - SeqMap::edits_max]));
      const std::size_t old_length = 1 + below(6);
      const std::size_t new_length = 1 + below(6);
      map.add(number(initial, model.sent()), static_cast<std::uint32_t>(old_length),
              static_cast<std::uint32_t>(new_length));
      model.edit(old_length, new_length);
      edit_ends.push_back(model.sent());
      const std::size_t tail = below(6);
      model.send(tail);
      if (below(2) == 0) map.acknowledged(number(initial, model.sent() - below(model.sent())));

      // Below what is forgotten the model knows more.
      const std::size_t known = edit_ends.size() > SeqMap::edits_max
                                    ? edit_ends[edit_ends.size() - SeqMap::edits_max - 1]
                                    : 0;
      const std::size_t known_there = model.forward(known);
      for (std::size_t at = known; at <= model.sent(); ++at) {
        REQUIRE(map.forward(number(initial, at)) == number(initial, model.forward(at)));
      }
      for (std::size_t at = known_there; at <= model.received(); ++at) {
        REQUIRE(map.backward(number(initial, at)) == number(initial, model.backward(at)));
      }

      using Range = ByteModel::Range;
      const auto as_block = [&](std::optional<Range> range) -> std::optional<SackBlock> {
        if (!range) return std::nullopt;
        return SackBlock{number(initial, range->first), number(initial, range->second)};
      };
      for (int block = 0; block < 20; ++block) {
        const std::size_t left = known + below(model.sent() - known);
        const Range sent{left, left + 1 + below(model.sent() - left)};
        REQUIRE(map.forward_sack(*as_block(sent)) == as_block(model.forward(sent)));

        const std::size_t left_there = known_there + below(model.received() - known_there);
        const Range received{left_there, left_there + 1 + below(model.received() - left_there)};
        REQUIRE(map.backward_sack(*as_block(received)) == as_block(model.backward(received)));
      }
    }
  }
}
