// SPDX-License-Identifier: GPL-2.0-or-later
// One end of a TCP connection, small but real (RFC 9293): it sends a stream, repeats what is not
// acknowledged as real stacks do, and puts together what it receives. Habits choose between the
// ways of real stacks.
//
// It also watches: an acknowledgement, SACK block or urgent pointer that no honest peer could have
// sent is noted in fault().
#pragma once

#include <deque>
#include <map>
#include <string>

#include "alg/policy.h"
#include "figures.h"
#include "packet.h"
#include "random.h"

namespace ftpalg::simulator {

constexpr Time never = Time::max();

struct Habits {
  std::uint32_t initial_seq = 0;
  std::uint16_t mss = 1460;      ///< announced
  std::uint16_t window = 64000;  ///< bytes taken in at most while the application does not read
  bool sack = false;
  /// The kernel shifts both ends of a SACK block on their own, so that one within an edit that grew
  /// may come out empty or reversed. Real stacks pass over such a block.
  bool forgives_sack = false;
  bool timestamps = false;
  bool takes_syn_data = false;  ///< else only the SYN is acknowledged, and the data comes again
  bool nagle = true;
  bool delays_acks = false;
  bool probes_tail = false;  ///< tail loss probe (RFC 8985)
  bool coalesces = false;    ///< a repetition takes as much as fits, whatever was sent first
  bool keeps_alive = false;
  bool keepalive_has_byte = false;     ///< the probe carries one byte of garbage (RFC 9293, 3.8.4)
  bool window_probe_has_byte = false;  ///< with one new byte, as BSD does, or with an old number
  bool stops_reading = false;          ///< now and then the window closes
  std::uint32_t spurious_per_mille = 0;  ///< of segments, to be repeated though nothing is lost
};

std::string describe(const Habits& habits);

/// Takes what an endpoint sends. `packet` is valid during the call.
class Outlet {
 public:
  virtual ~Outlet() = default;
  virtual void send(const PacketBytes& packet) = 0;
};

class TcpEndpoint {
 public:
  /// `tuple` is that of the packets it sends.
  TcpEndpoint(const Tuple& tuple, const Habits& habits, std::uint64_t seed, Outlet& outlet,
              Figures& figures);

  /// What has been written before goes with the SYN (TCP Fast Open, RFC 7413).
  void connect(Time now);
  /// Sends `text` when the connection stands and the window allows. What the passive end has
  /// written before anybody called goes with its SYN.
  void write(std::string_view text, Time now);
  /// The last byte that was written is urgent.
  void write_urgent(std::string_view text, Time now);
  void close(Time now);
  /// Breaks off, or refuses when nobody has called yet.
  void abort(Time now);

  void receive(wire::Bytes packet, Time now);
  /// The path takes packets of `mtu` bytes at most (RFC 1191, RFC 8201).
  void note_mtu(std::size_t mtu);
  void on_timer(Time now);
  Time next_timer() const;

  /// In-order bytes so far; the application takes them out by remembering where it was.
  const std::string& received() const { return received_; }
  const std::string& written() const { return out_; }
  bool is_listening() const { return state_ == State::listening; }
  /// It may send: the connection stands, or was opened fast.
  bool is_open() const {
    return state_ == State::established || (state_ == State::syn_received && answers_early_);
  }
  /// Its FIN is acknowledged.
  bool has_closed() const { return fin_queued_ && is_drained(); }
  bool peer_closed() const { return fin_received_; }
  /// Its FIN is acknowledged and the peer's has come, or the connection was reset.
  bool is_done() const;
  bool was_reset() const { return state_ == State::reset; }
  bool is_drained() const { return una_ == static_cast<std::int32_t>(out_.size()) + fin_size(); }
  /// What must never happen, or nothing.
  const std::string& fault() const { return fault_; }
  /// Where urgent data ends, as segments said; positions in received().
  const std::vector<std::size_t>& urgent_ends() const { return urgent_received_; }

  Seq base() const { return Seq{habits_.initial_seq} + 1; }
  Seq peer_base() const { return peer_base_; }

 private:
  enum class State : std::uint8_t { listening, syn_sent, syn_received, established, reset };
  struct Sent {
    std::int32_t begin;
    std::int32_t end;  ///< the FIN counts as one
  };

  static constexpr std::uint16_t mss_default = 536;

  // Positions count from the first byte of the stream; the SYN stands at -1.
  std::int32_t fin_size() const { return fin_queued_ ? 1 : 0; }
  std::int32_t stream_end() const { return static_cast<std::int32_t>(out_.size()) + fin_size(); }
  std::size_t payload_max() const;
  void send_syn(Time now);
  std::size_t syn_data_max() const;
  void answer_with_reset(const Segment& segment);
  void output(Time now);
  void send_range(std::int32_t begin, std::int32_t end, Time now);
  void send_ack(Time now);
  void send_flags(std::uint8_t flags, std::int32_t position, std::string_view payload, Time now);
  void fill(Header& header, Time now);
  void repeat_oldest(Time now);
  void repeat_newest(Time now);
  void repeat_anything(Time now);
  void on_retransmission_timer(Time now);
  void restart_timers(Time now);

  void on_call(const Segment& segment, Time now);
  void on_answer(const Segment& segment, Time now);
  void note_peer(const Segment& segment);
  bool acknowledges_syn(const Segment& segment) const;
  void establish(const Segment& segment, Time now);
  void on_ack(const Segment& segment, Time now);
  void on_sack(const Segment& segment);
  void on_data(const Segment& segment, Time now);
  void take_in_order(Time now);
  std::uint16_t window_now() const;
  bool is_sacked(std::int32_t position) const;
  void become_reset();
  void blame(std::string text) {
    if (fault_.empty()) fault_ = std::move(text);
  }

  Tuple tuple_;
  Habits habits_;
  Random random_;
  Outlet& outlet_;
  PacketBytes packet_;
  State state_ = State::listening;
  bool answers_early_ = false;  ///< the peer's SYN had data: no need to wait for its answer
  std::string fault_;
  Figures& figures_;

  // Sending.
  std::string out_;
  bool fin_queued_ = false;
  std::int32_t una_ = -1;
  std::int32_t next_ = -1;
  std::int32_t sent_max_ = -1;
  std::int32_t right_edge_ = 0;  // the peer takes bytes before it
  std::int32_t urgent_end_ = -1;
  std::uint16_t peer_mss_ = mss_default;
  std::size_t path_mss_ = 65535;
  std::deque<Sent> sent_;  // unacknowledged segments, as they were first cut
  std::vector<Sent> sacked_;
  std::int32_t recover_ = -1;
  unsigned duplicate_acks_ = 0;
  unsigned backoff_ = 0;
  bool peer_sack_ = false;
  bool peer_timestamps_ = false;
  std::uint32_t echo_ = 0;

  // Receiving.
  Seq peer_base_;
  std::string received_;
  std::map<std::int32_t, std::string> out_of_order_;
  std::int32_t fin_position_ = -1;
  bool fin_received_ = false;
  std::vector<std::size_t> urgent_received_;
  std::int32_t offered_ = 0;  // right edge that the peer was told
  bool reading_ = true;
  std::uint32_t acks_owed_ = 0;
  std::array<SackBlock, 1> duplicate_{};
  bool has_duplicate_ = false;
  std::int32_t last_arrival_ = 0;

  // Timers; `never` when not set.
  Time retransmission_at_;
  Time probe_at_;
  Time delayed_ack_at_;
  Time keepalive_at_;
  Time window_probe_at_;
  Time spurious_at_;
  Time reading_at_;
  Time challenge_allowed_at_{};
};

}  // namespace ftpalg::simulator
