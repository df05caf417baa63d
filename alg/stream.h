// SPDX-License-Identifier: GPL-2.0-or-later
// The stream: the bytes that one end of a control connection sends, in order, whatever the
// segments.
//
// A stream knows how far it has been read (`next`) and how far it has been sent on (`forwarded`).
// The two differ while bytes are held: the start of a line that may have to be edited once it is
// complete. Held bytes have been acknowledged to their sender in the receiver's name: the stream
// owes them to the receiver from then on, because nobody else has them any more.
//
// What the receiver has not acknowledged is kept as it first came, so that it leaves the same when
// it is sent again (protocol rule 31).
//
// All positions count in the sender's numbering.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "alg/drops.h"
#include "alg/edit.h"
#include "alg/segment.h"
#include "alg/seq_map.h"
#include "alg/time.h"
#include "conntrack/master.h"

namespace ftpalg {

/// One complete line. `text` is without its line end and valid until the stream is read further. Of
/// one that is too long it is the beginning.
struct Line {
  std::string_view text;
  Seq begin;
  bool fit = true;            ///< not too long, no NUL, no CR but before the LF (protocol rule 1)
  bool start_certain = true;  ///< the byte before it was an LF, or the SYN (protocol rules 2, 36)
};

class Stream {
 public:
  static constexpr std::size_t command_line_bytes_max = 512;
  static constexpr std::size_t reply_line_bytes_max = 2048;
  static constexpr std::size_t kept_bytes_max = 4096;
  static constexpr std::size_t early_bytes_max = 4096;

  explicit Stream(std::size_t line_bytes_max) : line_bytes_max_(line_bytes_max) {}

  /// Seen from its SYN on: `first` is a line start.
  void start(Seq first);
  /// Under way already: no line start is certain before the first LF. `offset` is what the kernel
  /// shifts it by.
  void adopt(Seq first, const SequenceOffset& offset);
  bool is_started() const { return started_; }
  /// Has the room that the buffers of `other` had.
  void take_room(Stream& other);
  /// A line that was handed out need not be valid any more.
  void forget_line_done();
  /// Whether the bytes from `from` on are new to the receiver, too: it may have received more than
  /// it has acknowledged before the stream was adopted, or while bytes passed unseen.
  bool is_fresh(Seq from) const { return fresh_ && !(received_end_ && from < *received_end_); }
  /// How far the receiver has got is known: since the stream was adopted it has acknowledged
  /// something new.
  bool knows_acknowledged() const { return fresh_; }
  /// The receiver holds bytes up to `end`, whatever came by here.
  void note_received(Seq end) {
    if (end > forwarded_ && !(received_end_ && end <= *received_end_)) received_end_ = end;
  }

  Seq next() const { return next_; }
  Seq forwarded() const { return forwarded_; }
  bool holds_bytes() const { return forwarded_ < next_; }
  /// The stream alone has bytes that the receiver has not acknowledged: [owed_begin(), owed_end()).
  bool owes_bytes() const { return acknowledged_ < owed_end(); }
  Seq owed_begin() const { return acknowledged_ > kept_begin_ ? acknowledged_ : kept_begin_; }
  Seq owed_end() const { return owed_end_ < kept_end() ? owed_end_ : kept_end(); }
  /// From now on all that is kept is owed.
  void owe_kept() { owed_end_ = kept_end(); }

  // Reading.

  /// Reads on in `rest`, whose first byte is the one at next(). Returns the first line that ends
  /// there and leaves in `rest` what follows it; or reads all and returns nothing.
  std::optional<Line> take_line(wire::Bytes& rest);

  /// Where reading stands, to go back there: the last line that was taken has then not been read.
  struct Mark {
    Seq next;
    Seq line_begin;
    std::size_t partial_bytes;
    bool start_certain;
    bool too_long;
  };
  Mark mark() const;
  /// The line must have been fit.
  void rewind(const Mark& mark);

  /// Passes over bytes that are not parsed, and not kept either.
  void skip_to(Seq next);
  /// Passes over bytes that are not parsed.
  void pass_over(std::size_t bytes) {
    next_ = forwarded_ = next_ + static_cast<std::int64_t>(bytes);
  }
  /// Lines begin at next(), for certain.
  void begin_line();
  /// Goes on at `next` after bytes that were never seen. Held bytes are forgotten: the receiver has
  /// got past them.
  void resume_at(Seq next);

  bool is_at_line_start() const { return line_done_ || (partial_.empty() && !too_long_); }
  /// The line that has begun and not ended: nothing when it is too long or its start is not
  /// certain.
  std::optional<std::string_view> unfinished_line() const;
  /// As unfinished_line(), and the first line_bytes_max bytes of one that is too long.
  std::optional<std::string_view> line_beginning() const;
  bool line_is_too_long() const { return too_long_; }
  Seq line_begin() const { return line_begin_; }
  bool line_start_is_certain() const { return start_certain_; }

  // Sending on.

  /// All that was read is sent on, but for what follows `until`.
  void forward_until(Seq until) { forwarded_ = until; }

  /// What was read from `from` on is held: it has been acknowledged to its sender.
  void hold_from(Seq from, Time now) {
    if (owed_end_ <= from) held_since_ = now;
    forwarded_ = from;
    owed_end_ = next_;
  }
  Time held_since() const { return held_since_; }

  /// Keeps the bytes from `at` on, the newest of the stream. Older ones make room, unless they are
  /// owed: then nothing is kept, and the answer is false.
  bool keep(Seq at, wire::Bytes bytes);
  /// Keeps `bytes`, which follow the newest that are kept, unless others would have to make room.
  bool keep_if_room(wire::Bytes bytes);
  /// Keeps the start of the unfinished line, the newest bytes, and nothing else: the receiver has
  /// everything before it.
  void keep_unfinished_line();
  /// The kept bytes [from, to), which all are kept.
  wire::Bytes kept(Seq from, Seq to) const;
  bool keeps_any() const { return !kept_.empty(); }
  /// Whether all that was read and that the receiver has not acknowledged is kept.
  bool keeps_unacknowledged() const { return kept_begin_ <= acknowledged_ && kept_end() == next_; }
  /// Whether the bytes [from, to) are known: they are kept, or `segment` has them, if there is one.
  bool can_give(Seq from, Seq to, const Segment* segment) const;
  Seq kept_begin() const { return kept_begin_; }
  Seq kept_end() const { return kept_begin_ + static_cast<std::int64_t>(kept_.size()); }
  /// Whether `bytes`, which begin at `at`, are what came first, as far as that is known.
  bool repeats_faithfully(Seq at, wire::Bytes bytes) const;

  /// What it keeps, whatever for.
  std::size_t kept_bytes() const;

  /// The sender's urgent data ends at `end`.
  void note_urgent(Seq end) {
    if (!urgent_end_ || end > *urgent_end_) urgent_end_ = end;
  }
  /// Where the urgent data ends that the bytes from `from` on are before, if they are before any.
  std::optional<Seq> urgent_end(Seq from) const {
    return urgent_end_ && from < *urgent_end_ ? urgent_end_ : std::nullopt;
  }

  void add_edit(const Edit& edit);
  const std::vector<Edit>& edits() const { return edits_; }
  /// The edit that begins at `position` and has been sent on, or none.
  const Edit* edit_at(Seq position) const;
  bool was_edited() const { return was_edited_; }

  /// The receiver has everything before `position`.
  void acknowledged(Seq position);
  Seq acknowledged() const { return acknowledged_; }

  const SeqMap& map() const { return map_; }

  // The kernel's one correction (kernel-facts 3).

  const SequenceOffset& offset() const { return offset_; }
  /// An edit that ends at `end` is shifted by `offset` from now on.
  void set_offset(const SequenceOffset& offset, Seq end);
  bool offset_is_unacknowledged() const { return offset_unacknowledged_; }
  void take_offset_as_acknowledged() { offset_unacknowledged_ = false; }
  /// The sequence number that the kernel shifts to `shifted`.
  Seq before_kernel_shift(Seq shifted) const;

  // Segments that came before earlier ones.

  /// Keeps the bytes of a segment that begins behind next(), as long as there is room:
  /// early_bytes_max.
  void keep_early(Seq begin, wire::Bytes bytes);
  bool has_early() const { return !early_.empty(); }
  /// Early bytes from `from` on, no longer kept; nothing when there are none. Those before `from`
  /// are forgotten.
  std::optional<std::vector<std::uint8_t>> take_early(Seq from);

  // Segments that were dropped, to come again.

  /// Counts that a line that begins at `at` was dropped, as Drops::count().
  unsigned count_line_drop(Seq at, Time now) { return line_drops_.count(at, now); }
  /// Counts that bytes at `at` were dropped, because those before them are missing. Where a line
  /// was dropped they are missing for that, and nothing can be concluded until that is overdue.
  unsigned count_early_drop(Seq at, Time now) {
    const unsigned count = early_drops_.count(at, now);
    return line_drops_.are_overdue(now) ? count : 0;
  }
  /// Bytes from `begin` on have come again.
  void note_repetition(Seq begin) {
    line_drops_.forget_behind(begin);
    early_drops_.forget_behind(begin);
  }
  /// All that came is read, and no line waits.
  void note_all_read() { line_drops_.forget(); }
  /// Bytes at next() have come: those before a dropped segment are on their way, and a line that
  /// waited is read again.
  void note_progress();
  /// A line was complete, and its end dropped: it is read once that comes again.
  bool line_waits() const { return line_waits_; }
  void set_line_waits(bool waits) { line_waits_ = waits; }

  /// For alg/state_bytes.h.
  template <typename Fields, typename Self>
  static void visit(Fields& fields, Self& self) {
    fields(self.started_, self.fresh_, self.received_end_, self.was_edited_,
           self.offset_unacknowledged_, self.line_done_, self.start_certain_, self.too_long_,
           self.next_, self.forwarded_, self.acknowledged_, self.line_begin_, self.partial_,
           self.owed_end_, self.held_since_, self.kept_begin_, self.kept_, self.early_,
           self.urgent_end_, self.edits_, self.map_, self.offset_, self.offset_edit_end_,
           self.line_drops_, self.early_drops_, self.line_waits_);
  }
  /// What was read could have come about, so that nothing here reaches beyond what there is.
  bool is_sound() const;

 private:
  void forget_kept();

  std::size_t line_bytes_max_;
  bool started_ = false;
  bool fresh_ = true;
  std::optional<Seq> received_end_;  ///< of what the receiver holds out of order and never came by
  bool was_edited_ = false;
  bool offset_unacknowledged_ = false;

  bool line_done_ = false;  ///< partial_ holds a line that was handed out, to be cleared
  bool start_certain_ = false;
  bool too_long_ = false;
  Seq next_;
  Seq forwarded_;
  Seq acknowledged_;
  Seq line_begin_;
  std::string partial_;

  Seq owed_end_;
  Time held_since_{};
  Seq kept_begin_;
  std::vector<std::uint8_t> kept_;  ///< reaches up to next_, or is empty
  struct Early {
    Seq begin;
    std::vector<std::uint8_t> bytes;
    Seq end() const { return begin + static_cast<std::int64_t>(bytes.size()); }
    template <typename Fields, typename Self>
    static void visit(Fields& fields, Self& self) {
      fields(self.begin, self.bytes);
    }
  };
  std::vector<Early> early_;
  std::optional<Seq> urgent_end_;
  std::vector<Edit> edits_;  ///< in stream order; those not yet acknowledged
  SeqMap map_;

  SequenceOffset offset_;
  Seq offset_edit_end_;

  Drops line_drops_;
  Drops early_drops_;
  bool line_waits_ = false;
};

}  // namespace ftpalg
