// SPDX-License-Identifier: GPL-2.0-or-later
#include "tools/replay.h"

#include <fmt/format.h>

#include <algorithm>

#include "alg/ftp_line.h"
#include "alg/sack_option.h"
#include "tools/packet_header.h"

namespace ftpalg::tools {
namespace {

Policy with_own_offsets(Policy policy) {
  policy.offset_owner = OffsetOwner::engine;
  return policy;
}

/// The length that an IP packet has by its header, or 0.
std::size_t ip_packet_bytes(wire::Bytes packet) {
  constexpr std::size_t ipv6_header_bytes = 40;
  if (packet.size() >= 20 && packet[0] >> 4 == 4) return wire::read16(packet, 2);
  if (packet.size() >= ipv6_header_bytes && packet[0] >> 4 == 6) {
    return ipv6_header_bytes + wire::read16(packet, 4);
  }
  return 0;
}

/// The tuple of a packet of `direction` as it arrives at the gateway, and as it leaves it.
const Tuple& arriving(const Master& master, Direction direction) {
  return direction == Direction::original ? master.original : master.reply;
}
Tuple leaving(const Master& master, Direction direction) {
  return arriving(master, opposite(direction)).reversed();
}

/// The first number after the segment.
Seq end_of(const Segment& segment) {
  return segment.payload_end() + (segment.has(Segment::fin_flag) ? 1 : 0);
}

bool is_bare_acknowledgement(const Segment& segment) {
  constexpr std::uint8_t more = Segment::syn_flag | Segment::fin_flag | Segment::rst_flag;
  return segment.payload().empty() && (segment.flags() & more) == 0;
}

/// Where in `line` the announcement that was rewritten begins, and what it is.
struct FoundAnnouncement {
  std::size_t line_offset;
  Announcement announcement;
};

std::optional<FoundAnnouncement> find_announcement(Direction direction, std::string_view line) {
  std::optional<AnnouncementKind> kind;
  std::size_t begin = 0;
  if (direction == Direction::original) {
    const Command command = read_command(line);
    kind = announcement_of(command.verb);
    begin = command.verb_begin;
  } else if (const auto reply = read_reply(line)) {
    kind = announcement_of(reply->code);
  }
  if (!kind) return std::nullopt;
  const auto announcement = parse_announcement(*kind, line.substr(begin));
  if (!announcement) return std::nullopt;
  return FoundAnnouncement{begin, *announcement};
}

/// Where `line` begins in the stream of which `payload` is a part, counted from its first byte:
/// before it, when the line's start left with an earlier packet. It is looked for from `from` on.
/// Its end after `needed` bytes may leave with a later packet.
std::optional<std::ptrdiff_t> find_line(std::string_view payload, std::size_t from,
                                        std::string_view line, std::size_t needed) {
  const auto stands_at = [&](std::size_t at, std::size_t gone) {
    const std::string_view here = payload.substr(at);
    const std::string_view rest = line.substr(gone);
    if (here.size() <= rest.size()) return rest.starts_with(here) && gone + here.size() >= needed;
    return here.starts_with(rest) && (here[rest.size()] == '\r' || here[rest.size()] == '\n');
  };
  for (std::size_t at = from; at < payload.size();) {
    if (stands_at(at, 0)) return static_cast<std::ptrdiff_t>(at);
    const std::size_t line_end = payload.find('\n', at);
    if (line_end == std::string_view::npos) break;
    at = line_end + 1;
  }
  for (std::size_t gone = 1; from == 0 && gone < needed; ++gone) {
    if (stands_at(0, gone)) return -static_cast<std::ptrdiff_t>(gone);
  }
  return std::nullopt;
}

/// The same packet, whatever its checksums and link padding.
bool are_same(const Segment& a, const Segment& b) {
  const auto without_checksum = [](const Segment& segment) {
    const wire::Bytes headers = segment.headers();
    std::vector<std::uint8_t> bytes(headers.begin(), headers.end());
    const std::size_t ipv4_checksum_at = 10;
    if (bytes[0] >> 4 == 4) wire::write16(bytes, ipv4_checksum_at, 0);
    wire::write16(bytes, segment.tcp_begin() + 16, 0);
    return bytes;
  };
  return without_checksum(a) == without_checksum(b) && std::ranges::equal(a.payload(), b.payload());
}

/// Whether the acknowledgement and SACK blocks of `segment` stay what they are when they are told
/// in the receiver's numbering and back again: what points into an edit is rounded. A receiver that
/// gets bytes twice tells from where on (RFC 2883), and a piece may begin there.
bool can_be_turned_back(const SeqMap& map, const Segment& segment) {
  if (map.backward(map.forward(segment.ack())) != segment.ack()) return false;
  const wire::Bytes packet = segment.packet();
  std::vector<std::uint8_t> turned(packet.begin(), packet.end());
  PacketHeader{turned, segment.tcp_begin()}.forward_sack_blocks(map);
  const wire::MutableBytes options =
      wire::MutableBytes{turned}.subspan(segment.tcp_begin() + 20, segment.options().size());
  shift_sack_blocks(options, map);
  return std::ranges::equal(options, segment.options());
}

}  // namespace

Replay::Replay(std::vector<Nat> nats, std::vector<Port> control_ports, Policy policy,
               Witness* witness)
    : nats_(std::move(nats)),
      control_ports_(std::move(control_ports)),
      engine_(with_own_offsets(std::move(policy)), {masters_, expectations_, sent_}, {}, witness) {}

Replay::Passed Replay::on_packet(wire::Bytes captured, Time now) {
  left_.clear();
  decisions_.clear();
  note_.reset();
  learned_ = 0;

  // What was cut off counts in the sequence numbers all the same.
  packet_.assign(captured.begin(), captured.end());
  const bool is_cut_off = ip_packet_bytes(captured) > captured.size();
  if (is_cut_off) packet_.resize(ip_packet_bytes(captured));

  const auto segment = Segment::parse(packet_);
  const auto place = segment ? place_of(*segment) : std::nullopt;
  if (!place) return {true, {}, {}, note_, segment};

  auto& [control, direction] = *place;
  if (is_cut_off) {
    pass_cut_off(*place, *segment, captured.size());
  } else {
    note_syn(*control, direction, *segment);
    if (direction == control->edited) {
      pass_edited(*control, *segment, now);
    } else {
      pass_other(*control, *segment, now);
    }
    leave_sent();
  }
  return {false, left_, decisions_, note_};
}

Replay::Passed Replay::on_tick(Time now) {
  left_.clear();
  note_.reset();
  const auto decisions = engine_.on_tick(now);
  decisions_.assign(decisions.begin(), decisions.end());

  leave_sent();
  return {false, left_, decisions_, note_};
}

// --- Packet -> control connection

std::optional<Replay::Place> Replay::place_of(const Segment& segment) {
  const Tuple& tuple = segment.tuple();
  if (const auto known = places_.find(tuple); known != places_.end()) return known->second;

  const auto is_control_port = [&](Port port) {
    return std::ranges::find(control_ports_, port) != control_ports_.end();
  };
  const bool is_answer = segment.has(Segment::syn_flag) && segment.has(Segment::ack_flag);
  const bool to_server = is_control_port(tuple.destination.port);
  const bool is_from_server = is_control_port(tuple.source.port) && (!to_server || is_answer);
  if (!is_from_server && !to_server) return std::nullopt;

  const Tuple seen = is_from_server ? tuple.reversed() : tuple;
  if (left_alone_.contains(seen) || !begin_control(seen)) return std::nullopt;
  return places_.at(tuple);
}

/// Makes the control connection whose client and server the capture shows as `seen`. False when it
/// is to be left alone.
bool Replay::begin_control(const Tuple& seen) {
  Direction edited = Direction::original;
  const auto master = master_of(seen, edited);
  if (!master) {
    left_alone_.insert(seen);
    return false;
  }
  masters_.add(*master);
  Control& control = controls_.emplace_back();
  control.master = *master;
  control.edited = edited;
  places_.insert_or_assign(seen, Place{&control, Direction::original});
  places_.insert_or_assign(seen.reversed(), Place{&control, Direction::reply});
  arrivals_.insert_or_assign(master->original, Place{&control, Direction::original});
  arrivals_.insert_or_assign(master->reply, Place{&control, Direction::reply});
  return true;
}

std::optional<Master> Replay::master_of(const Tuple& seen, Direction& edited) {
  const Address& client = seen.source.address;
  const Address& server = seen.destination.address;
  Nat found;
  for (const Nat& nat : nats_) {
    if (nat.kind == Nat::Kind::destination &&
        (server == nat.public_address || server == *nat.inside)) {
      edited = Direction::reply;
      found = nat;
      break;
    }
    if (nat.kind != Nat::Kind::source || client.family() != nat.public_address.family()) continue;
    if (client == nat.public_address && !nat.inside) {
      note_ = fmt::format(
          "the client of {} has the public address already, so the capture was taken outside and "
          "this connection is "
          "left alone; name the client's own address: --nat snat:{}=INSIDE",
          seen.text(), client.text());
      return std::nullopt;
    }
    if (nat.inside && client != nat.public_address && client != *nat.inside) continue;
    found = nat;
    break;
  }
  Master master = translated(found, seen);

  if (arrivals_.contains(master.original)) {
    note_ = fmt::format(
        "the capture shows both sides of the gateway, and {} is the second view of a connection: "
        "it is left alone; "
        "choose one side, with a capture filter on its addresses",
        seen.text());
    return std::nullopt;
  }
  // Two clients behind one address that chose the same port: NAT gives the later one another.
  constexpr std::uint16_t unprivileged = 1024;
  Port& public_port = master.reply.destination.port;
  while (arrivals_.contains(master.reply)) {
    public_port.number = std::max(unprivileged, static_cast<std::uint16_t>(public_port.number + 1));
  }
  return master;
}

// --- Control connection -> other side

/// A connection that takes the place of an earlier one with the same addresses and ports counts
/// anew.
void Replay::note_syn(Control& control, Direction direction, const Segment& segment) {
  if (!segment.has(Segment::syn_flag)) return;
  if (direction == Direction::original) {
    control.syn = segment.seq();
    control.syn_left = segment.seq();
  } else if (control.syn && segment.ack() == *control.syn + 1) {
    control.map = SeqMap{};
    control.sent_end.reset();
    control.left_end.reset();
    control.far_ack.reset();
    if (control.edited == Direction::original) {
      control.sent_end = *control.syn + 1;
      control.left_end = control.syn_left + 1;
    }
  }
}

void Replay::pass_edited(Control& control, const Segment& segment, Time now) {
  PacketHeader{packet_, segment.tcp_begin()}.set_tuple(arriving(control.master, control.edited));
  const Seq end = end_of(segment);
  if (!control.sent_end || end > *control.sent_end) control.sent_end = end;

  const Outcome outcome = engine_.on_packet(packet_, now);
  decisions_.assign(outcome.decisions.begin(), outcome.decisions.end());
  const auto left_to = pass_verdict(control, outcome.verdict);
  if (left_to) pass_rest(control, *left_to, now);
}

/// The gateway may have cut off the end of a segment that had grown too large for the path. A
/// sender would send that again, since nobody acknowledges it; in the capture it had no need to.
void Replay::pass_rest(Control& control, Seq from, Time now) {
  const std::vector<std::uint8_t> whole = packet_;
  const auto segment = Segment::parse(whole);
  PacketBuilder builder;
  while (from > segment->payload_seq() && from < segment->payload_end()) {
    builder.begin_like(*segment);
    builder.append(
        segment->payload().subspan(static_cast<std::size_t>(from - segment->payload_seq())));
    builder.set_seq(from);
    const wire::Bytes rest = builder.finish();
    const Verdict verdict = engine_.on_packet(rest, now).verdict;
    // Bytes that are held are not sent, but what came before them may be, once more.
    if (verdict.action == Verdict::Action::replace) {
      const auto sent = Segment::parse(verdict.packet);
      if (sent->payload().empty() || sent->payload_seq() != control.left_end) return;
    }
    packet_.assign(rest.begin(), rest.end());
    const auto left_to = pass_verdict(control, verdict);
    if (!left_to || *left_to <= from) return;
    from = *left_to;
  }
}

/// Lets the packet at work leave as `verdict` says. Returns where it ends, in the sender's
/// numbering and without a FIN, or nothing when nothing leaves.
std::optional<Seq> Replay::pass_verdict(Control& control, const Verdict& verdict) {
  if (verdict.action == Verdict::Action::drop) return std::nullopt;
  const bool is_new = verdict.action == Verdict::Action::replace;
  leave(control, is_new ? verdict.packet : wire::Bytes{packet_}, is_new);

  const auto sent = Segment::parse(left_.back().bytes);
  learn_edits(control, *sent);
  return control.map.backward(sent->payload_end());
}

/// A packet of the edited direction gets to the other side.
void Replay::leave(Control& control, wire::Bytes packet, bool is_new) {
  Left& left = left_.emplace_back(Left{{packet.begin(), packet.end()}, is_new});
  const auto segment = Segment::parse(left.bytes);
  const Seq end = end_of(*segment);
  if (!control.left_end || end > *control.left_end) control.left_end = end;
  if (segment->has(Segment::syn_flag)) control.syn_left = segment->seq();
  PacketHeader{left.bytes, segment->tcp_begin()}.set_tuple(leaving(control.master, control.edited));
}

void Replay::pass_other(Control& control, const Segment& segment, Time now) {
  const Direction direction = opposite(control.edited);
  PacketHeader header{packet_, segment.tcp_begin()};

  // As the capture would show it, had it been taken between this gateway and the edited end.
  header.set_tuple(leaving(control.master, direction));
  const std::vector<std::uint8_t> near_packet = packet_;
  const auto near_segment = Segment::parse(near_packet);
  const bool is_turned_back_whole = can_be_turned_back(control.map, *near_segment);

  header.set_tuple(arriving(control.master, direction));
  const FarAcknowledgement far = turn_far(control, *near_segment);
  if (!far.is_empty) left_.push_back({packet_, false});

  const Outcome outcome = engine_.on_packet(packet_, now);
  decisions_.assign(outcome.decisions.begin(), outcome.decisions.end());
  if (outcome.verdict.action == Verdict::Action::drop) return;

  const bool is_new = outcome.verdict.action == Verdict::Action::replace;
  const wire::Bytes back = is_new ? outcome.verdict.packet : wire::Bytes{packet_};
  std::vector<std::uint8_t> turned_back(back.begin(), back.end());
  const auto back_segment = Segment::parse(turned_back);
  PacketHeader{turned_back, back_segment->tcp_begin()}.set_tuple(
      leaving(control.master, direction));
  // A gateway that holds the start of a line makes other packets of the same bytes.
  const bool is_comparable = is_turned_back_whole && !far.was_put_back &&
                             back_segment->payload().size() == near_segment->payload().size();
  if (is_comparable && !are_same(*Segment::parse(turned_back), *near_segment)) {
    note_ =
        "the gateway would not have let this packet pass as it stands here: it contradicts what "
        "came before it";
  }
}

/// Turns the packet at work, which acknowledges bytes of the edited direction, into what must have
/// arrived at the gateway.
Replay::FarAcknowledgement Replay::turn_far(Control& control, const Segment& near_segment) {
  PacketHeader header{packet_, near_segment.tcp_begin()};
  FarAcknowledgement result;
  if (near_segment.has(Segment::ack_flag)) {
    const Seq near_ack = near_segment.ack();
    Seq far_ack = control.map.forward(near_ack);
    if (near_segment.has(Segment::syn_flag) && control.syn && near_ack == *control.syn + 1) {
      far_ack = control.syn_left + 1;
    } else if (control.sent_end && near_ack <= *control.sent_end && far_ack > *control.left_end) {
      far_ack = *control.left_end;
      result.was_put_back = true;
      result.is_empty = is_bare_acknowledgement(near_segment) && far_ack == control.far_ack;
    }
    control.map.acknowledged(near_ack);
    control.far_ack = far_ack;
    header.set_ack(far_ack);
  }
  header.forward_sack_blocks(control.map);
  return result;
}

/// The engine cannot read a packet without its end. Its numbers change like those of the others.
void Replay::pass_cut_off(const Place& place, const Segment& segment, std::size_t captured_bytes) {
  auto& [control, direction] = place;
  PacketHeader header{packet_, segment.tcp_begin()};
  if (direction == control->edited) {
    header.set_tuple(leaving(control->master, direction));
    header.set_seq(control->map.forward(segment.seq()));
  } else {
    header.set_tuple(arriving(control->master, direction));
    turn_far(*control, segment);
  }
  note_ = fmt::format(
      "{} of {} bytes were captured, so no line in this packet is looked at; capture with tcpdump "
      "-s 0",
      captured_bytes, packet_.size());
  packet_.resize(captured_bytes);
  left_.push_back({packet_, false});
}

/// Notes what the engine has edited. A decision has the lines; where they stand is found in what
/// has `left`.
void Replay::learn_edits(Control& control, const Segment& left) {
  const std::string_view payload{reinterpret_cast<const char*>(left.payload().data()),
                                 left.payload().size()};
  std::size_t from = 0;
  for (; learned_ < decisions_.size(); ++learned_) {
    const Decision& decision = decisions_[learned_];
    const auto found = decision.action == Action::rewrite
                           ? find_announcement(decision.direction, decision.before)
                           : std::nullopt;
    if (!found) continue;
    const std::size_t edit_begin = found->line_offset + found->announcement.begin;
    const std::size_t old_length = found->announcement.end - found->announcement.begin;
    const std::size_t new_length = old_length + decision.after.size() - decision.before.size();
    const auto line_at = find_line(payload, from, decision.after, edit_begin + new_length);
    if (!line_at) return;  // it leaves with a later packet

    const Seq line_begin = control.map.backward(left.payload_seq() + *line_at);
    if (control.map.has_room()) {
      control.map.add(line_begin + static_cast<std::int64_t>(edit_begin),
                      static_cast<std::uint32_t>(old_length),
                      static_cast<std::uint32_t>(new_length));
    }
    from = static_cast<std::size_t>(*line_at + static_cast<std::ptrdiff_t>(decision.after.size()));
  }
}

/// What the gateway sends of its own accord: bytes that only it has.
void Replay::leave_sent() {
  for (const std::vector<std::uint8_t>& packet : sent_.take()) {
    const auto place = arrivals_.find(Segment::parse(packet)->tuple());
    if (place == arrivals_.end()) continue;
    auto& [control, direction] = place->second;
    if (direction == control->edited) leave(*control, packet, true);
  }
}

}  // namespace ftpalg::tools
