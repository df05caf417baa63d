// SPDX-License-Identifier: GPL-2.0-or-later
// The in-memory twins of the three seams. Replay and explain run on them, and so do the unit tests,
// which also make them answer busy, unsupported and failed.
#pragma once

#include <vector>

#include "conntrack/expectation.h"
#include "conntrack/injector.h"
#include "conntrack/master.h"

namespace ftpalg {

/// Keeps masters as conntrack would: found by the tuple of either direction, offsets per direction.
class MemoryMasters final : public Masters {
 public:
  std::optional<Master> find(const Tuple& tuple) override;
  OffsetResult set_offset(const Master& master, Direction direction,
                          const SequenceOffset& offset) override;
  MarkResult set_mark(const Master& master, std::uint32_t bits) override;
  std::optional<std::chrono::seconds> keep(const Master& master,
                                           std::chrono::seconds at_least) override;

  /// Those that were known by one of its tuples are gone, as conntrack has one for a tuple.
  void add(const Master& master);
  /// What every later set_offset answers; anything but `done` changes nothing.
  void answer_offsets_with(OffsetResult result) { offset_answer_ = result; }
  /// What every later set_mark answers.
  void answer_marks_with(MarkResult result) { mark_answer_ = result; }
  /// For how long every master is remembered without a packet; nothing: each is gone.
  void forget_after(std::optional<std::chrono::seconds> time) { forgotten_after_ = time; }
  /// How often a master had to be kept for longer than that.
  unsigned kept() const { return kept_; }
  const std::vector<Master>& all() const { return masters_; }

 private:
  std::vector<Master> masters_;
  OffsetResult offset_answer_ = OffsetResult::done;
  MarkResult mark_answer_ = MarkResult::done;
  std::optional<std::chrono::seconds> forgotten_after_ = std::chrono::hours{5 * 24};
  unsigned kept_ = 0;
};

/// Keeps expectations as conntrack would: one per master, busy when two masters want the same.
class MemoryExpectations final : public Expectations {
 public:
  ExpectationResult add(const Expectation& expectation) override;
  void remove(const Expectation& expectation) override;

  /// What every later add answers in place of its own finding; anything but `added` changes
  /// nothing.
  void answer_with(std::optional<ExpectationResult> result) { answer_ = result; }
  const std::vector<Expectation>& all() const { return expectations_; }

 private:
  std::vector<Expectation> expectations_;
  std::optional<ExpectationResult> answer_;
};

/// Keeps every packet it was to send.
class MemoryInjector final : public Injector {
 public:
  struct Injected {
    std::vector<std::uint8_t> packet;
    InjectAs as;
  };

  InjectResult send(std::span<const std::uint8_t> packet, InjectAs as) override;

  void answer_with(InjectResult result) { answer_ = result; }
  const std::vector<Injected>& sent() const { return sent_; }

 private:
  std::vector<Injected> sent_;
  InjectResult answer_ = InjectResult::sent;
};

}  // namespace ftpalg
