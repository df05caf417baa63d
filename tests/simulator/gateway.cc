// SPDX-License-Identifier: GPL-2.0-or-later
#include "gateway.h"

#include <algorithm>

#include "alg/tcp_option.h"

namespace ftpalg::simulator {
namespace {

/// nf_ct_sack_block_adjust
void shift_sack_as_kernel(wire::MutableBytes options, const SequenceOffset& offset) {
  const auto shifted = [&](Seq seq) {
    const bool is_after = seq + -std::int64_t{offset.before} > Seq{offset.position};
    return seq + -std::int64_t{is_after ? offset.after : offset.before};
  };
  tcp_option::visit_all(options, [&](wire::MutableBytes option) {
    if (option[0] != tcp_option::sack) return;
    for (std::size_t edge = 2; edge + 4 <= option.size(); edge += 4) {
      wire::write32(option, edge, shifted({wire::read32(option, edge)}).number);
    }
  });
}

}  // namespace

ExpectationResult WatchedExpectations::add(const Expectation& expectation) {
  if (fails_) return ExpectationResult::failed;
  const ExpectationResult result = live_.add(expectation);
  if (result == ExpectationResult::added) {
    grants_.push_back({expectation.inside.port.number, expectation.destination.port.number});
  }
  return result;
}

std::uint16_t WatchedExpectations::granted(std::uint16_t real_port) const {
  const auto found = std::find_if(grants_.rbegin(), grants_.rend(),
                                  [&](const Grant& grant) { return grant.real_port == real_port; });
  return found == grants_.rend() ? std::uint16_t{0} : found->public_port;
}

Gateway::Gateway(const Master& master, const Policy& policy, bool is_present, Exits& exits,
                 Figures& figures)
    : master_(master),
      done_mark_(policy.done_mark),
      queues_acknowledgements_(policy.offset_owner == OffsetOwner::engine ||
                               !policy.external_addresses.empty()),
      kernel_shifts_(policy.offset_owner == OffsetOwner::kernel && master.is_nated()),
      is_present_(is_present),
      exits_(exits),
      policy_(policy),
      engine_(std::make_unique<Engine>(policy, Seams{masters_, expectations_, injector_})),
      figures_(figures) {
  // Without NAT conntrack keeps no offsets (kernel-facts 15).
  if (!kernel_shifts_) masters_.answer_offsets_with(OffsetResult::unsupported);
}

void Gateway::take(Direction direction, PacketBytes& packet, std::size_t segment_bytes, Time now) {
  if (!is_present_) return exits_.leave(direction, packet, segment_bytes);
  const auto segment = Segment::parse(packet);
  if (segment->has(Segment::rst_flag)) saw_reset_ = true;
  leaving_ = packet;
  if (packets_before_start_ > 0) {
    --packets_before_start_;
    confirm();
  } else if (is_queued(*segment)) {
    ++figures_.queued;
    const Outcome outcome = engine_->on_packet(packet, now);
    for (const Decision& decision : outcome.decisions) note(decision);
    confirm();
    const Verdict::Action action = outcome.verdict.action;
    if (action == Verdict::Action::replace) {
      const auto replaced = outcome.verdict.packet;
      if (!is_valid(replaced)) return;
      leaving_.assign(replaced.begin(), replaced.end());
    }
    move_by_chance(now);
    if (action == Verdict::Action::drop) return;
  }
  if (kernel_shifts_) shift_as_kernel(direction, leaving_);
  exits_.leave(direction, leaving_, segment_bytes);
}

/// Conntrack confirms the entry when the first SYN leaves; before that nobody finds it.
void Gateway::confirm() {
  if (is_confirmed_) return;
  is_confirmed_ = true;
  masters_.add(master_);
}

bool Gateway::is_queued(const Segment& segment) const {
  if (is_confirmed_ && (masters_.all()[0].mark & done_mark_) != 0) return false;
  // What is left of a handshake that was over when the engine came would look like a new one.
  if (is_late_ && segment.has(Segment::syn_flag)) return false;
  const bool is_pure_ack =
      segment.payload().empty() &&
      (segment.flags() & (Segment::syn_flag | Segment::fin_flag | Segment::rst_flag)) == 0;
  return !is_pure_ack || queues_acknowledgements_;  // kernel-facts 10, 15
}

void Gateway::tick(Time now) {
  for (const Decision& decision : engine_->on_tick(now)) note(decision);
  move_by_chance(now);
}

void Gateway::move_by_chance(Time now) {
  if (moves_per_mille_ == 0 || !random_.chance(moves_per_mille_)) return;
  auto state = EngineState::read(engine_->state());
  if (!state) {
    fault_ = state.error();
    return;
  }
  auto next =
      std::make_unique<Engine>(policy_, Seams{masters_, expectations_, injector_}, state->key);
  next->take_over(std::move(*state), now);
  engine_ = std::move(next);
  ++figures_.moves;
}

void Gateway::note(const Decision& decision) {
  if (decision.action == Action::rewrite) ++figures_.edits;
  if (decision.reason == Reason::edit_waits) ++figures_.waits;
  if (decision.reason == Reason::bytes_missing) ++figures_.bytes_missing;
  exits_.report(decision);
}

InjectResult Gateway::Injection::send(std::span<const std::uint8_t> packet, InjectAs as) {
  if (fails || !gateway.is_valid(packet)) return InjectResult::failed;
  const Tuple tuple = Segment::parse(packet)->tuple();
  PacketBytes leaving(packet.begin(), packet.end());
  if (as == InjectAs::tracked) {
    // In the name of a sender, and treated as what that one sends.
    ++gateway.figures_.payments;
    const bool from_client = tuple == gateway.master_.original;
    if (!from_client && tuple != gateway.master_.reply) {
      gateway.fault_ = "injected a tracked packet of nobody";
      return InjectResult::failed;
    }
    const Direction direction = from_client ? Direction::original : Direction::reply;
    if (gateway.kernel_shifts_) gateway.shift_as_kernel(direction, leaving);
    gateway.exits_.leave(direction, leaving, 0);
    return InjectResult::sent;
  }
  // It goes back to where the held bytes came from, and nothing shifts it.
  ++gateway.figures_.holds;
  const bool to_client = tuple == gateway.master_.original.reversed();
  if (!to_client && tuple != gateway.master_.reply.reversed()) {
    gateway.fault_ = "injected a packet for nobody";
    return InjectResult::failed;
  }
  gateway.exits_.leave(to_client ? Direction::reply : Direction::original, leaving, 0);
  return InjectResult::sent;
}

bool Gateway::is_valid(wire::Bytes packet) {
  const auto segment = Segment::parse(packet);
  if (!segment || segment->packet().size() != packet.size()) {
    fault_ = "gave out what is no packet";
    return false;
  }
  if (!checksums_are_right(packet)) {
    fault_ = "gave out a packet with a wrong checksum";
    return false;
  }
  return true;
}

/// nf_ct_seq_adjust, net/netfilter/nf_conntrack_seqadj.c
void Gateway::shift_as_kernel(Direction direction, PacketBytes& packet) {
  if (!is_confirmed_) return;
  const Master& known = masters_.all()[0];
  const SequenceOffset& own = known.offset(direction);
  const SequenceOffset& other = known.offset(opposite(direction));
  if (own == SequenceOffset{} && other == SequenceOffset{}) return;
  const auto segment = Segment::parse(packet);
  const std::size_t tcp = segment->tcp_begin();
  const std::int32_t shift = segment->seq() > Seq{own.position} ? own.after : own.before;
  const Seq seq = segment->seq() + shift;
  wire::write32(packet, tcp + 4, seq.number);
  if (segment->has(Segment::ack_flag)) {
    const bool is_after = segment->ack() + -std::int64_t{other.before} > Seq{other.position};
    const Seq ack = segment->ack() + -std::int64_t{is_after ? other.after : other.before};
    wire::write32(packet, tcp + 8, ack.number);
    const std::size_t option_bytes = segment->options().size();
    shift_sack_as_kernel(wire::MutableBytes{packet}.subspan(tcp + 20, option_bytes), other);
  }
}

}  // namespace ftpalg::simulator
