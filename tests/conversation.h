// SPDX-License-Identifier: GPL-2.0-or-later
// A control connection for tests: two ends of a small TCP, the real engine between them, and a
// conntrack that shifts sequence numbers as nf_ct_seq_adjust does.
//
//   client  <->  engine + conntrack twin  <->  server
//
// The test says who sends which text and looks at what arrived, whatever the segments. Ways varies
// how the text travels, so that each conversation can be held whole, cut, byte by byte, sent twice,
// and across sequence wrap.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "alg/engine.h"
#include "conntrack/memory_seams.h"

namespace ftpalg::test {

/// How the text of a conversation travels.
struct Ways {
  OffsetOwner owner = OffsetOwner::kernel;
  std::uint32_t initial_seq = 1000;  ///< of the client; the server's is 500 further on
  std::size_t cut_at = 0;            ///< each text leaves in two segments, cut here; 0: in one
  bool byte_by_byte = false;
  bool send_twice = false;  ///< each segment comes again at once
  bool moves = false;       ///< after each packet and tick another engine goes on with the state
};

/// Every way worth trying for texts up to `text_bytes_max` long.
std::vector<Ways> all_ways(std::size_t text_bytes_max);
std::string to_string(const Ways& ways);

Endpoint endpoint(std::string_view address, std::uint16_t port);

/// A master with the client at `client` (seen by the server as `client_outside`), the server at
/// `server` (dialled as `server_outside`).
Master master_of(const Endpoint& client, const Endpoint& client_outside, const Endpoint& server,
                 const Endpoint& server_outside);
Master client_behind_snat();
Master server_behind_dnat();
Master both_nated();
Master without_nat();

/// `options` are whole words.
std::vector<std::uint8_t> make_packet(const Tuple& tuple, Seq seq, Seq ack, std::uint8_t flags,
                                      std::string_view payload, std::uint16_t urgent_pointer = 0,
                                      wire::Bytes options = {});

/// One end: sends a stream, receives a stream, acknowledges everything at once.
class Peer {
 public:
  explicit Peer(std::uint32_t initial_seq)
      : sent_until{initial_seq}, acknowledged{initial_seq}, first{Seq{initial_seq} + 1} {}

  Seq sent_until;    ///< the next number to send
  Seq acknowledged;  ///< the other end has everything before
  Seq first;         ///< number of the first byte of `sent`
  std::string sent;
  Seq expected;  ///< the next number to receive
  std::string received;
  std::map<std::uint32_t, std::string> out_of_order;  ///< by distance from `first_received`
  Seq first_received;
  std::vector<std::int32_t>
      urgent_ends;  ///< as it was told, one a segment; positions in `received`
};

class Conversation {
 public:
  Conversation(const Master& master, const Ways& ways, Policy policy = {},
               Witness* witness = nullptr);

  /// Sends text and lets it travel until it has been acknowledged, or until nothing moves any more.
  void client(std::string_view text) { say(Direction::original, text); }
  void server(std::string_view text) { say(Direction::reply, text); }
  /// 220, USER, 331, PASS, 230.
  void log_in();

  /// Only sends: one segment with `text`, as it is, without waiting for anything.
  void send_segment(Direction direction, std::string_view text, std::uint8_t more_flags = 0);
  /// The same, and says that urgent data ends `urgent_bytes` behind the start of `text`.
  void send_urgent_segment(Direction direction, std::string_view text, std::uint16_t urgent_bytes);
  /// Sends the bytes [from, from + length) of what was sent before, again, with other content if
  /// given.
  void send_again(Direction direction, std::size_t from, std::size_t length,
                  std::string_view other_content = {});
  /// The retransmission timer of one end runs out `times` times, as long as something is
  /// unacknowledged.
  void run_timer(Direction direction, int times = 10);
  void close(Direction direction);
  void reset(Direction direction);

  const std::string& server_received() const { return peers_[1].received; }
  const std::string& client_received() const { return peers_[0].received; }
  bool everything_arrived() const;
  /// All decisions since the start, or since the last call.
  std::vector<Decision> take_decisions();

  Engine& engine() { return *engine_; }
  /// The machine's own addresses, for whatever engine serves.
  void set_gateway_addresses(std::vector<Address> addresses);
  /// Another engine goes on in its place.
  void move_engine();
  MemoryMasters& masters() { return masters_; }
  MemoryExpectations& expectations() { return expectations_; }
  MemoryInjector& injector() { return injector_; }
  Peer& peer(Direction direction) { return peers_[static_cast<std::size_t>(direction)]; }
  const Master& master() const { return master_; }
  void advance(Time time) {
    now_ += time;
    tick();
  }
  Time now() const { return now_; }
  /// Segments of this end are lost on their way from the engine to the other end.
  void lose_after_engine(Direction direction, bool lose) {
    losing_[static_cast<std::size_t>(direction)] = lose;
  }
  /// Calls `watch` with the size of each packet that leaves the engine.
  void watch_packets(std::function<void(Direction, std::size_t)> watch) {
    watch_ = std::move(watch);
  }
  unsigned segments_dropped() const { return segments_dropped_; }

 private:
  void say(Direction direction, std::string_view text);
  void transmit(Direction direction, Seq seq, std::string_view payload, std::uint8_t flags,
                std::uint16_t urgent_pointer = 0);
  void cross(Direction direction, const std::vector<std::uint8_t>& packet);
  void deliver(Direction direction, std::vector<std::uint8_t> packet);
  void deliver_injected();
  void tick();
  void acknowledge(Direction direction);
  void shift_as_kernel(Direction direction, std::vector<std::uint8_t>& packet) const;

  Master master_;
  Ways ways_;
  MemoryMasters masters_;
  MemoryExpectations expectations_;
  MemoryInjector injector_;
  Policy policy_;
  Witness* witness_;
  std::vector<Address> gateway_addresses_;
  std::unique_ptr<Engine> engine_;
  std::array<Peer, 2> peers_;
  std::array<bool, 2> losing_{};
  std::vector<Decision> decisions_;
  std::size_t injected_delivered_ = 0;
  unsigned segments_dropped_ = 0;
  std::function<void(Direction, std::size_t)> watch_;
  Time now_{};
};

}  // namespace ftpalg::test
