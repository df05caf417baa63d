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
#include <utility>
#include <vector>

#include "alg/engine.h"
#include "alg/segment.h"
#include "alg/seq_map.h"
#include "alg/witness.h"
#include "conntrack/memory_seams.h"
#include "tools/nat.h"

namespace ftpalg::tools {

class Replay {
 public:
  /// The first of `nats` that fits a control connection is its NAT; without any it has none. Of the
  /// policy all counts but who owns the offsets. `witness`, if there is one, outlives this.
  Replay(std::vector<Nat> nats, std::vector<Port> control_ports, Policy policy,
         Witness* witness = nullptr);
  Replay(const Replay&) = delete;
  Replay& operator=(const Replay&) = delete;

  /// An IP packet as seen from the other side.
  struct Left {
    std::vector<std::uint8_t> bytes;
    /// The gateway has made it anew: it is whole, and nothing of its old frame but the link header
    /// goes with it.
    bool is_new = false;
  };

  /// What a call has brought about; valid until the next one.
  struct Passed {
    /// The packet is none of a control connection, and so it is the same on both sides.
    bool is_foreign = false;
    std::span<const Left> left;
    std::span<const Decision> decisions;
    /// What a person should know about this packet.
    std::optional<std::string> note;
    /// The packet, where it is TCP and foreign.
    std::optional<Segment> other = std::nullopt;
  };

  /// Takes an IP packet as it was captured, its end perhaps cut off. `now` never goes back.
  Passed on_packet(wire::Bytes captured, Time now);

  /// Lets time pass: bytes may be let go, or sent again. To be called about once a second.
  Passed on_tick(Time now);

  std::size_t control_connections() const { return controls_.size(); }

 private:
  /// Keeps what the gateway sends in the name of a peer. Its acknowledgements go to where the bytes
  /// came from, and are not seen from the other side.
  class SentPackets final : public Injector {
   public:
    InjectResult send(wire::Bytes packet, InjectAs as) override {
      if (as == InjectAs::tracked) packets_.emplace_back(packet.begin(), packet.end());
      return InjectResult::sent;
    }
    std::vector<std::vector<std::uint8_t>> take() { return std::exchange(packets_, {}); }

   private:
    std::vector<std::vector<std::uint8_t>> packets_;
  };

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

  std::optional<Place> place_of(const Segment& segment);
  bool begin_control(const Tuple& seen);
  std::optional<Master> master_of(const Tuple& seen, Direction& edited);
  void note_syn(Control& control, Direction direction, const Segment& segment);
  void pass_edited(Control& control, const Segment& segment, Time now);
  void pass_rest(Control& control, Seq from, Time now);
  std::optional<Seq> pass_verdict(Control& control, const Verdict& verdict);
  void pass_other(Control& control, const Segment& segment, Time now);
  void pass_cut_off(const Place& place, const Segment& segment, std::size_t captured_bytes);
  FarAcknowledgement turn_far(Control& control, const Segment& near_segment);
  void learn_edits(Control& control, const Segment& left);
  void leave_sent();
  void leave(Control& control, wire::Bytes packet, bool is_new);

  std::vector<Nat> nats_;
  std::vector<Port> control_ports_;
  MemoryMasters masters_;
  MemoryExpectations expectations_;
  SentPackets sent_;
  Engine engine_;

  std::list<Control> controls_;
  std::unordered_map<Tuple, Place> places_;    ///< by tuple as captured, both directions
  std::unordered_map<Tuple, Place> arrivals_;  ///< by tuple as it arrives at the gateway
  std::unordered_set<Tuple> left_alone_;       ///< as captured, client to server
  std::vector<std::uint8_t> packet_;           ///< at work

  std::vector<Left> left_;
  std::vector<Decision> decisions_;
  std::size_t learned_ = 0;  ///< so many decisions have been looked at for edits
  std::optional<std::string> note_;
};

}  // namespace ftpalg::tools
