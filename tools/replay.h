// SPDX-License-Identifier: GPL-2.0-or-later
// The replay: the engine over a capture, in place of a gateway's two wires.
//
// A capture shows control connections from one side of a gateway. Of NAT only one end is
// translated, so only the lines of that end are ever edited: the edited direction. Its packets go
// through the engine as they are. Those of the other direction are shown by the capture as they
// have left the gateway; they are first turned into what must have arrived there, and that goes
// through the engine. The result is the same sessions as seen from the other side.
//
// Offsets are the engine's own (OffsetOwner::engine), and nothing here knows a file.
#pragma once

#include <list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "alg/engine.h"
#include "alg/seq_map.h"
#include "conntrack/memory_seams.h"

namespace ftpalg::tools {

/// What the gateway translates, as `--nat` tells it.
struct Nat {
  enum class Kind : std::uint8_t {
    none,
    source,       ///< clients behind the gateway appear as `public_address`
    destination,  ///< a server behind the gateway is dialled by `public_address`
  };
  Kind kind = Kind::none;
  Address public_address;
  /// Always there with `destination`. With `source` it is needed only when the capture was taken
  /// outside, where the client's own address does not appear.
  std::optional<Address> inside;

  /// Reads "snat:PUBLIC", "snat:PUBLIC=INSIDE", "dnat:PUBLIC=INSIDE" or "none"; or says what would
  /// be right.
  static tl::expected<Nat, std::string> parse(std::string_view text);
};

class Replay {
 public:
  /// The first of `nats` that fits a control connection is its NAT; without any it has none.
  Replay(std::vector<Nat> nats, std::vector<Port> control_ports);
  Replay(const Replay&) = delete;
  Replay& operator=(const Replay&) = delete;

  struct Passed {
    /// The packet as seen from the other side. Nothing when it does not get there. Valid, as
    /// `decisions` are, until the next packet.
    std::optional<wire::Bytes> packet;
    /// `packet` replaces the given one whole, with whatever follows it in its frame.
    bool is_new = false;
    std::span<const Decision> decisions;
    /// What a person should know about this packet.
    std::optional<std::string> note;
  };

  /// Takes an IP packet as it was captured, its end perhaps cut off. `now` never goes back.
  Passed on_packet(wire::Bytes captured, Time now);

  std::size_t control_connections() const { return controls_.size(); }

 private:
  struct Control {
    Master master;
    /// Client lines are edited behind source NAT, server lines behind destination NAT.
    Direction edited = Direction::original;
    /// What the engine has done to the sequence numbers of the edited direction.
    SeqMap map;
    /// The end of what the edited direction has sent, in the sender's numbering, and of what has
    /// left of it, in the receiver's. They are one place unless bytes are held.
    std::optional<Seq> sent_end;
    std::optional<Seq> left_end;
    /// As the other side has last acknowledged, in the receiver's numbering.
    std::optional<Seq> far_ack;
    /// The number of a SYN that waits for its answer: as sent, and as it left.
    std::optional<Seq> syn;
    Seq syn_left;
  };

  /// Where a packet belongs; its tuple as captured is not that of the master.
  struct Place {
    Control* control;
    Direction direction;
  };

  /// What has become of an acknowledgement on the far side of the gateway.
  struct FarAcknowledgement {
    /// It acknowledged bytes that are held, which that side never got: there it is an older one.
    bool was_put_back = false;
    /// And so the packet has nothing to say there.
    bool is_empty = false;
  };

  std::optional<Place> place_of(const Segment& segment, std::optional<std::string>& note);
  std::optional<Place> begin_control(const Tuple& seen, std::optional<std::string>& note);
  std::optional<Master> master_of(const Tuple& seen, Direction& edited,
                                  std::optional<std::string>& note);
  void note_syn(Control& control, Direction direction, const Segment& segment);
  Passed pass_edited(Control& control, const Segment& segment, Time now);
  Passed pass_other(Control& control, const Segment& segment, Time now);
  Passed pass_cut_off(const Place& place, const Segment& segment, std::size_t captured_bytes);
  FarAcknowledgement turn_far(Control& control, const Segment& near_segment);
  void learn_edits(Control& control, std::span<const Decision> decisions, const Segment& sent);
  Outcome feed(Time now);

  std::vector<Nat> nats_;
  std::vector<Port> control_ports_;
  MemoryMasters masters_;
  MemoryExpectations expectations_;
  MemoryInjector injector_;
  Engine engine_;
  Time next_tick_{};

  std::list<Control> controls_;
  std::unordered_map<Tuple, Place> places_;  ///< by tuple as captured, both directions
  std::unordered_set<Tuple> reply_tuples_;
  std::unordered_set<Tuple> left_alone_;  ///< as captured, client to server
  std::vector<std::uint8_t> packet_;      ///< at work
  std::vector<std::uint8_t> other_side_;
};

}  // namespace ftpalg::tools
