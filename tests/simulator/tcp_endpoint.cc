// SPDX-License-Identifier: GPL-2.0-or-later
#include "tcp_endpoint.h"

#include <fmt/format.h>

#include <algorithm>

namespace ftpalg::simulator {
namespace {

using namespace std::chrono_literals;

constexpr Time timeout_min = 300ms;
constexpr Time timeout_max = 4s;
constexpr Time tail_probe_after = 120ms;
constexpr Time delayed_ack_after = 40ms;
constexpr Time keepalive_after = 5s;
constexpr Time window_probe_after = 400ms;
constexpr unsigned duplicate_acks_for_repetition = 3;
/// Then it gives up (RFC 9293, section 3.8.3), about two minutes after the last acknowledgement.
constexpr unsigned timeouts_in_a_row_max = 30;
constexpr std::uint8_t option_sack_permitted = 4;
constexpr std::uint8_t option_timestamps = 8;

std::string_view text_of(wire::Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace

std::string describe(const Habits& habits) {
  return fmt::format(
      "isn {:#x} mss {} window {}{}{}{}{}{}{}{}{}{}", habits.initial_seq, habits.mss, habits.window,
      habits.sack ? " sack" : "", habits.timestamps ? " timestamps" : "",
      habits.nagle ? " nagle" : "", habits.delays_acks ? " delayed-acks" : "",
      habits.probes_tail ? " tail-probes" : "", habits.coalesces ? " coalesces" : "",
      habits.keeps_alive ? " keepalive" : "", habits.stops_reading ? " stops-reading" : "",
      habits.spurious_per_mille > 0 ? " spurious" : "");
}

TcpEndpoint::TcpEndpoint(const Tuple& tuple, const Habits& habits, std::uint64_t seed,
                         Outlet& outlet, Figures& figures)
    : tuple_(tuple),
      habits_(habits),
      random_(seed),
      outlet_(outlet),
      figures_(figures),
      retransmission_at_(never),
      probe_at_(never),
      delayed_ack_at_(never),
      keepalive_at_(never),
      window_probe_at_(never),
      spurious_at_(never),
      reading_at_(never) {}

bool TcpEndpoint::is_done() const {
  return state_ == State::reset || (has_closed() && fin_received_);
}

std::size_t TcpEndpoint::payload_max() const {
  constexpr std::size_t timestamps_bytes = 12;
  constexpr std::size_t sack_bytes_max = 28;
  const bool has_sack = has_duplicate_ || !out_of_order_.empty();
  const std::size_t options = (habits_.timestamps && peer_timestamps_ ? timestamps_bytes : 0) +
                              (habits_.sack && peer_sack_ && has_sack ? sack_bytes_max : 0);
  return std::min<std::size_t>({habits_.mss, peer_mss_, path_mss_}) - options;
}

void TcpEndpoint::note_mtu(std::size_t mtu) {
  const std::size_t header_bytes = tuple_.source.address.family() == Family::ipv4 ? 40 : 60;
  path_mss_ = std::min(path_mss_, mtu - header_bytes);
}

Time TcpEndpoint::next_timer() const {
  return std::min({retransmission_at_, probe_at_, delayed_ack_at_, keepalive_at_, window_probe_at_,
                   spurious_at_, reading_at_});
}

// --- Sending

void TcpEndpoint::connect(Time now) {
  state_ = State::syn_sent;
  send_syn(now);
}

void TcpEndpoint::send_syn(Time now) {
  Header header;
  header.seq = Seq{habits_.initial_seq};
  header.flags = Segment::syn_flag;
  if (state_ != State::syn_sent) {
    header.flags |= Segment::ack_flag;
    header.ack = peer_base_ + static_cast<std::int64_t>(received_.size());
  }
  header.window = habits_.window;
  header.mss = habits_.mss;
  header.sack_permitted = habits_.sack;
  header.timestamps = habits_.timestamps;
  header.timestamp = static_cast<std::uint32_t>(now / 1ms);
  header.timestamp_echo = echo_;
  offered_ = habits_.window;
  // A SYN that comes again comes without data, as Linux sends it.
  std::string_view data;
  if (backoff_ == 0) data = std::string_view{out_}.substr(0, syn_data_max());
  if (!data.empty()) ++figures_.data_in_syn;
  make_packet(tuple_, header, data, packet_);
  next_ = std::max(next_, static_cast<std::int32_t>(data.size()));
  sent_max_ = std::max(sent_max_, next_);
  ++figures_.segments;
  retransmission_at_ = now + 1s * (1 << std::min(backoff_, 2U));
  outlet_.send(packet_);
}

void TcpEndpoint::write(std::string_view text, Time now) {
  out_ += text;
  output(now);
}

void TcpEndpoint::write_urgent(std::string_view text, Time now) {
  out_ += text;
  urgent_end_ = static_cast<std::int32_t>(out_.size());
  output(now);
}

void TcpEndpoint::close(Time now) {
  fin_queued_ = true;
  output(now);
}

void TcpEndpoint::abort(Time now) {
  const bool is_answered = state_ == State::established || state_ == State::syn_received;
  if (is_answered && !is_done()) {
    send_flags(Segment::rst_flag | Segment::ack_flag, sent_max_, {}, now);
  }
  become_reset();
}

void TcpEndpoint::become_reset() {
  state_ = State::reset;
  retransmission_at_ = probe_at_ = delayed_ack_at_ = keepalive_at_ = window_probe_at_ =
      spurious_at_ = reading_at_ = never;
}

/// The SYN's options are longer than a segment's. A caller knows nothing of the other end yet.
std::size_t TcpEndpoint::syn_data_max() const {
  constexpr std::size_t option_bytes = 20;
  const std::size_t size = payload_max() - option_bytes;
  return state_ == State::syn_sent ? size : std::min(size, static_cast<std::size_t>(right_edge_));
}

void TcpEndpoint::output(Time now) {
  if (!is_open()) return;
  while (next_ < stream_end()) {
    const std::int32_t out_end = static_cast<std::int32_t>(out_.size());
    const std::int32_t room = right_edge_ - next_;
    const std::int32_t length =
        std::min({static_cast<std::int32_t>(payload_max()), out_end - next_, std::max(0, room)});
    const bool with_fin = fin_queued_ && next_ + length == out_end;
    if (length == 0 && !with_fin) break;  // no room
    const bool is_small = length < static_cast<std::int32_t>(payload_max());
    if (habits_.nagle && is_small && una_ < next_ && !with_fin && urgent_end_ <= una_) return;
    const Sent segment{next_, next_ + length + (with_fin ? 1 : 0)};
    sent_.push_back(segment);
    next_ = segment.end;
    sent_max_ = std::max(sent_max_, next_);
    send_range(segment.begin, segment.end, now);
    if (habits_.probes_tail && probe_at_ == never) probe_at_ = now + tail_probe_after;
    if (retransmission_at_ == never) restart_timers(now);
    if (random_.chance(habits_.spurious_per_mille)) {
      spurious_at_ = now + std::chrono::milliseconds{random_.below(300)};
    }
  }
  if (next_ < stream_end() && una_ == next_) {
    if (window_probe_at_ == never) window_probe_at_ = now + window_probe_after;
  } else {
    window_probe_at_ = never;
  }
}

void TcpEndpoint::fill(Header& header, Time now) {
  header.ack = peer_base_ + static_cast<std::int64_t>(received_.size()) + (fin_received_ ? 1 : 0);
  header.window = window_now();
  offered_ = static_cast<std::int32_t>(received_.size()) + header.window;
  if (habits_.timestamps && peer_timestamps_) {
    header.timestamps = true;
    header.timestamp = static_cast<std::uint32_t>(now / 1ms);
    header.timestamp_echo = echo_;
  }
  if (habits_.sack && peer_sack_) {
    if (has_duplicate_) header.sack[header.sack_count++] = duplicate_[0];
    // The block with the latest arrival first (RFC 2018, section 4).
    for (const bool latest : {true, false}) {
      std::int32_t begin = -1;
      std::int32_t end = -1;
      const auto put = [&] {
        const bool has_latest = begin <= last_arrival_ && last_arrival_ < end;
        if (begin < end && has_latest == latest && header.sack_count < header.sack.size()) {
          header.sack[header.sack_count++] = {peer_base_ + begin, peer_base_ + end};
        }
      };
      for (const auto& [at, bytes] : out_of_order_) {
        if (at > end || begin == end) {
          put();
          begin = at;
        }
        end = std::max(end, at + static_cast<std::int32_t>(bytes.size()));
      }
      put();
    }
  }
  has_duplicate_ = false;
  acks_owed_ = 0;
  delayed_ack_at_ = never;
  keepalive_at_ = habits_.keeps_alive ? now + keepalive_after : never;
}

void TcpEndpoint::send_flags(std::uint8_t flags, std::int32_t position, std::string_view payload,
                             Time now) {
  Header header;
  header.seq = base() + position;
  header.flags = flags;
  fill(header, now);
  if (urgent_end_ > position && !payload.empty()) {
    header.flags |= Segment::urg_flag;
    // As Linux does, it points behind the urgent byte (RFC 6093).
    header.urgent_pointer = static_cast<std::uint16_t>(urgent_end_ - position);
  }
  make_packet(tuple_, header, payload, packet_);
  ++figures_.segments;
  outlet_.send(packet_);
}

void TcpEndpoint::send_range(std::int32_t begin, std::int32_t end, Time now) {
  const std::int32_t out_end = static_cast<std::int32_t>(out_.size());
  const std::int32_t data_end = std::min(end, out_end);
  const bool with_fin = fin_queued_ && end > out_end;
  std::uint8_t flags = Segment::ack_flag;
  if (with_fin) flags |= Segment::fin_flag;
  if (data_end == out_end && data_end > begin) flags |= Segment::psh_flag;
  send_flags(flags, begin,
             std::string_view{out_}.substr(static_cast<std::size_t>(begin),
                                           static_cast<std::size_t>(data_end - begin)),
             now);
}

void TcpEndpoint::send_ack(Time now) {
  send_flags(Segment::ack_flag, next_, {}, now);
}

bool TcpEndpoint::is_sacked(std::int32_t position) const {
  return std::any_of(sacked_.begin(), sacked_.end(), [&](const Sent& range) {
    return range.begin <= position && position < range.end;
  });
}

void TcpEndpoint::repeat_oldest(Time now) {
  std::int32_t begin = una_;
  if (duplicate_acks_ > 0) {
    // SACK says what to leave out; the timer does not trust it (RFC 2018, section 8).
    while (begin < sent_max_ && is_sacked(begin)) ++begin;
  }
  if (begin >= sent_max_) return;
  std::int32_t end = begin;
  for (const Sent& segment : sent_) {
    if (segment.end > begin) {
      end = segment.end;
      break;
    }
  }
  if (habits_.coalesces || end == begin) {
    end = std::min(begin + static_cast<std::int32_t>(payload_max()), sent_max_);
  }
  end = std::min(end, begin + static_cast<std::int32_t>(payload_max()) + 1);
  if (end <= static_cast<std::int32_t>(out_.size())) {
    end = std::min(end, begin + static_cast<std::int32_t>(payload_max()));
  } else if (end - 1 - begin > static_cast<std::int32_t>(payload_max())) {
    end = begin + static_cast<std::int32_t>(payload_max());
  }
  ++figures_.repetitions;
  send_range(begin, end, now);
}

void TcpEndpoint::repeat_newest(Time now) {
  if (sent_.empty()) return;
  const Sent last = sent_.back();
  ++figures_.repetitions;
  const std::int32_t fitting = last.end - static_cast<std::int32_t>(payload_max());
  send_range(std::max({last.begin, una_, fitting}), last.end, now);
}

void TcpEndpoint::repeat_anything(Time now) {
  if (una_ < 0 || una_ >= sent_max_) return;
  const auto span = static_cast<std::uint32_t>(sent_max_ - una_);
  const std::int32_t begin = una_ + static_cast<std::int32_t>(random_.below(span));
  const auto rest = static_cast<std::uint32_t>(sent_max_ - begin);
  const auto most = std::min(rest, static_cast<std::uint32_t>(payload_max()));
  ++figures_.repetitions;
  send_range(begin, begin + static_cast<std::int32_t>(random_.between(1, most)), now);
}

void TcpEndpoint::restart_timers(Time now) {
  if (una_ >= sent_max_) {
    retransmission_at_ = probe_at_ = never;
    return;
  }
  retransmission_at_ = now + std::min(timeout_max, timeout_min * (1 << std::min(backoff_, 4U)));
  probe_at_ = habits_.probes_tail && backoff_ == 0 ? now + tail_probe_after : never;
}

void TcpEndpoint::on_retransmission_timer(Time now) {
  retransmission_at_ = never;
  if (++backoff_ > timeouts_in_a_row_max) return become_reset();
  if (state_ == State::syn_sent || state_ == State::syn_received) {
    send_syn(now);
    return;
  }
  sacked_.clear();
  duplicate_acks_ = 0;
  recover_ = sent_max_;
  repeat_oldest(now);
  restart_timers(now);
}

void TcpEndpoint::on_timer(Time now) {
  const auto is_due = [now](Time& at) {
    if (at > now) return false;
    at = never;
    return true;
  };
  if (retransmission_at_ <= now) on_retransmission_timer(now);
  if (is_due(probe_at_) && una_ < sent_max_) repeat_newest(now);
  if (is_due(delayed_ack_at_) && acks_owed_ > 0) send_ack(now);
  if (is_due(spurious_at_)) repeat_anything(now);
  // Only an idle end that has not closed asks whether the other is still there.
  if (is_due(keepalive_at_) && una_ == sent_max_ && !fin_queued_) {
    const bool has_byte = habits_.keepalive_has_byte && sent_max_ > 0;
    send_flags(Segment::ack_flag, next_ - 1, has_byte ? std::string_view{"\0", 1} : "", now);
  }
  if (is_due(window_probe_at_)) {
    window_probe_at_ = now + window_probe_after;
    if (habits_.window_probe_has_byte && next_ < static_cast<std::int32_t>(out_.size())) {
      // The byte counts as sent when it is acknowledged.
      sent_max_ = std::max(sent_max_, next_ + 1);
      send_range(next_, next_ + 1, now);
    } else {
      send_flags(Segment::ack_flag, una_ - 1, {}, now);
    }
  }
  if (is_due(reading_at_)) {
    reading_ = true;
    send_ack(now);
  }
}

// --- Receiving

std::uint16_t TcpEndpoint::window_now() const {
  const auto have = static_cast<std::int32_t>(received_.size());
  return static_cast<std::uint16_t>(reading_
                                        ? std::max<std::int32_t>(habits_.window, offered_ - have)
                                        : std::max(0, offered_ - have));
}

void TcpEndpoint::receive(wire::Bytes packet, Time now) {
  const auto parsed = Segment::parse(packet);
  if (!parsed) return blame("received what is no segment");
  const Segment& segment = *parsed;
  if (state_ == State::reset) return answer_with_reset(segment);
  if (state_ == State::listening) return on_call(segment, now);
  if (state_ == State::syn_sent) return on_answer(segment, now);
  if (segment.has(Segment::syn_flag)) {
    const bool is_repeated = state_ == State::syn_received && !segment.has(Segment::ack_flag);
    is_repeated ? send_syn(now) : send_ack(now);  // a challenge (RFC 5961, section 4)
    return;
  }
  if (segment.has(Segment::rst_flag)) {
    // Only the exact number ends the connection; one in the window is challenged (RFC 5961).
    const std::int32_t at = segment.seq() - peer_base_;
    const auto expected = static_cast<std::int32_t>(received_.size()) + (fin_received_ ? 1 : 0);
    if (at == expected || state_ != State::established) {
      become_reset();
    } else if (at > expected && at <= offered_) {
      send_ack(now);
    }
    return;
  }
  if (!segment.has(Segment::ack_flag)) return;
  if (state_ == State::syn_received) {
    if (!acknowledges_syn(segment)) return;
    establish(segment, now);
  }
  if (segment.payload().size() > habits_.mss) ++figures_.above_mss;
  on_ack(segment, now);
  on_data(segment, now);
  output(now);
}

/// RFC 9293, section 3.10.7.1
void TcpEndpoint::answer_with_reset(const Segment& segment) {
  if (segment.has(Segment::rst_flag)) return;
  Header header;
  header.flags = Segment::rst_flag;
  if (segment.has(Segment::ack_flag)) {
    header.seq = segment.ack();
  } else {
    header.flags |= Segment::ack_flag;
    header.ack = segment.payload_end();
  }
  make_packet(tuple_, header, {}, packet_);
  outlet_.send(packet_);
}

void TcpEndpoint::note_peer(const Segment& segment) {
  peer_base_ = segment.seq() + 1;
  if (const auto mss = read_mss(segment.options()); mss != 0) peer_mss_ = mss;
  peer_sack_ = has_option(segment.options(), option_sack_permitted);
  peer_timestamps_ = has_option(segment.options(), option_timestamps);
  right_edge_ = segment.window();
}

void TcpEndpoint::on_call(const Segment& segment, Time now) {
  if (segment.has(Segment::rst_flag)) return;
  if (segment.has(Segment::ack_flag)) return answer_with_reset(segment);
  if (!segment.has(Segment::syn_flag)) return;
  note_peer(segment);
  if (habits_.takes_syn_data && !segment.payload().empty()) {
    received_ = text_of(segment.payload()).substr(0, habits_.window);
    answers_early_ = true;
  }
  state_ = State::syn_received;
  send_syn(now);
}

bool TcpEndpoint::acknowledges_syn(const Segment& segment) const {
  return segment.has(Segment::ack_flag) && segment.ack() >= base() &&
         segment.ack() <= base() + sent_max_;
}

void TcpEndpoint::on_answer(const Segment& segment, Time now) {
  // Half a connection that the other end remembers, for one (RFC 9293, section 3.5.2).
  if (segment.has(Segment::ack_flag) && !acknowledges_syn(segment)) {
    return answer_with_reset(segment);
  }
  if (!segment.has(Segment::ack_flag)) return;
  if (segment.has(Segment::rst_flag)) return become_reset();
  if (!segment.has(Segment::syn_flag)) return;
  note_peer(segment);
  establish(segment, now);
  if (habits_.takes_syn_data && !segment.payload().empty()) {
    on_data(segment, now);
  } else {
    send_ack(now);
  }
  output(now);
}

void TcpEndpoint::establish(const Segment& segment, Time now) {
  state_ = State::established;
  una_ = segment.ack() - base();
  // Data that went with the SYN and was not taken comes again at once.
  if (sent_.empty()) next_ = una_;
  backoff_ = 0;
  right_edge_ = una_ + segment.window();
  restart_timers(now);
}

void TcpEndpoint::on_ack(const Segment& segment, Time now) {
  const std::int32_t ack = segment.ack() - base();
  if (ack > sent_max_) {
    return blame(
        fmt::format("acknowledgement {} for bytes that were not sent: {}", ack, sent_max_));
  }
  if (ack < una_) return;
  on_sack(segment);
  const std::int32_t edge = ack + segment.window();
  const bool window_changed = edge != right_edge_;
  right_edge_ = edge;
  if (ack > una_) {
    una_ = ack;
    next_ = std::max(next_, una_);
    while (!sent_.empty() && sent_.front().end <= una_) sent_.pop_front();
    std::erase_if(sacked_, [&](const Sent& range) { return range.end <= una_; });
    backoff_ = 0;
    restart_timers(now);
    if (una_ < recover_) {
      repeat_oldest(now);
    } else {
      duplicate_acks_ = 0;
    }
  } else if (una_ < next_ && segment.payload().empty() && !window_changed &&
             !segment.has(Segment::fin_flag) &&
             ++duplicate_acks_ == duplicate_acks_for_repetition) {
    recover_ = sent_max_;
    repeat_oldest(now);
  }
}

void TcpEndpoint::on_sack(const Segment& segment) {
  std::array<SackBlock, 4> blocks;
  const std::size_t count = read_sack(segment.options(), blocks);
  if (count > 0 && !habits_.sack) return blame("SACK though it was not permitted");
  for (std::size_t i = 0; i < count; ++i) {
    const std::int32_t begin = blocks[i].left - base();
    const std::int32_t end = blocks[i].right - base();
    if (begin >= end && habits_.forgives_sack) {
      ++figures_.senseless_sack;
      continue;
    }
    if (begin >= end || end > sent_max_) {
      return blame(
          fmt::format("SACK block {}-{} for bytes that were not sent: {}", begin, end, sent_max_));
    }
    if (end > una_) sacked_.push_back({begin, end});
  }
}

void TcpEndpoint::on_data(const Segment& segment, Time now) {
  const std::int32_t begin = segment.payload_seq() - peer_base_;
  std::string_view payload = text_of(segment.payload());
  const auto have = static_cast<std::int32_t>(received_.size());
  const std::int32_t expected = have + (fin_received_ ? 1 : 0);
  if (habits_.timestamps && peer_timestamps_ && begin <= have)
    echo_ = static_cast<std::uint32_t>(now / 1ms);

  if (payload.empty() && !segment.has(Segment::fin_flag)) {
    // Out of place, as keepalive and window probes are: told where the stream stands.
    if (begin < expected && now >= challenge_allowed_at_) {
      challenge_allowed_at_ = now + 100ms;
      send_ack(now);
    }
    return;
  }
  const std::int32_t end = begin + static_cast<std::int32_t>(payload.size());
  const std::int32_t window_end = have + window_now();
  if (segment.has(Segment::fin_flag) && end <= window_end) {
    if (fin_position_ >= 0 && fin_position_ != end) {
      blame(fmt::format("FIN at {} and at {}", fin_position_, end));
    }
    fin_position_ = end;
  }
  if (segment.has(Segment::urg_flag)) {
    const std::size_t urgent_end =
        static_cast<std::size_t>(begin) + static_cast<std::size_t>(segment.urgent_pointer());
    const bool is_new = urgent_received_.empty() || urgent_received_.back() != urgent_end;
    if (is_new) urgent_received_.push_back(urgent_end);
  }

  const std::int32_t old_end = std::min(end, have);
  if (begin < old_end && begin >= 0) {
    const auto length = static_cast<std::size_t>(old_end - begin);
    if (received_.compare(static_cast<std::size_t>(begin), length, payload.substr(0, length)) !=
            0 &&
        payload != std::string_view{"\0", 1}) {
      ++figures_.differing_copies;
    }
    duplicate_[0] = {peer_base_ + begin, peer_base_ + old_end};
    has_duplicate_ = true;
  }
  bool at_once = begin != have || !out_of_order_.empty();
  if (end > have && begin < window_end) {
    const auto skipped = static_cast<std::size_t>(std::max(0, have - begin));
    const auto cut = static_cast<std::size_t>(std::max(0, end - window_end));
    payload = payload.substr(skipped, payload.size() - skipped - cut);
    std::string& stored = out_of_order_[begin + static_cast<std::int32_t>(skipped)];
    if (stored.size() < payload.size()) stored = payload;
    last_arrival_ = begin + static_cast<std::int32_t>(skipped);
    if (cut > 0) at_once = true;
  } else {
    at_once = true;
  }
  const bool was_closed = fin_received_;
  take_in_order(now);
  if (fin_received_ != was_closed) at_once = true;
  ++acks_owed_;
  if (at_once || !habits_.delays_acks || acks_owed_ >= 2) {
    send_ack(now);
  } else if (delayed_ack_at_ == never) {
    delayed_ack_at_ = now + delayed_ack_after;
  }
}

void TcpEndpoint::take_in_order(Time now) {
  bool took = false;
  for (auto at = out_of_order_.begin(); at != out_of_order_.end();) {
    const auto have = static_cast<std::int32_t>(received_.size());
    if (at->first > have) break;
    const auto skipped = static_cast<std::size_t>(have - at->first);
    if (skipped < at->second.size()) {
      received_.append(at->second, skipped);
      took = true;
    }
    at = out_of_order_.erase(at);
  }
  if (fin_position_ == static_cast<std::int32_t>(received_.size())) fin_received_ = true;
  if (took && habits_.stops_reading && reading_ && random_.chance(150)) {
    reading_ = false;
    reading_at_ = now + std::chrono::milliseconds{random_.between(100, 3000)};
  }
}

}  // namespace ftpalg::simulator
