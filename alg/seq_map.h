// SPDX-License-Identifier: GPL-2.0-or-later
// How the sequence numbers of one direction change on their way through the gateway: exactly, for
// any number of edits that are still in flight. The kernel's own correction (conntrack/master.h)
// knows one position; this map serves where there is no kernel to do it: replay, simulation, and
// control connections without NAT.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "alg/tcp_seq.h"

namespace ftpalg {

/// The bytes [left, right) that a receiver holds out of order (RFC 2018, section 3).
struct SackBlock {
  Seq left;
  Seq right;
  friend constexpr bool operator==(const SackBlock&, const SackBlock&) = default;
};

/// Maps between the sender's numbering (bytes as sent) and the receiver's (bytes as edited). An
/// edit is a run of the sender's bytes that other bytes stand for, as many, more or fewer. All
/// outside of edits maps exactly, both ways, with both ends of an edit; that is what RST needs,
/// whose number must match to the byte (RFC 5961, section 3).
///
/// Within an edit no byte of one side is a byte of the other, so what points there is rounded,
/// always to the side that has the bytes sent once more rather than never.
///
/// Memory is fixed. Edits stay known after they are acknowledged, since the acknowledgement may
/// still be lost on its way to the sender, which then repeats the bytes; they are forgotten when
/// there is no more room or when no sender could reach back so far. Then their shift remains, and
/// numbers below them are mapped as those above.
class SeqMap {
 public:
  /// Edits that a map can remember.
  static constexpr std::size_t edits_max = 8;
  /// In bytes: the largest window there is (RFC 7323, section 2.3).
  static constexpr std::int32_t repeat_reach_max = 1 << 30;

  SeqMap() = default;
  /// For a direction that is already shifted by `base_shift` bytes, by edits that nobody remembers.
  explicit SeqMap(std::int32_t base_shift) : base_shift_(static_cast<std::uint32_t>(base_shift)) {}

  /// False while every edit that is remembered still waits for its acknowledgement.
  bool has_room() const { return size_ < edits_max || acknowledged_ > 0; }

  /// Notes that `old_length` bytes at `position` of the sender's are replaced by `new_length`
  /// others. Edits come in the order of their positions and do not overlap. Requires has_room().
  void add(Seq position, std::uint32_t old_length, std::uint32_t new_length);

  /// The receiver's number for the sender's `seq`; the edit's start for one inside an edit. For the
  /// seq of what the sender sends, and for the ACK that would answer it.
  Seq forward(Seq seq) const { return map(Way::forward, seq, Round::down); }

  /// The sender's number for the receiver's `ack`; the edit's start for one inside an edit. For the
  /// ACK of what the receiver sends: the sender keeps a half received edit until all of it has
  /// arrived.
  Seq backward(Seq ack) const { return map(Way::backward, ack, Round::down); }

  /// What a block means on the other side: an edit counts only when the block has all of it.
  /// Nothing when the block has no whole byte there.
  std::optional<SackBlock> forward_sack(const SackBlock& block) const {
    return map(Way::forward, block);
  }
  std::optional<SackBlock> backward_sack(const SackBlock& block) const {
    return map(Way::backward, block);
  }

  /// The receiver has everything below `position` of the sender's. A late, lower one changes
  /// nothing.
  void acknowledged(Seq position);

  /// What is added to a number above all edits, in bytes.
  std::int32_t shift() const;

  /// Edits remembered.
  std::size_t size() const { return size_; }

  /// For alg/state_bytes.h.
  template <typename Fields, typename Self>
  static void visit(Fields& fields, Self& self) {
    fields(self.base_shift_);
    fields.number(self.size_, edits_max);
    fields.number(self.acknowledged_, edits_max);
    for (std::size_t i = 0; i < self.size_; ++i) fields(self.edits_[i]);
  }
  /// What was read could have come about: the edits are in order, before `end`.
  bool is_sound(Seq end) const;

 private:
  enum class Way : std::uint8_t { forward, backward };
  enum class Round : std::uint8_t { down, up };

  struct Edit {
    Seq position;  // the sender's
    std::uint32_t old_length = 0;
    std::uint32_t new_length = 0;
    Seq end() const { return position + old_length; }
    template <typename Fields, typename Self>
    static void visit(Fields& fields, Self& self) {
      fields(self.position, self.old_length, self.new_length);
    }
    // Shifts are kept modulo 2^32, as sequence numbers are.
    std::uint32_t growth() const { return new_length - old_length; }
  };

  Seq map(Way way, Seq from, Round round) const;
  std::optional<SackBlock> map(Way way, const SackBlock& block) const;
  void forget_oldest();

  std::uint32_t base_shift_ = 0;  // of the edits that are forgotten
  std::size_t size_ = 0;
  std::size_t acknowledged_ = 0;         // so many of the oldest
  std::array<Edit, edits_max> edits_{};  // oldest first
};

}  // namespace ftpalg
