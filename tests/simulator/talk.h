// SPDX-License-Identifier: GPL-2.0-or-later
// A talk: two applications play a script over two endpoints, and the oracle judges what arrives.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "agenda.h"
#include "gateway.h"
#include "oracle.h"
#include "script.h"
#include "tcp_endpoint.h"

namespace ftpalg::simulator {

class Talk {
 public:
  struct Ends {
    std::array<Habits, 2> habits;
    std::array<Outlet*, 2> outlets;
  };

  /// Its events are planned for `first_place` (the client's) and the place behind it.
  Talk(Script script, const Ends& ends, const Oracle::Excuses& excuses, Gateway& gateway,
       Agenda& agenda, std::uint8_t first_place, std::uint64_t seed, Figures& figures);

  void begin(Time now);
  void receive(Who who, wire::Bytes packet, Time now);
  /// The event of `who`'s timer that was planned for `now` has come.
  void on_timer(Who who, Time now);
  /// The application of `who` hands on its next piece.
  void on_writing(Who who, Time now);
  void note(const Decision& decision);
  void note_mtu(Who who, std::size_t mtu) { endpoints_[who].note_mtu(mtu); }

  bool is_over() const;
  bool is_aborted() const { return simulator::is_aborted(script_); }
  /// Nothing more will come: the last judgement.
  void end();

  /// What is wrong, or nothing.
  const std::string& finding() const { return finding_; }
  const TcpEndpoint& endpoint(Who who) const { return endpoints_[who]; }
  /// How far it has come.
  std::string state_text() const;

 private:
  /// How an application hands its text to TCP.
  enum class Hand : std::uint8_t { whole, cut, bytes };
  struct Piece {
    std::string text;
    bool pauses;
    bool urgent;
  };
  struct Writing {
    std::vector<Piece> pieces;
    std::size_t next = 0;
    bool is_planned = false;
  };

  void after_endpoint(Who who, Time now);
  void note_timer(Who who, Time now);
  void count_step(Who who, Time now);
  void play(Who who, Time now) { who == client ? play_client(now) : play_server(now); }
  void play_client(Time now);
  void play_server(Time now);
  void queue(Who who, const Line& line, Time now);
  bool is_written(Who who) const { return writings_[who].next == writings_[who].pieces.size(); }
  void find(std::string finding) {
    if (finding_.empty()) finding_ = std::move(finding);
  }

  Script script_;
  Agenda& agenda_;
  std::uint8_t first_place_;
  Random random_;
  Oracle oracle_;
  std::array<TcpEndpoint, 2> endpoints_;
  std::array<Time, 2> timers_{never, never};
  std::array<Hand, 2> hands_;
  std::array<Writing, 2> writings_;
  std::size_t batch_ = 0;
  std::size_t commands_written_ = 0;
  std::size_t replies_written_ = 0;
  std::array<bool, 2> ended_{};
  std::uint32_t steps_ = 0;  ///< of who breaks it off
  std::string finding_;
};

}  // namespace ftpalg::simulator
