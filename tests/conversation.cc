// SPDX-License-Identifier: GPL-2.0-or-later
#include "conversation.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

#include "alg/sack_option.h"

namespace ftpalg::test {
namespace {

constexpr std::size_t segment_bytes_max = 1400;
constexpr std::uint16_t window = 64000;

Policy with_owner(Policy policy, OffsetOwner owner) {
  policy.offset_owner = owner;
  return policy;
}

}  // namespace

std::vector<Ways> all_ways(std::size_t text_bytes_max) {
  std::vector<Ways> all;
  for (const OffsetOwner owner : {OffsetOwner::kernel, OffsetOwner::engine}) {
    for (const std::uint32_t initial_seq : {0U, 0x40000000U, 0xffffffe0U, 0xffffffffU - 520U}) {
      const Ways plain{.owner = owner, .initial_seq = initial_seq};
      all.push_back(plain);
      for (const bool in_bytes : {false, true}) {
        Ways moving = plain;
        moving.moves = true;
        moving.byte_by_byte = in_bytes;
        all.push_back(moving);
      }
      for (const bool twice : {false, true}) {
        Ways ways = plain;
        ways.send_twice = twice;
        if (twice) all.push_back(ways);
        ways.byte_by_byte = true;
        all.push_back(ways);
        ways.byte_by_byte = false;
        for (std::size_t cut = 1; cut < text_bytes_max; ++cut) {
          ways.cut_at = cut;
          all.push_back(ways);
        }
      }
    }
  }
  return all;
}

std::string to_string(const Ways& ways) {
  return fmt::format("offsets of the {}, initial seq {:#x}, {}{}",
                     ways.owner == OffsetOwner::kernel ? "kernel" : "engine", ways.initial_seq,
                     ways.byte_by_byte ? std::string("byte by byte")
                     : ways.cut_at > 0 ? fmt::format("cut at {}", ways.cut_at)
                                       : std::string("whole"),
                     ways.send_twice ? ", each segment twice" : "") +
         (ways.moves ? ", the engine changes with each packet" : "");
}

Endpoint endpoint(std::string_view address, std::uint16_t port) {
  return {*Address::parse(address), Port{port}};
}

Master master_of(const Endpoint& client, const Endpoint& client_outside, const Endpoint& server,
                 const Endpoint& server_outside) {
  Master master;
  master.original = {client, server_outside};
  master.reply = {server, client_outside};
  master.has_carrier = true;
  return master;
}

Master client_behind_snat() {
  return master_of(endpoint("10.0.0.2", 40000), endpoint("203.0.113.100", 40000),
                   endpoint("198.51.100.7", 21), endpoint("198.51.100.7", 21));
}

Master server_behind_dnat() {
  return master_of(endpoint("198.51.100.7", 40000), endpoint("198.51.100.7", 40000),
                   endpoint("192.168.100.200", 21), endpoint("9.9.9.9", 21));
}

Master both_nated() {
  return master_of(endpoint("10.0.0.2", 40000), endpoint("203.0.113.100", 40000),
                   endpoint("192.168.100.200", 21), endpoint("9.9.9.9", 21));
}

Master without_nat() {
  return master_of(endpoint("10.0.0.2", 40000), endpoint("10.0.0.2", 40000),
                   endpoint("192.168.100.200", 21), endpoint("192.168.100.200", 21));
}

std::vector<std::uint8_t> make_packet(const Tuple& tuple, Seq seq, Seq ack, std::uint8_t flags,
                                      std::string_view payload, std::uint16_t urgent_pointer,
                                      wire::Bytes options) {
  const std::size_t tcp_bytes = 20 + options.size();
  const bool is_ipv4 = tuple.source.address.family() == Family::ipv4;
  const std::size_t ip_bytes = is_ipv4 ? 20 : 40;
  std::vector<std::uint8_t> bare(ip_bytes + tcp_bytes);
  const wire::MutableBytes bytes{bare};
  const auto source = tuple.source.address.bytes();
  const auto destination = tuple.destination.address.bytes();
  if (is_ipv4) {
    bare[0] = 0x45;
    bare[8] = 64;
    bare[9] = 6;
    wire::write16(bytes, 2, static_cast<std::uint16_t>(bare.size()));
  } else {
    bare[0] = 0x60;
    bare[6] = 6;
    bare[7] = 64;
    wire::write16(bytes, 4, static_cast<std::uint16_t>(tcp_bytes));
  }
  std::copy(source.begin(), source.end(), bare.begin() + (is_ipv4 ? 12 : 8));
  std::copy(destination.begin(), destination.end(), bare.begin() + (is_ipv4 ? 16 : 24));
  wire::write16(bytes, ip_bytes, tuple.source.port.number);
  wire::write16(bytes, ip_bytes + 2, tuple.destination.port.number);
  wire::write32(bytes, ip_bytes + 4, seq.number);
  wire::write32(bytes, ip_bytes + 8, ack.number);
  bare[ip_bytes + 12] = static_cast<std::uint8_t>(tcp_bytes / 4 << 4);
  bare[ip_bytes + 13] = flags;
  wire::write16(bytes, ip_bytes + 14, window);
  std::ranges::copy(options, bare.begin() + static_cast<std::ptrdiff_t>(ip_bytes + 20));

  PacketBuilder builder;
  builder.begin_like(*Segment::parse(bare));
  builder.append({reinterpret_cast<const std::uint8_t*>(payload.data()), payload.size()});
  builder.set_urgent_pointer(urgent_pointer);
  const auto packet = builder.finish();
  return {packet.begin(), packet.end()};
}

Conversation::Conversation(const Master& master, const Ways& ways, Policy policy, Witness* witness)
    : master_(master),
      ways_(ways),
      policy_(with_owner(std::move(policy), ways.owner)),
      witness_(witness),
      engine_(std::make_unique<Engine>(policy_, Seams{masters_, expectations_, injector_},
                                       KeyedHash::Key{}, witness)),
      peers_{Peer{ways.initial_seq}, Peer{ways.initial_seq + 500}} {
  for (Peer& peer : peers_) peer.sent_until = peer.first;
  peers_[0].expected = peers_[0].first_received = peers_[1].first;
  peers_[1].expected = peers_[1].first_received = peers_[0].first;

  // Conntrack confirms the entry when the SYN has passed; before that nobody finds it.
  const Seq client_syn{ways.initial_seq};
  const Seq server_syn{ways.initial_seq + 500};
  const auto pass = [&](const std::vector<std::uint8_t>& packet) {
    const auto decisions = engine_->on_packet(packet, now_).decisions;
    decisions_.insert(decisions_.end(), decisions.begin(), decisions.end());
    if (ways_.moves) move_engine();
  };
  pass(make_packet(master.original, client_syn, {}, Segment::syn_flag, ""));
  masters_.add(master);
  pass(make_packet(master.reply, server_syn, client_syn + 1, Segment::syn_flag | Segment::ack_flag,
                   ""));
  acknowledge(Direction::original);
}

void Conversation::log_in() {
  server("220 ready\r\n");
  client("USER a\r\n");
  server("331 who?\r\n");
  client("PASS b\r\n");
  server("230 in\r\n");
}

void Conversation::say(Direction direction, std::string_view text) {
  const std::size_t piece_bytes = ways_.byte_by_byte  ? 1
                                  : ways_.cut_at == 0 ? segment_bytes_max
                                                      : ways_.cut_at;
  bool is_first = true;
  while (!text.empty()) {
    const bool rest_at_once = ways_.cut_at > 0 && !is_first;
    const std::size_t length = rest_at_once ? text.size() : std::min(piece_bytes, text.size());
    send_segment(direction, text.substr(0, length));
    if (ways_.send_twice) send_again(direction, peer(direction).sent.size() - length, length);
    text.remove_prefix(length);
    is_first = false;
  }
  run_timer(direction);
}

void Conversation::send_segment(Direction direction, std::string_view text,
                                std::uint8_t more_flags) {
  Peer& sender = peer(direction);
  const Seq seq = sender.sent_until;
  sender.sent += text;
  sender.sent_until = seq + static_cast<std::int64_t>(text.size());
  transmit(direction, seq, text, more_flags);
}

void Conversation::send_urgent_segment(Direction direction, std::string_view text,
                                       std::uint16_t urgent_bytes) {
  Peer& sender = peer(direction);
  const Seq seq = sender.sent_until;
  sender.sent += text;
  sender.sent_until = seq + static_cast<std::int64_t>(text.size());
  transmit(direction, seq, text, Segment::urg_flag, urgent_bytes);
}

void Conversation::send_again(Direction direction, std::size_t from, std::size_t length,
                              std::string_view other_content) {
  Peer& sender = peer(direction);
  const std::string content =
      other_content.empty() ? sender.sent.substr(from, length) : std::string(other_content);
  transmit(direction, sender.first + static_cast<std::int64_t>(from), content, 0);
}

void Conversation::run_timer(Direction direction, int times) {
  Peer& sender = peer(direction);
  for (int time = 0; time < times && sender.acknowledged < sender.sent_until; ++time) {
    const auto from = static_cast<std::size_t>(std::max(0, sender.acknowledged - sender.first));
    if (from >= sender.sent.size()) return;
    advance(std::chrono::seconds{1});
    send_again(direction, from, std::min(segment_bytes_max, sender.sent.size() - from));
  }
}

void Conversation::close(Direction direction) {
  transmit(direction, peer(direction).sent_until, {}, Segment::fin_flag);
}

void Conversation::reset(Direction direction) {
  transmit(direction, peer(direction).sent_until, {}, Segment::rst_flag);
}

void Conversation::transmit(Direction direction, Seq seq, std::string_view payload,
                            std::uint8_t flags, std::uint16_t urgent_pointer) {
  const Tuple& tuple = direction == Direction::original ? master_.original : master_.reply;
  const auto push = payload.empty() ? std::uint8_t{0} : Segment::psh_flag;
  cross(direction, make_packet(tuple, seq, peer(direction).expected,
                               static_cast<std::uint8_t>(flags | push | Segment::ack_flag), payload,
                               urgent_pointer));
}

void Conversation::acknowledge(Direction direction) {
  transmit(direction, peer(direction).sent_until, {}, 0);
}

void Conversation::cross(Direction direction, const std::vector<std::uint8_t>& packet) {
  const auto segment = Segment::parse(packet);
  const bool is_pure_ack =
      segment->payload().empty() &&
      (segment->flags() & (Segment::syn_flag | Segment::fin_flag | Segment::rst_flag)) == 0;
  std::vector<std::uint8_t> leaving = packet;
  // With the kernel's offsets pure acknowledgements are not queued (kernel-facts 10).
  if (!is_pure_ack || ways_.owner == OffsetOwner::engine) {
    const Outcome outcome = engine_->on_packet(packet, now_);
    decisions_.insert(decisions_.end(), outcome.decisions.begin(), outcome.decisions.end());
    const Verdict::Action action = outcome.verdict.action;
    if (action == Verdict::Action::replace) {
      leaving.assign(outcome.verdict.packet.begin(), outcome.verdict.packet.end());
    }
    if (ways_.moves) move_engine();
    if (action == Verdict::Action::drop) {
      ++segments_dropped_;
      deliver_injected();
      return;
    }
  }
  if (watch_) watch_(direction, leaving.size());
  if (ways_.owner == OffsetOwner::kernel) shift_as_kernel(direction, leaving);
  deliver_injected();
  if (!losing_[static_cast<std::size_t>(direction)]) deliver(direction, std::move(leaving));
}

/// nf_ct_seq_adjust, net/netfilter/nf_conntrack_seqadj.c
void Conversation::shift_as_kernel(Direction direction, std::vector<std::uint8_t>& packet) const {
  const auto known = const_cast<MemoryMasters&>(masters_).find(master_.original);
  if (!known) return;
  const SequenceOffset& own = known->offset(direction);
  const SequenceOffset& other = known->offset(opposite(direction));
  const auto segment = *Segment::parse(packet);
  const std::int32_t shift = segment.seq() > Seq{own.position} ? own.after : own.before;
  const bool is_after = segment.ack() + -std::int64_t{other.before} > Seq{other.position};
  const std::int32_t ack_shift = is_after ? other.after : other.before;

  PacketBuilder builder;
  builder.begin_like(segment);
  builder.append(segment.payload());
  builder.set_seq(segment.seq() + shift);
  builder.set_ack(segment.ack() + -std::int64_t{ack_shift});
  const auto shifted = builder.finish();
  packet.assign(shifted.begin(), shifted.end());
}

void Conversation::deliver(Direction direction, std::vector<std::uint8_t> packet) {
  Peer& receiver = peer(opposite(direction));
  const auto segment = *Segment::parse(packet);
  receiver.acknowledged = std::max(receiver.acknowledged, segment.ack());

  const std::string payload(segment.payload().begin(), segment.payload().end());
  if (payload.empty()) return;
  const std::int32_t at = segment.payload_seq() - receiver.first_received;
  if (segment.has(Segment::urg_flag)) {
    receiver.urgent_ends.push_back(at + segment.urgent_pointer());
  }
  if (at >= 0) {
    std::string& stored = receiver.out_of_order[static_cast<std::uint32_t>(at)];
    if (stored.size() < payload.size()) stored = payload;
  }
  for (auto next = receiver.out_of_order.begin(); next != receiver.out_of_order.end();) {
    const std::size_t have = receiver.received.size();
    if (next->first > have) break;
    if (next->first + next->second.size() > have) {
      receiver.received += next->second.substr(have - next->first);
    }
    next = receiver.out_of_order.erase(next);
  }
  receiver.expected = receiver.first_received + static_cast<std::int64_t>(receiver.received.size());
  acknowledge(opposite(direction));
}

void Conversation::deliver_injected() {
  while (injected_delivered_ < injector_.sent().size()) {
    auto [packet, as] = injector_.sent()[injected_delivered_++];
    const auto segment = *Segment::parse(packet);
    if (as == InjectAs::tracked) {
      const Direction direction =
          segment.tuple() == master_.original ? Direction::original : Direction::reply;
      if (ways_.owner == OffsetOwner::kernel) shift_as_kernel(direction, packet);
      if (!losing_[static_cast<std::size_t>(direction)]) deliver(direction, std::move(packet));
      continue;
    }
    Peer& sender = segment.tuple().destination == master_.original.source ? peers_[0] : peers_[1];
    sender.acknowledged = std::max(sender.acknowledged, segment.ack());
  }
}

void Conversation::tick() {
  const auto decisions = engine_->on_tick(now_);
  decisions_.insert(decisions_.end(), decisions.begin(), decisions.end());
  if (ways_.moves) move_engine();
  deliver_injected();
}

void Conversation::set_gateway_addresses(std::vector<Address> addresses) {
  gateway_addresses_ = std::move(addresses);
  engine_->set_gateway_addresses(gateway_addresses_);
}

void Conversation::move_engine() {
  auto state = EngineState::read(engine_->state());
  if (!state) throw std::logic_error(state.error());
  auto next = std::make_unique<Engine>(policy_, Seams{masters_, expectations_, injector_},
                                       state->key, witness_);
  next->set_gateway_addresses(gateway_addresses_);
  next->take_over(std::move(*state), now_);
  engine_ = std::move(next);
}

bool Conversation::everything_arrived() const {
  return std::all_of(peers_.begin(), peers_.end(), [](const Peer& peer) {
    return peer.sent.empty() || peer.acknowledged >= peer.sent_until;
  });
}

std::vector<Decision> Conversation::take_decisions() {
  return std::exchange(decisions_, {});
}

}  // namespace ftpalg::test
