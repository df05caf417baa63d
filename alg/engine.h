// SPDX-License-Identifier: GPL-2.0-or-later
// The engine: takes the packets of control connections one by one and says what becomes of each.
//
//   Packet -> Segment -> Stream -> Line -> Session -> Decision -> Edit -> Verdict
//
// It knows no socket, clock or log. What it does to the world goes through the three seams, in this
// order: expectation, offset, verdict; when one fails, what came before it is undone and the bytes
// pass as they came.
#pragma once

#include <span>
#include <tl/expected.hpp>
#include <vector>

#include "alg/announced.h"
#include "alg/connection.h"
#include "alg/deadline.h"
#include "alg/decision.h"
#include "alg/engine_state.h"
#include "alg/policy.h"
#include "alg/segment.h"
#include "alg/witness.h"
#include "conntrack/injector.h"
#include "conntrack/verdict.h"

namespace ftpalg {

/// The engine's way to the kernel; the referents outlive the engine.
struct Seams {
  Masters& masters;
  Expectations& expectations;
  Injector& injector;
};

/// Both are the engine's own and valid until it is given the next packet.
struct Outcome {
  Verdict verdict;
  std::span<const Decision> decisions;
};

class Engine {
 public:
  /// `key` is for nobody to know who sends packets: it draws the ports that are not to be foreseen.
  /// `witness`, if there is one, outlives the engine.
  Engine(Policy policy, const Seams& seams, const KeyedHash::Key& key = {},
         Witness* witness = nullptr)
      : policy_(std::move(policy)),
        key_(key),
        masters_(seams.masters),
        injector_(seams.injector),
        connections_(KeyedHash{key}),
        use_(KeyedHash{key}),
        announced_(seams.expectations, connections_, use_, KeyedHash{key}),
        witness_(witness) {}
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  /// From the next line on, for the sessions that are under way too.
  void set_policy(Policy policy);
  /// The machine's own addresses, which no end but itself may announce (protocol rule 22).
  void set_gateway_addresses(std::vector<Address> addresses) {
    gateway_addresses_ = std::move(addresses);
  }

  /// Takes one packet of a control connection as it stands before NAT, in the order of arrival.
  /// `now` never goes back.
  Outcome on_packet(wire::Bytes packet, Time now);

  /// Ends what has outlived its time. To be called about once a second. What is returned is valid
  /// until the next call of anything here.
  std::span<const Decision> on_tick(Time now);

  /// For an orderly end: what is held leaves as it is, because its sender has been told that it
  /// arrived, and no expectation is left.
  void withdraw_all(Time now);

  /// All that it knows, for another engine, so that this one must be given nothing more then.
  std::vector<std::uint8_t> state() const;
  /// Goes on where another engine stands. To be called before the first packet, on an engine that
  /// was made with the state's key.
  void take_over(EngineState state, Time now);

  /// Whether the start of a line is held back anywhere.
  bool holds_any() const;

  std::size_t connections() const { return connections_.size(); }
  /// Announced data connections that the kernel may still wait for.
  std::uint32_t expectations() const { return use_.of_all().expectations; }
  /// Decisions made for `reason` since the start.
  std::uint64_t count(Reason reason) const { return counts_[static_cast<std::size_t>(reason)]; }

 private:
  /// What of a stream leaves with a segment: [from, to) in the sender's numbering.
  struct Extent {
    Seq from;
    Seq to;
    bool drop = false;
  };

  /// One segment on its way through the stages.
  struct Passage {
    Connection& connection;
    Direction direction;
    const Segment& segment;
    Time now;
    Stream& stream;
    Seq unsent;  ///< the first byte of the stream that had not been sent on when the segment came
    bool shows_unseen_bytes = false;  ///< its ACK is for bytes that never came by here
    bool acknowledges_anew = false;   ///< its ACK is not the one that its sender gave last
    bool held_before = false;         ///< bytes were held when the segment came
    bool is_faithful = true;          ///< what it repeats is what came first
  };

  /// The connection that a segment belongs to; or, as the error, what becomes of a segment that
  /// belongs to none that is known.
  using Place = tl::expected<ConnectionTable::Found, Verdict>;

  Verdict judge(const Segment& segment);
  Place connection_of(const Segment& segment);
  Place on_syn(const Segment& segment);
  Place on_new_master(const Segment& segment);
  static bool answers_another_syn(const Connection& connection, const Segment& segment);
  static bool answers_reopening(const Connection& connection, const Segment& segment);
  std::optional<Verdict> set_master(Connection& connection, const Master& master);
  static bool shows_beginning(const ConnectionTable::Found& found, const Segment& segment);
  std::optional<Verdict> begin(Connection& connection);
  void note_master(Connection& connection) const;
  Reason obstacle(const Address& client) const;
  Connection& admit(const Tuple& original);
  Verdict turn_away(const Tuple& original, const Address& client, Reason reason);
  Verdict turn_away(const Master& master, Reason reason);
  void leave_to_kernel(const Master& master);
  void note_acknowledgement(Passage& passage);
  void note_end(Connection& connection, Direction direction, const Segment& segment);

  Extent read(Passage& passage);
  static bool comes_before_its_syn(Passage& passage);
  Extent on_missing_bytes(Passage& passage);
  Seq with_owed(Passage& passage, Seq begin);
  Seq read_fresh(Passage& passage, wire::Bytes fresh);
  wire::Bytes join_early(Stream& stream, wire::Bytes fresh);
  bool pass_records(Passage& passage, wire::Bytes& fresh);
  static bool is_read(const Passage& passage);
  static bool needs_order(const Passage& passage);
  static bool begins_tls(const Passage& passage, wire::Bytes fresh);
  bool must_wait(Passage& passage, const Line& line);
  bool beginning_must_wait(Passage& passage) const;
  bool has_room(const Stream& stream) const {
    return kept_bytes_ < policy_.kept_bytes_max || stream.owes_bytes();
  }
  bool may_be_edited(const Passage& passage) const;
  bool hold(Passage& passage);
  bool acknowledge_held(const Passage& passage);

  void on_line(Passage& passage, const Line& line);
  void obey(Passage& passage, const Line& line);
  void bear_witness();
  void note_meaning(Passage& passage, std::string_view line, const Meaning& meaning);
  void on_announcement(Passage& passage, const Line& line, const Meaning& meaning);
  void open(Passage& passage, const Line& line, const Announcement& announcement, Seq position);
  bool refuse(Passage& passage, const Line& line);
  void refuse_beginning(Connection& connection, Direction direction, Seq unsent);
  static void overwrite(Stream& stream, Seq from, Seq to);
  Reason shift(Passage& passage, const Edit& edit);
  void forget(Connection& connection);
  void finish_if_done(Connection& connection);
  Decision& decide(const Passage& passage, Action action, Reason reason, std::string_view line);
  Decision& decide(const Tuple& control, Direction direction, Action action, Reason reason,
                   std::string_view line);

  Verdict send_on(Passage& passage, Extent extent);
  bool may_still_be_edited(const Connection& connection, Direction direction, Seq position) const;
  void tell_urgent(const Connection& connection, Direction direction, Seq from, Seq leaves_as);
  void shift_acknowledgement(const Passage& passage);
  void let_go(Connection& connection, Direction direction);
  std::span<const Decision> decisions() const {
    return std::span{decisions_}.first(decision_count_);
  }
  void watch(Connection& connection, Time now);
  void keep_watched(Time now);
  bool pay_owed(Connection& connection, Direction direction, Time now);

  Policy policy_;
  KeyedHash::Key key_;
  std::vector<Address> gateway_addresses_;
  Masters& masters_;
  Injector& injector_;
  ConnectionTable connections_;
  ClientUse use_;
  Announced announced_;
  std::size_t kept_bytes_ = 0;  ///< of all connections together
  /// Soonest first: these have different lengths.
  DueQueue<Deadline> hold_deadlines_;
  /// Soonest first.
  DueQueue<Deadline> watch_deadlines_;
  std::array<std::uint64_t, reason_count> counts_{};
  /// The first decision_count_ are those of this call; the others' memory is used again.
  std::vector<Decision> decisions_;
  std::size_t decision_count_ = 0;
  Witness* witness_;
  std::size_t witnessed_ = 0;  ///< so many of decisions_ the witness knows of
  Time now_{};                 ///< as the call that is under way was told
  std::vector<std::uint8_t> joined_;
  PacketBuilder builder_;
};

}  // namespace ftpalg
