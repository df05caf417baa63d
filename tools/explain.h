// SPDX-License-Identifier: GPL-2.0-or-later
// The explanation: what the gateway does with a conversation, line by line, and why.
//
// Two ends of a small TCP on a perfect network have the engine between them. The text that leaves
// for a line is what arrives at its receiver, and not what a decision says of it.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "alg/engine.h"
#include "conntrack/memory_seams.h"

namespace ftpalg::tools {

/// What becomes of one line.
struct Explained {
  Decision decision;    ///< anything but wait; made up for a line that nothing was decided about
  std::string text;     ///< what leaves for the line, without CR LF at the end
  bool opaque = false;  ///< no later line is read
  std::string_view reason;
};

class Explanation {
 public:
  /// `gateway_addresses` are those that nobody but the gateway may announce (protocol rule 22).
  Explanation(const Master& master, Policy policy, std::vector<Address> gateway_addresses);
  Explanation(const Explanation&) = delete;
  Explanation& operator=(const Explanation&) = delete;

  /// One end sends `bytes`, which need not end where a line does.
  Explained say(Direction direction, std::string_view bytes);

 private:
  struct End {
    Seq sent;          ///< the next number to send
    Seq acknowledged;  ///< the other end has everything before
    Seq expected;      ///< the next number to receive
    std::string received;
  };

  End& end(Direction direction) { return ends_[static_cast<std::size_t>(direction)]; }
  void shake_hands();
  void transmit(Direction direction, Seq seq, std::string_view payload);
  std::optional<std::vector<std::uint8_t>> pass(Direction direction, Seq seq,
                                                std::string_view payload, std::uint8_t flags);
  void deliver(Direction direction, wire::Bytes packet);
  void deliver_injected();
  void let_time_pass();
  Explained explained(Direction direction, std::size_t received_before, bool had_bytes);

  Master master_;
  MemoryMasters masters_;
  MemoryExpectations expectations_;
  MemoryInjector injector_;
  Engine engine_;
  PacketBuilder builder_;
  std::array<End, 2> ends_;
  std::size_t injected_delivered_ = 0;
  std::vector<Decision> decisions_;     ///< about the line at work
  bool is_expected_ = false;            ///< the expectation of an earlier line is there
  std::optional<Reason> unread_since_;  ///< no line is read any more, and why
  Time now_{};
};

}  // namespace ftpalg::tools
