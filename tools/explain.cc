// SPDX-License-Identifier: GPL-2.0-or-later
#include "tools/explain.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "tools/packet_header.h"

namespace ftpalg::tools {
namespace {

constexpr Seq client_first{1000};
constexpr Seq server_first{5000};
constexpr std::uint16_t window = 64000;
constexpr std::size_t segment_bytes_max = 1400;

/// How often an end sends again what is not acknowledged. On this network it has to only when a
/// segment has outgrown the path and its end was cut off.
constexpr unsigned repeats_max = 10;
constexpr Time repeat_time = std::chrono::seconds{1};

constexpr std::string_view held_text = "held until the rest of the line has come";
constexpr std::string_view withdrawn_text =
    "the transfer is off, and its data connection is expected no more";

Policy with_own_offsets(Policy policy) {
  policy.offset_owner = OffsetOwner::engine;
  return policy;
}

/// Whether after a decision for `reason` no line of its connection is read.
constexpr bool ends_reading(Reason reason) {
  switch (reason) {
    case Reason::not_ftp:
    case Reason::opaque:
    case Reason::too_much_unanswered:
    case Reason::reply_too_long:
    case Reason::client_not_served:
    case Reason::server_not_served:
    case Reason::sessions_full:
    case Reason::client_sessions_full:
      return true;
    default:
      return false;
  }
}

wire::Bytes bytes_of(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

std::string_view without_line_end(std::string_view text) {
  if (text.ends_with("\r\n")) text.remove_suffix(2);
  return text;
}

/// The decision that says most about a line: one that changes it goes before one that lets it pass.
const Decision* telling(const std::vector<Decision>& decisions) {
  const Decision* result = nullptr;
  for (const Decision& decision : decisions) {
    if (decision.action == Action::wait) continue;
    const bool changes = decision.action != Action::forward;
    if (changes || result == nullptr || result->action == Action::forward) result = &decision;
  }
  return result;
}

}  // namespace

Explanation::Explanation(const Master& master, Policy policy,
                         std::vector<Address> gateway_addresses)
    : master_(master),
      engine_(with_own_offsets(std::move(policy)), {masters_, expectations_, injector_}) {
  engine_.set_gateway_addresses(std::move(gateway_addresses));
  shake_hands();
}

void Explanation::shake_hands() {
  End& client = end(Direction::original);
  End& server = end(Direction::reply);
  client.sent = client_first;
  pass(Direction::original, client.sent, {}, Segment::syn_flag);
  client.sent = client.acknowledged = server.expected = client_first + 1;

  // Conntrack confirms the entry when the SYN has passed; before that nobody finds it.
  masters_.add(master_);
  server.sent = server_first;
  pass(Direction::reply, server.sent, {}, Segment::syn_flag | Segment::ack_flag);
  server.sent = server.acknowledged = client.expected = server_first + 1;
  pass(Direction::original, client.sent, {}, Segment::ack_flag);
}

Explained Explanation::say(Direction direction, std::string_view bytes) {
  End& sender = end(direction);
  const std::size_t received_before = end(opposite(direction)).received.size();
  const Seq first = sender.sent;
  sender.sent = first + static_cast<std::int64_t>(bytes.size());

  unsigned repeats = 0;
  for (Seq from = first; from < sender.sent && repeats < repeats_max;) {
    const auto offset = static_cast<std::size_t>(from - first);
    transmit(direction, from, bytes.substr(offset, segment_bytes_max));
    if (sender.acknowledged == from) {
      ++repeats;
      let_time_pass();
    }
    from = std::max(from, sender.acknowledged);
  }
  return explained(direction, received_before, !bytes.empty());
}

// --- The network

/// Sends one segment and lets it travel.
void Explanation::transmit(Direction direction, Seq seq, std::string_view payload) {
  const auto left = pass(direction, seq, payload, Segment::ack_flag);
  if (left) deliver(direction, *left);
  deliver_injected();
}

/// Gives one packet to the engine. What leaves for it, if anything.
std::optional<std::vector<std::uint8_t>> Explanation::pass(Direction direction, Seq seq,
                                                           std::string_view payload,
                                                           std::uint8_t flags) {
  const Tuple& tuple = direction == Direction::original ? master_.original : master_.reply;
  builder_.begin_bare(tuple, seq, end(direction).expected, window, {});
  const std::size_t tcp_begin = builder_.header_bytes() - 20;
  builder_.append(bytes_of(payload));
  const wire::Bytes built = builder_.finish();
  std::vector<std::uint8_t> packet(built.begin(), built.end());
  PacketHeader{packet, tcp_begin}.set_flags(flags);

  const Outcome outcome = engine_.on_packet(packet, now_);
  decisions_.insert(decisions_.end(), outcome.decisions.begin(), outcome.decisions.end());
  if (outcome.verdict.action == Verdict::Action::drop) return std::nullopt;
  if (outcome.verdict.action == Verdict::Action::replace) {
    packet.assign(outcome.verdict.packet.begin(), outcome.verdict.packet.end());
  }
  return packet;
}

void Explanation::deliver(Direction direction, wire::Bytes packet) {
  const auto segment = *Segment::parse(packet);
  End& receiver = end(opposite(direction));
  receiver.acknowledged = std::max(receiver.acknowledged, segment.ack());
  if (segment.payload().empty()) return;

  const wire::Bytes payload = segment.payload();
  const std::int32_t known = receiver.expected - segment.payload_seq();
  if (known >= 0 && static_cast<std::size_t>(known) < payload.size()) {
    const wire::Bytes fresh = payload.subspan(static_cast<std::size_t>(known));
    receiver.received.append(fresh.begin(), fresh.end());
    receiver.expected = receiver.expected + static_cast<std::int64_t>(fresh.size());
  }
  transmit(opposite(direction), receiver.sent, {});
}

void Explanation::deliver_injected() {
  while (injected_delivered_ < injector_.sent().size()) {
    const auto [packet, as] = injector_.sent()[injected_delivered_++];
    const auto segment = *Segment::parse(packet);
    const bool is_from_client = segment.tuple() == master_.original;
    if (as == InjectAs::tracked) {
      deliver(is_from_client ? Direction::original : Direction::reply, packet);
    } else {
      End& sender = end(segment.tuple().destination == master_.original.source ? Direction::original
                                                                               : Direction::reply);
      sender.acknowledged = std::max(sender.acknowledged, segment.ack());
    }
  }
}

void Explanation::let_time_pass() {
  now_ += repeat_time;
  const auto decisions = engine_.on_tick(now_);
  decisions_.insert(decisions_.end(), decisions.begin(), decisions.end());
  deliver_injected();
}

// --- What has become of a line

Explained Explanation::explained(Direction direction, std::size_t received_before, bool had_bytes) {
  const std::string_view left =
      std::string_view{end(opposite(direction)).received}.substr(received_before);
  const bool was_expected = std::exchange(is_expected_, !expectations_.all().empty());
  const auto end_of_reading =
      std::find_if(decisions_.begin(), decisions_.end(),
                   [](const Decision& decision) { return ends_reading(decision.reason); });
  if (end_of_reading != decisions_.end()) unread_since_ = end_of_reading->reason;

  Explained result;
  result.decision.control = master_.original;
  result.decision.direction = direction;
  result.text = without_line_end(left);
  result.opaque = unread_since_.has_value();
  if (const Decision* const decision = telling(decisions_)) {
    result.decision = *decision;
    result.decision.direction = direction;  // it may be about the connection, before this line
    result.reason = text(decision->reason);
  } else if (had_bytes && left.empty()) {
    result.reason = held_text;
  } else if (was_expected && !is_expected_) {
    result.reason = withdrawn_text;
  } else {
    result.reason = text(unread_since_.value_or(Reason::none));
  }
  decisions_.clear();
  return result;
}

}  // namespace ftpalg::tools
