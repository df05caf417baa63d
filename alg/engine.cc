// SPDX-License-Identifier: GPL-2.0-or-later
#include "alg/engine.h"

#include <algorithm>

#include "alg/data_connection.h"
#include "alg/departure.h"
#include "alg/refusal.h"
#include "alg/sack_option.h"
#include "alg/tls_records.h"

namespace ftpalg {
namespace {

/// A sender whose timer sends the same bytes this often, and no earlier ones in between, has
/// everything earlier acknowledged: the timer always sends the oldest (RFC 6298, section 5.4).
/// Needed where pure acknowledgements are not seen; it is no proof, since earlier bytes may have
/// been lost in front of the gateway each time.
constexpr unsigned copies_that_suggest_acknowledgement = 4;

/// How often bytes that only the gateway has are sent again, and how long it waits for their
/// acknowledgement: twice as long each time. Pure acknowledgements are not queued, so it may wait
/// in vain.
constexpr unsigned owed_repeats_max = 7;
constexpr Time owed_repeat_time = std::chrono::seconds{1};

/// How often a connection that waits for a reply is looked after, how long conntrack is to remember
/// it then at least, and how often when it does so for long anyway.
constexpr Time watch_interval = std::chrono::seconds{5};
constexpr std::chrono::seconds kept_for = std::chrono::minutes{1};
constexpr std::chrono::seconds long_kept_for = std::chrono::minutes{10};
constexpr Time watch_interval_if_long = std::chrono::minutes{2};

bool has_shape_of_announcement(Direction direction, std::string_view line) {
  if (direction == Direction::original) {
    return announcement_of(read_command(line).verb).has_value();
  }
  const auto reply = read_reply(line);
  return reply && announcement_of(reply->code).has_value();
}

constexpr std::size_t index(Direction direction) {
  return static_cast<std::size_t>(direction);
}

}  // namespace

Outcome Engine::on_packet(wire::Bytes packet, Time now) {
  decision_count_ = 0;
  witnessed_ = 0;
  now_ = now;
  const auto segment = Segment::parse(packet);
  if (!segment) return {};
  const Verdict verdict = judge(*segment);
  bear_witness();
  return {verdict, decisions()};
}

Verdict Engine::judge(const Segment& segment) {
  const auto found = connection_of(segment);
  if (!found) return found.error();
  auto& [connection, direction] = *found;

  connections_.touch(connection, now_);
  Passage passage{connection, direction, segment, now_, connection.stream(direction), {}};
  const std::size_t kept_before = connection.kept_bytes();
  note_acknowledgement(passage);
  const Extent extent = read(passage);
  note_end(connection, direction, segment);
  const Verdict verdict = send_on(passage, extent);
  kept_bytes_ += connection.kept_bytes() - kept_before;
  finish_if_done(connection);
  return verdict;
}

/// Tells the witness of the decisions that it does not know of.
void Engine::bear_witness() {
  if (witness_ == nullptr) return;
  for (; witnessed_ < decision_count_; ++witnessed_) {
    witness_->on_decision(decisions_[witnessed_], now_);
  }
}

// --- Segment -> Connection

Engine::Place Engine::connection_of(const Segment& segment) {
  const bool is_syn = segment.has(Segment::syn_flag) && !segment.has(Segment::ack_flag);
  if (is_syn) return on_syn(segment);

  const auto found = connections_.find(segment.tuple());
  const bool is_known =
      found && found->connection.master && !answers_another_syn(found->connection, segment);
  Place place = is_known ? Place{*found} : on_new_master(segment);
  if (place && shows_beginning(*place, segment)) {
    if (const auto verdict = begin(place->connection)) return tl::unexpected(*verdict);
  }
  return place;
}

Engine::Place Engine::on_syn(const Segment& segment) {
  const auto found = connections_.find(segment.tuple());
  if (found && found->connection.syn == segment.seq()) return *found;
  if (found && found->connection.lives()) {
    // Anybody can send a SYN. Only the server's answer to it shows that a new connection begins.
    found->connection.reopening = segment.seq();
    return *found;
  }
  const Address& client = segment.tuple().source.address;
  if (const Reason reason = obstacle(client); reason != Reason::none) {
    return tl::unexpected(turn_away(segment.tuple(), client, reason));
  }
  Connection& connection = admit(segment.tuple());
  connection.begin(segment.seq());
  return ConnectionTable::Found{connection, Direction::original};
}

/// A new connection may begin here: the same once more, or one of somebody else whom NAT gave the
/// same public port, after conntrack forgot the one before without a word.
bool Engine::answers_another_syn(const Connection& connection, const Segment& segment) {
  return segment.has(Segment::syn_flag) &&
         !(connection.syn && segment.ack() == *connection.syn + 1);
}

bool Engine::answers_reopening(const Connection& connection, const Segment& segment) {
  return connection.reopening && segment.has(Segment::syn_flag) &&
         segment.ack() == *connection.reopening + 1;
}

Engine::Place Engine::on_new_master(const Segment& segment) {
  const auto pass = tl::unexpected(Verdict{});
  const auto master = masters_.find(segment.tuple());
  // One with the mark was queued before the kernel knew of it.
  if (!master || (master->mark & policy_.done_mark) != 0) return pass;

  const auto known = connections_.find(master->original);
  const auto found = connections_.find(segment.tuple());
  if (known && !known->connection.master) {
    if (const auto verdict = set_master(known->connection, *master)) {
      return tl::unexpected(*verdict);
    }
  } else if (known && answers_reopening(known->connection, segment)) {
    Connection& connection = admit(master->original);
    connection.begin(segment.ack() + -1);
    if (const auto verdict = set_master(connection, *master)) return tl::unexpected(*verdict);
  } else if (known && found && &known->connection == &found->connection) {
    return *found;
  } else {
    // One that was under way is taken up where it speaks; an end, or an echo of one, is nothing to
    // take up.
    const bool ends = segment.has(Segment::fin_flag) || segment.has(Segment::rst_flag);
    if (segment.payload().empty() || ends) return pass;
    if (const Reason reason = obstacle(master->client()); reason != Reason::none) {
      return tl::unexpected(turn_away(*master, reason));
    }
    Connection& connection = admit(master->original);
    connection.session = Session::adopted();
    if (const auto verdict = set_master(connection, *master)) return tl::unexpected(*verdict);
    begin(connection);
  }
  const auto place = connections_.find(segment.tuple());
  if (!place) return pass;
  return *place;
}

/// Why no session of `client`'s may be admitted now, or none.
Reason Engine::obstacle(const Address& client) const {
  if (const Reason reason = objection(policy_, client); reason != Reason::none) return reason;
  if (use_.of(policy_.client_network(client)).sessions >= policy_.sessions_per_client_max) {
    return Reason::client_sessions_full;
  }
  return use_.of_all().sessions >= policy_.sessions_max ? Reason::sessions_full : Reason::none;
}

/// What becomes of the first segments of a connection that is not admitted: they pass, but for one
/// with commands to be refused. These must not slip by unread, so it does not begin.
Verdict Engine::turn_away(const Tuple& original, const Address& client, Reason reason) {
  const bool is_capped = reason == Reason::client_sessions_full || reason == Reason::sessions_full;
  const bool waits = is_capped && refuses_any(policy_, client);
  decide(original, Direction::original, waits ? Action::wait : Action::forward, reason, {});
  return {waits ? Verdict::Action::drop : Verdict::Action::accept, {}};
}

Verdict Engine::turn_away(const Master& master, Reason reason) {
  const Verdict verdict = turn_away(master.original, master.client(), reason);
  if (verdict.action == Verdict::Action::accept) leave_to_kernel(master);
  return verdict;
}

/// The connection has been answered. When it is not served it is forgotten, and what is returned
/// becomes of the segment.
std::optional<Verdict> Engine::set_master(Connection& connection, const Master& master) {
  Reason reason = objection(policy_, master);
  if (reason == Reason::none) reason = obstacle(master.client());
  if (reason != Reason::none) {
    forget(connection);
    return turn_away(master, reason);
  }
  if (const auto other = connections_.find(master.reply);
      other && &other->connection != &connection) {
    forget(other->connection);
  }
  connections_.set_master(connection, master);
  note_master(connection);
  if (witness_ != nullptr) {
    witness_->on_answered(
        master, connection.syn ? Witness::Beginning::seen : Witness::Beginning::under_way, now_);
  }
  return std::nullopt;
}

/// Whether the segment is the first by which one end shows that the client has the server's answer.
/// Anybody can send a SYN in its name, and nobody who does knows the number of the answer. (Pure
/// acknowledgements are not queued.)
bool Engine::shows_beginning(const ConnectionTable::Found& found, const Segment& segment) {
  const auto& [connection, direction] = found;
  if (connection.begun || connection.ended || segment.has(Segment::syn_flag) ||
      segment.has(Segment::rst_flag)) {
    return false;
  }
  const Stream& server = connection.stream(Direction::reply);
  if (direction == Direction::reply) {
    return !server.is_started() || segment.seq() == server.next();
  }
  return server.is_started() && segment.ack() == server.next();
}

/// The connection counts from now on. When it is one too many it is not served, and what is
/// returned becomes of the segment.
std::optional<Verdict> Engine::begin(Connection& connection) {
  if (const Reason reason = obstacle(connection.master->client()); reason != Reason::none) {
    const Master master = *connection.master;
    forget(connection);
    return turn_away(master, reason);
  }
  connections_.begin(connection);
  use_.add_session(connection.client);
  if (witness_ != nullptr) witness_->on_begin(connection.original, now_);
  return std::nullopt;
}

/// The gateway has nothing to do with a connection: the kernel need not ask again.
void Engine::leave_to_kernel(const Master& master) {
  if (policy_.done_mark != 0) masters_.set_mark(master, policy_.done_mark);
}

void Engine::note_master(Connection& connection) const {
  const Master& master = *connection.master;
  const bool client_is_external =
      policy_.advertised(master.client_as_server_sees_it(), master.server()) !=
      master.client_as_server_sees_it();
  const bool server_is_external =
      policy_.advertised(master.server_as_client_dials_it(), master.client()) !=
      master.server_as_client_dials_it();
  connection.is_editable = {
      client_is_external || master.client() != master.client_as_server_sees_it(),
      server_is_external || master.server() != master.server_as_client_dials_it()};
  connection.refuses = refuses_any(policy_, master.client());
  // Without NAT conntrack keeps no offsets (kernel-facts 15). What has been edited so has to be
  // shifted to its end, whatever a later policy says.
  connection.shifts_itself = connection.shifts_itself ||
                             policy_.offset_owner == OffsetOwner::engine ||
                             ((client_is_external || server_is_external) && !master.is_nated());
}

Connection& Engine::admit(const Tuple& original) {
  if (const auto old = connections_.find(original)) forget(old->connection);
  // Anybody can send a SYN in anybody's name: what is not under way makes room.
  while (connections_.size() >= policy_.sessions_max && connections_.oldest_other() != nullptr) {
    forget(*connections_.oldest_other());
  }
  return connections_.insert(original, policy_.client_network(original.source.address));
}

void Engine::set_policy(Policy policy) {
  policy_ = std::move(policy);
  connections_.visit_answered([&](Connection& connection) { note_master(connection); });
}

void Engine::note_acknowledgement(Passage& passage) {
  const Segment& segment = passage.segment;
  Connection& connection = passage.connection;
  if (!segment.has(Segment::ack_flag)) return;
  const Direction peer_direction = opposite(passage.direction);
  Connection::Heard& heard = connection.heard[index(passage.direction)];
  passage.acknowledges_anew = heard.ack != segment.ack();
  heard = {segment.ack(), segment.window(), segment.timestamps()};

  Stream& peer = connection.stream(peer_direction);
  if (!peer.is_started()) return;
  const Seq acknowledged = peer.map().backward(segment.ack());
  const bool fin_counts = connection.fin_seen[index(peer_direction)];
  // The receiver may have bytes that never came by here: they passed while the queue was full or
  // nobody listened.
  if (acknowledged > peer.next() + (fin_counts ? 1 : 0)) {
    peer.resume_at(acknowledged);
    passage.shows_unseen_bytes = true;
  }
  // What is held nobody can have received, whatever a peer says.
  peer.acknowledged(std::min(acknowledged, peer.forwarded()));
  if (const auto end = sacked_end(segment.options())) {
    peer.note_received(peer.map().backward(*end));
  }
}

void Engine::note_end(Connection& connection, Direction direction, const Segment& segment) {
  if (segment.has(Segment::fin_flag)) {
    connection.fin_seen[index(direction)] = true;
  }
  const bool both_fins = connection.fin_seen[0] && connection.fin_seen[1];
  if (connection.ended || !(segment.has(Segment::rst_flag) || both_fins)) return;
  if (connection.begun) use_.remove_session(connection.client);
  connections_.end(connection);
  announced_.end(connection);
  bear_witness();
  if (witness_ != nullptr) witness_->on_end(connection.original, now_);
}

// --- Segment -> Stream -> Line

Engine::Extent Engine::read(Passage& passage) {
  const Segment& segment = passage.segment;
  Stream& stream = passage.stream;
  if (!stream.is_started()) {
    if (segment.has(Segment::syn_flag)) {
      stream.start(segment.payload_seq());
    } else if (comes_before_its_syn(passage)) {
      decide(passage, Action::wait, Reason::bytes_missing, {});
      return {segment.payload_seq(), segment.payload_end(), true};
    } else {
      stream.adopt(segment.payload_seq(), passage.connection.master->offset(passage.direction));
    }
  }
  if (segment.has(Segment::urg_flag)) stream.note_urgent(segment.seq() + segment.urgent_pointer());
  passage.unsent = stream.forwarded();
  passage.held_before = stream.holds_bytes();

  const Seq begin = segment.payload_seq();
  const Seq end = segment.payload_end();
  if (begin == end) {
    if (begin != stream.next()) return {begin, end};
    // A reset must stand where the receiver is (RFC 5961, section 3.2): what is held will never
    // reach it.
    if (segment.has(Segment::rst_flag)) return {stream.forwarded(), stream.forwarded()};
    // Nothing can complete a line behind its FIN: what is held leaves with it.
    if (!segment.has(Segment::fin_flag)) return {begin, end};
    stream.forward_until(begin);
    return {with_owed(passage, begin), end};
  }
  if (begin > stream.next()) return on_missing_bytes(passage);

  const bool repeats = begin < stream.next();
  if (repeats) {
    stream.note_repetition(begin);
    passage.is_faithful = stream.repeats_faithfully(begin, segment.payload());
  }

  // Bytes before the segment's own leave with it when nobody else can send them.
  Seq from = std::min(begin, stream.forwarded());
  if (repeats) from = std::min(from, with_owed(passage, begin));

  if (end <= stream.next()) {
    if (stream.holds_bytes()) acknowledge_held(passage);
    return {from, std::min(end, stream.forwarded())};
  }
  const auto fresh_bytes = static_cast<std::size_t>(end - stream.next());
  return {from, read_fresh(passage, segment.payload().last(fresh_bytes))};
}

/// Where a segment that begins at `begin` has to begin for the bytes to leave with it that nobody
/// else can send. Those that it has no room for leave in packets of their own; and where bytes of
/// the sender's own lie between, it has them acknowledged, and so has the gateway.
Seq Engine::with_owed(Passage& passage, Seq begin) {
  const Stream& stream = passage.stream;
  if (!stream.owes_bytes() || stream.owed_begin() >= begin || begin > stream.owed_end()) {
    return begin;
  }
  const auto owed_bytes = static_cast<std::size_t>(begin - stream.owed_begin());
  if (owed_bytes <= payload_room(passage.segment)) return stream.owed_begin();
  pay_owed(passage.connection, passage.direction, passage.now);
  return begin;
}

/// The client does not take the server's bytes before its SYN (RFC 9293, section 3.10.7.3), which
/// may be overtaken by them (TCP Fast Open), or have passed unseen.
bool Engine::comes_before_its_syn(Passage& passage) {
  const Segment& segment = passage.segment;
  return passage.connection.syn && !segment.payload().empty() &&
         passage.stream.count_early_drop(segment.payload_seq(), passage.now) <
             copies_that_suggest_acknowledgement;
}

/// A segment came before earlier ones. It is kept back until they have come: its lines cannot be
/// read, and once it had been sent on they could not be edited any more.
Engine::Extent Engine::on_missing_bytes(Passage& passage) {
  Stream& stream = passage.stream;
  const Segment& segment = passage.segment;
  const Seq begin = segment.payload_seq();
  const Seq end = segment.payload_end();
  if (!needs_order(passage)) {
    stream.skip_to(end);
    return {begin, end};
  }
  if (kept_bytes_ < policy_.kept_bytes_max) stream.keep_early(begin, segment.payload());
  // Where the other end's bytes went by unseen, this end's did too; and all did before the gateway
  // came.
  const bool may_pass_unseen = !passage.connection.shifts_itself || !passage.connection.syn;
  // Held bytes nobody else has, so that the receiver cannot have got past them.
  const bool has_passed_unseen =
      !stream.holds_bytes() && (passage.shows_unseen_bytes ||
                                (may_pass_unseen && stream.count_early_drop(begin, passage.now) >=
                                                        copies_that_suggest_acknowledgement));
  if (!has_passed_unseen) {
    decide(passage, Action::wait, Reason::bytes_missing, {});
    return {begin, end, true};
  }
  stream.resume_at(begin);
  passage.unsent = begin;
  return {begin, read_fresh(passage, segment.payload())};
}

/// Reads what is new in the segment, and what came early and follows it. Returns how far the stream
/// may be sent on.
Seq Engine::read_fresh(Passage& passage, wire::Bytes fresh) {
  Stream& stream = passage.stream;
  Session& session = passage.connection.session;
  stream.note_progress();
  const bool is_kept = (needs_order(passage) || stream.owes_bytes()) && has_room(stream) &&
                       stream.keep(stream.next(), fresh);
  if (is_kept && stream.has_early()) fresh = join_early(stream, fresh);
  const Seq end = stream.next() + static_cast<std::int64_t>(fresh.size());

  while (!fresh.empty()) {
    if (!is_read(passage)) {
      if (!pass_records(passage, fresh)) break;
      continue;
    }
    if (begins_tls(passage, fresh)) {
      note_meaning(passage, {}, session.turn_opaque());
      break;
    }
    const Stream::Mark mark = stream.mark();
    const auto line = stream.take_line(fresh);
    if (line ? must_wait(passage, *line) : beginning_must_wait(passage)) {
      const Seq line_begin = line ? line->begin : stream.line_begin();
      decide(passage, Action::wait, Reason::edit_waits,
             line ? line->text : *stream.unfinished_line());
      stream.rewind(mark);
      stream.set_line_waits(line.has_value());
      stream.forward_until(std::max(passage.unsent, line_begin));
      return stream.forwarded();
    }
    if (!line) break;
    on_line(passage, *line);
  }
  stream.note_all_read();
  if (!is_read(passage)) {
    stream.skip_to(end);
  } else if (!hold(passage)) {
    if (passage.connection.refuses) {
      refuse_beginning(passage.connection, passage.direction, passage.unsent);
    }
    stream.forward_until(end);
    if (passage.held_before) {
      hold_deadlines_.push({passage.now + owed_repeat_time, passage.connection.original, 0});
    }
  }
  return stream.forwarded();
}

/// `fresh` and the early bytes that follow it, in memory of the engine's own.
wire::Bytes Engine::join_early(Stream& stream, wire::Bytes fresh) {
  joined_.assign(fresh.begin(), fresh.end());
  const auto end = [&] { return stream.next() + static_cast<std::int64_t>(joined_.size()); };
  for (auto early = stream.take_early(end()); early; early = stream.take_early(end())) {
    if (!stream.keep_if_room(*early)) break;
    joined_.insert(joined_.end(), early->begin(), early->end());
  }
  return joined_;
}

/// Follows the records of an encrypted connection. False when they are not, or no more, followed;
/// else `fresh` goes on behind them, where lines are read again.
bool Engine::pass_records(Passage& passage, wire::Bytes& fresh) {
  Connection& connection = passage.connection;
  Stream& stream = passage.stream;
  auto& records = connection.records[index(passage.direction)];
  if (!records) return false;
  const auto passed = records->pass(fresh);
  if (!passed) {
    connection.records = {};
    return false;
  }
  fresh = fresh.subspan(*passed);
  stream.pass_over(*passed);
  if (fresh.empty()) return true;
  records.reset();
  stream.begin_line();
  if (connection.session.is_opaque()) {
    connection.session.resume();
    decide(passage, Action::forward, Reason::plain_again, {});
  }
  return true;
}

/// Lines of a session that is left alone are read where some are to be refused.
bool Engine::is_read(const Passage& passage) {
  const Session& session = passage.connection.session;
  if (passage.connection.records[index(passage.direction)]) return false;
  return session.is_parsed() || (passage.connection.refuses && !session.is_opaque() &&
                                 passage.direction == Direction::original);
}

/// Its bytes mean something only one after the other.
bool Engine::needs_order(const Passage& passage) {
  return is_read(passage) || passage.connection.records[index(passage.direction)].has_value();
}

bool Engine::begins_tls(const Passage& passage, wire::Bytes fresh) {
  const Stream& stream = passage.stream;
  if (!stream.is_at_line_start() || fresh.empty()) return false;
  // What is to be refused does not get by because the client says so: there it is the server who
  // shows that the connection is encrypted.
  if (passage.connection.refuses) {
    return passage.direction == Direction::reply && begins_tls_handshake(fresh);
  }
  // A session that was under way may have been encrypted long ago.
  const bool any_record = !stream.line_start_is_certain();
  return (any_record || passage.direction == Direction::original) &&
         (any_record ? begins_tls_record(fresh) : begins_tls_handshake(fresh));
}

/// Whether `line` may need an edit while the kernel still needs its one correction for an earlier
/// edit.
bool Engine::must_wait(Passage& passage, const Line& line) {
  Stream& stream = passage.stream;
  const Connection& connection = passage.connection;
  if (connection.shifts_itself || !stream.offset_is_unacknowledged() ||
      !connection.is_editable[index(passage.direction)] || !line.fit ||
      !connection.session.may_announce(passage.direction, policy_)) {
    return false;
  }
  // One that is not edited anyway, in on_announcement(), need not wait either.
  if (!line.start_certain || !stream.is_fresh(line.begin)) return false;
  if (!has_shape_of_announcement(passage.direction, line.text)) return false;
  if (stream.count_line_drop(line.begin, passage.now) < copies_that_suggest_acknowledgement)
    return true;
  // Should the guess be wrong, the kernel tells the sender that a few bytes have arrived which have
  // not: then it is for the stream to send them.
  stream.take_offset_as_acknowledged();
  stream.owe_kept();
  hold_deadlines_.push({passage.now + owed_repeat_time, connection.original, 0});
  return false;
}

/// Whether the line that has begun may have to be edited once it is complete.
bool Engine::may_be_edited(const Passage& passage) const {
  const Connection& connection = passage.connection;
  const auto unfinished = passage.stream.unfinished_line();
  if (!unfinished || passage.segment.has(Segment::fin_flag)) return false;
  const bool is_command = passage.direction == Direction::original;
  if (is_command && connection.refuses &&
      refusal(policy_, connection.master->client(), *unfinished, LinePart::beginning)) {
    return true;
  }
  return connection.is_editable[index(passage.direction)] &&
         passage.stream.is_fresh(passage.stream.line_begin()) &&
         connection.session.may_announce(passage.direction, policy_) &&
         (is_command ? may_become_active_command(*unfinished)
                     : may_become_passive_reply(*unfinished));
}

/// Whether the start of a line that may have to be edited has to come again: it would be
/// acknowledged together with bytes that may be lost behind the gateway and are not kept.
bool Engine::beginning_must_wait(Passage& passage) const {
  Stream& stream = passage.stream;
  if (stream.keeps_unacknowledged() || passage.held_before || !has_room(stream) ||
      !may_be_edited(passage)) {
    return false;
  }
  const bool is_acknowledged = stream.count_line_drop(stream.line_begin(), passage.now) >=
                               copies_that_suggest_acknowledgement;
  if (!is_acknowledged) return true;
  stream.keep_unfinished_line();
  return false;
}

/// Holds back the start of a line that may have to be edited. False when there is nothing to hold,
/// or when it cannot be held.
bool Engine::hold(Passage& passage) {
  const Connection& connection = passage.connection;
  Stream& stream = passage.stream;
  if (!stream.keeps_unacknowledged() || !may_be_edited(passage) || !acknowledge_held(passage)) {
    return false;
  }
  if (!passage.held_before) {
    hold_deadlines_.push({passage.now + policy_.hold_time_max, connection.original, 0});
    // The acknowledgement covers what was sent on before, too: should that be lost, its sender does
    // not know.
    hold_deadlines_.push({passage.now + owed_repeat_time, connection.original, 0});
  }
  stream.hold_from(std::max(stream.line_begin(), passage.unsent), passage.now);
  return true;
}

/// Tells the sender, in the receiver's name, that everything read so far has arrived.
bool Engine::acknowledge_held(const Passage& passage) {
  const Segment& segment = passage.segment;
  const Connection& connection = passage.connection;
  const Connection::Heard& peer = connection.heard[index(opposite(passage.direction))];
  auto timestamps = segment.timestamps();
  if (timestamps) std::swap(timestamps->value, timestamps->echo);
  builder_.begin_bare(segment.tuple().reversed(), segment.ack(), passage.stream.next(), peer.window,
                      timestamps);
  return injector_.send(builder_.finish(), InjectAs::untracked) == InjectResult::sent;
}

// --- Line -> Session -> Decision -> Edit

void Engine::on_line(Passage& passage, const Line& line) {
  bear_witness();
  obey(passage, line);
  if (witness_ == nullptr) return;
  const Decision* const decision =
      witnessed_ < decision_count_ ? &decisions_[witnessed_++] : nullptr;
  witness_->on_line(
      {passage.connection.original, passage.direction, line.text, line.start_certain, decision},
      now_);
  bear_witness();
}

void Engine::obey(Passage& passage, const Line& line) {
  Session& session = passage.connection.session;
  if (refuse(passage, line)) {
    note_meaning(passage, line.text, session.on_refused_command());
    return;
  }
  const Meaning meaning = passage.direction == Direction::original
                              ? session.on_command(line.text, line.fit, policy_)
                              : session.on_reply(line.text, line.fit, policy_);
  if (meaning.kind == Meaning::Kind::announces) {
    on_announcement(passage, line, meaning);
  } else {
    note_meaning(passage, line.text, meaning);
  }
  watch(passage.connection, passage.now);
  // It may have been answered before the gateway came.
  const bool is_command = passage.direction == Direction::original;
  if (is_command && !passage.stream.is_fresh(line.begin)) session.take_back_command();
}

void Engine::note_meaning(Passage& passage, std::string_view line, const Meaning& meaning) {
  switch (meaning.kind) {
    case Meaning::Kind::nothing:
    case Meaning::Kind::announces:
      return;
    case Meaning::Kind::would_announce:
      decide(passage, Action::forward, meaning.reason, line);
      return;
    case Meaning::Kind::ends_expectation:
      announced_.end(passage.connection);
      return;
    case Meaning::Kind::ends_parsing:
      if (policy_.resume_after_ccc && meaning.reason == Reason::opaque) {
        passage.connection.records.fill(TlsRecords{});
      }
      decide(passage, Action::forward, meaning.reason, line);
      return;
  }
}

void Engine::on_announcement(Passage& passage, const Line& line, const Meaning& meaning) {
  const Master& master = *passage.connection.master;
  if (!line.start_certain || !passage.stream.is_fresh(line.begin)) {
    decide(passage, Action::forward, Reason::start_unknown, line.text);
    return;
  }
  const auto announcement =
      parse_announcement(meaning.announcement, line.text.substr(meaning.begin));
  if (!announcement) {
    decide(passage, Action::forward, Reason::unparsable, line.text);
    return;
  }
  if (const Reason reason = objection(policy_, master, *announcement, gateway_addresses_);
      reason != Reason::none) {
    decide(passage, Action::forward, reason, line.text);
    return;
  }
  const Seq position = line.begin + static_cast<std::int64_t>(meaning.begin + announcement->begin);
  open(passage, line, *announcement, position);
}

/// Effect first, edit second, undo on failure.
void Engine::open(Passage& passage, const Line& line, const Announcement& announcement,
                  Seq position) {
  Connection& connection = passage.connection;
  const Master& master = *connection.master;
  Expectation expectation = expectation_for(policy_, master, announcement);
  const Address advertised_address =
      policy_.advertised(expectation.destination.address, expectation.source);
  const bool address_differs = announcement.address && *announcement.address != advertised_address;
  const bool can_edit = position >= passage.unsent;
  if (address_differs && !can_edit) {
    decide(passage, Action::forward, Reason::start_has_left, line.text);
    return;
  }
  const auto advertisement = [&] {
    return print_announcement(announcement, {advertised_address, expectation.destination.port});
  };
  if (advertisement().view().empty()) {
    decide(passage, Action::forward, Reason::unparsable, line.text);
    return;
  }

  const bool may_change_port =
      can_edit && expectation.follows_master && expectation.inside != expectation.destination;
  if (const Reason reason = announced_.expect(connection, expectation, may_change_port, policy_);
      reason != Reason::none) {
    decide(passage, Action::forward, reason, line.text);
    return;
  }
  const Time ends = passage.now + policy_.expectation_life;
  if (!address_differs && expectation.destination.port == announcement.port) {
    announced_.keep(connection, expectation, ends);
    Decision& decision = decide(passage, Action::forward, Reason::expected, line.text);
    decision.expectation = expectation;
    return;
  }

  const Edit edit{position, static_cast<std::uint32_t>(announcement.end - announcement.begin),
                  advertisement()};
  if (const Reason reason = shift(passage, edit); reason != Reason::none) {
    announced_.take_back(expectation);
    decide(passage, Action::forward, reason, line.text);
    return;
  }
  passage.stream.add_edit(edit);
  announced_.keep(connection, expectation, ends);

  Decision& decision = decide(passage, Action::rewrite, Reason::rewritten, line.text);
  decision.expectation = expectation;
  const auto begin = static_cast<std::size_t>(position - line.begin);
  decision.after.replace(begin, edit.length, edit.text.view());
}

/// Keeps a command from the server that the policy refuses. True when it did.
bool Engine::refuse(Passage& passage, const Line& line) {
  const Connection& connection = passage.connection;
  if (passage.direction != Direction::original || !connection.refuses) return false;
  const auto refused =
      refusal(policy_, connection.master->client(), line.text,
              line.fit || line.text.size() < Stream::command_line_bytes_max ? LinePart::whole
                                                                            : LinePart::beginning);
  if (!refused) return false;
  const auto seq_at = [&](std::size_t at) { return line.begin + static_cast<std::int64_t>(at); };
  overwrite(passage.stream, std::max(seq_at(refused->begin), passage.unsent), seq_at(refused->end));
  Decision& decision = decide(passage, Action::refuse, refused->reason, line.text);
  std::fill(decision.after.begin() + static_cast<std::ptrdiff_t>(refused->begin),
            decision.after.begin() + static_cast<std::ptrdiff_t>(refused->end), refused_byte);
  return true;
}

/// The line that has begun leaves although its rest is not known: what would be refused in it is
/// overwritten as far as it has not left.
void Engine::refuse_beginning(Connection& connection, Direction direction, Seq unsent) {
  Stream& stream = connection.stream(direction);
  const auto beginning = stream.line_beginning();
  if (direction != Direction::original || !beginning) return;
  const auto refused =
      refusal(policy_, connection.master->client(), *beginning, LinePart::beginning);
  if (!refused) return;
  const Seq begin = stream.line_begin();
  // Where no verb was found in all of a line that is too long, one may still follow.
  const bool is_all = stream.line_is_too_long() && refused->end == beginning->size();
  overwrite(stream, std::max(begin + static_cast<std::int64_t>(refused->begin), unsent),
            is_all ? stream.next() : begin + static_cast<std::int64_t>(refused->end));
}

/// Other bytes leave in the place of [from, to): as many, so that nothing is shifted.
void Engine::overwrite(Stream& stream, Seq from, Seq to) {
  while (from < to) {
    const auto length = std::min(static_cast<std::size_t>(to - from), AnnouncementText::bytes_max);
    Edit edit{from, static_cast<std::uint32_t>(length), {}};
    for (std::size_t byte = 0; byte < length; ++byte) edit.text.append({&refused_byte, 1});
    stream.add_edit(edit);
    from = edit.end();
  }
}

/// Lets the sequence offsets follow `edit`.
Reason Engine::shift(Passage& passage, const Edit& edit) {
  Stream& stream = passage.stream;
  if (!stream.map().has_room()) return Reason::too_many_edits;
  if (passage.connection.shifts_itself || edit.growth() == 0) return Reason::none;

  // What is sent again from the edit on comes at the edit's own position or later: at the position
  // the old shift is right, after it the new one.
  SequenceOffset offset = stream.offset();
  offset.position = edit.position.number;
  offset.before = offset.after;
  offset.after += edit.growth();
  switch (masters_.set_offset(*passage.connection.master, passage.direction, offset)) {
    case OffsetResult::unsupported:
      return Reason::offsets_unsupported;
    case OffsetResult::failed:
      return Reason::offsets_failed;
    case OffsetResult::done:
      break;
  }
  stream.set_offset(offset, edit.end());
  return Reason::none;
}

void Engine::forget(Connection& connection) {
  announced_.forget(connection);
  if (witness_ != nullptr && connection.lives()) {
    bear_witness();
    witness_->on_end(connection.original, now_);
  }
  if (connection.is_under_way()) use_.remove_session(connection.client);
  kept_bytes_ -= connection.kept_bytes();
  connections_.erase(connection);
}

/// A connection that is neither read nor has anything in flight that differs from what came is the
/// kernel's alone from now on.
void Engine::finish_if_done(Connection& connection) {
  const bool is_over =
      !connection.session.is_parsed() && (!connection.refuses || connection.session.is_opaque());
  if (!is_over || !connection.lives() || connection.mark_failed || policy_.done_mark == 0) return;
  if (connection.shifts_itself && connection.was_edited()) return;
  if (connection.records[0] || connection.records[1]) return;
  for (const Stream& stream : connection.streams) {
    if (stream.owes_bytes() || stream.holds_bytes() || !stream.edits().empty()) return;
  }
  if (masters_.set_mark(*connection.master, policy_.done_mark) == MarkResult::done) {
    bear_witness();
    if (witness_ != nullptr) witness_->on_left(connection.original, now_);
    forget(connection);
  } else {
    connection.mark_failed = true;
  }
}

Decision& Engine::decide(const Passage& passage, Action action, Reason reason,
                         std::string_view line) {
  return decide(passage.connection.original, passage.direction, action, reason, line);
}

Decision& Engine::decide(const Tuple& control, Direction direction, Action action, Reason reason,
                         std::string_view line) {
  ++counts_[static_cast<std::size_t>(reason)];
  if (decision_count_ == decisions_.size()) decisions_.emplace_back();
  Decision& decision = decisions_[decision_count_++];
  decision.expectation.reset();
  decision.control = control;
  decision.direction = direction;
  decision.action = action;
  decision.reason = reason;
  decision.before = line;
  decision.after = line;
  return decision;
}

// --- Edit -> Verdict

Verdict Engine::send_on(Passage& passage, Extent extent) {
  if (extent.drop) return {Verdict::Action::drop, {}};

  const Segment& segment = passage.segment;
  const Stream& stream = passage.stream;
  const bool shifts_itself = passage.connection.shifts_itself;
  const auto urgent_end = stream.urgent_end(extent.from);
  const bool is_told_urgent_later =
      urgent_end && may_still_be_edited(passage.connection, passage.direction, *urgent_end);
  const bool is_whole = extent.from == segment.payload_seq() &&
                        extent.to == segment.payload_end() && passage.is_faithful &&
                        !is_told_urgent_later;
  if (is_whole && !stream.was_edited() && !(shifts_itself && passage.connection.was_edited())) {
    return {};
  }

  if (is_whole && segment.payload().empty() && !shifts_itself) return {};
  // What was lost before the stream was adopted comes again, and nothing has been edited since: the
  // kernel shifts it as it did the first time.
  if (is_whole && !shifts_itself && !stream.knows_acknowledged() && stream.edits().empty()) {
    return {};
  }
  Seq from = extent.from;
  bool is_all_acknowledged = false;
  if (from < extent.to && stream.was_edited()) {
    // What the receiver has acknowledged is not sent again: the kernel's single correction may be
    // wrong for it.
    from = std::max(from, std::min(stream.acknowledged(), extent.to));
    is_all_acknowledged = from == extent.to;
  }
  if (const Edit* edit = stream.edit_at(stream.acknowledged());
      is_all_acknowledged && edit != nullptr &&
      stream.can_give(edit->position, edit->end(), nullptr)) {
    // It may have arrived in part. The kernel tells the sender of that as of less than what came
    // before it, so that the sender repeats that, and never the edit.
    from = edit->position;
    extent.to = edit->end();
    is_all_acknowledged = false;
  }
  Seq leaves_as = stream.map().forward(from);
  // The sender must have lost the acknowledgement: one old number makes the receiver repeat it.
  if (is_all_acknowledged && !segment.has(Segment::fin_flag)) leaves_as = leaves_as + -1;

  if (from < extent.to && !stream.can_give(from, extent.to, &segment)) return {};
  // A segment whose bytes are all held has only its acknowledgement left. An old one would look
  // like the sign of a loss.
  const bool says_nothing = from == extent.to && !segment.payload().empty() &&
                            !is_all_acknowledged && !passage.acknowledges_anew &&
                            !segment.has(Segment::fin_flag) && !segment.has(Segment::rst_flag);
  if (says_nothing) return {Verdict::Action::drop, {}};
  builder_.begin_like(segment);
  const Seq to = fitting_end(stream, from, extent.to, payload_room(segment));
  append_range(builder_, stream, &segment, from, to);
  if (to < segment.payload_end()) builder_.clear_flag(Segment::fin_flag);
  if (segment.has(Segment::syn_flag)) leaves_as = leaves_as + -1;
  if (segment.has(Segment::rst_flag) && from == to && shifts_itself) {
    // Its sender was told of an acknowledgement within an edit as of one for the edit's start.
    const Seq told = passage.connection.heard[index(opposite(passage.direction))].ack;
    if (stream.map().backward(told) == segment.seq()) leaves_as = told;
  }
  tell_urgent(passage.connection, passage.direction, from, leaves_as);
  builder_.set_seq(shifts_itself ? leaves_as : stream.before_kernel_shift(leaves_as));
  if (shifts_itself) shift_acknowledgement(passage);
  return {Verdict::Action::replace, builder_.finish()};
}

/// Whether bytes before `position` may leave otherwise than they came, so that nobody knows yet
/// where it will be.
bool Engine::may_still_be_edited(const Connection& connection, Direction direction,
                                 Seq position) const {
  return connection.session.is_parsed() && connection.is_editable[index(direction)] &&
         position > connection.stream(direction).forwarded();
}

/// Tells the receiver of urgent data whose end can be pointed to: held bytes come without the
/// segment that called them urgent.
void Engine::tell_urgent(const Connection& connection, Direction direction, Seq from,
                         Seq leaves_as) {
  const Stream& stream = connection.stream(direction);
  const auto end = stream.urgent_end(from);
  if (!end || may_still_be_edited(connection, direction, *end)) {
    builder_.clear_flag(Segment::urg_flag);
    return;
  }
  builder_.set_flag(Segment::urg_flag);
  builder_.set_urgent_pointer(static_cast<std::uint16_t>(stream.map().forward(*end) - leaves_as));
}

/// With offsets of our own: the acknowledgement and SACK blocks count in the numbering that the
/// receiver of the edits sees, and must be told in the sender's.
void Engine::shift_acknowledgement(const Passage& passage) {
  const SeqMap& map = passage.connection.stream(opposite(passage.direction)).map();
  if (passage.segment.has(Segment::ack_flag)) {
    builder_.set_ack(map.backward(passage.segment.ack()));
  }
  shift_sack_blocks(builder_.options(), map);
}

// --- Time

/// A transfer takes time, during which the control connection is silent and conntrack may forget it
/// (protocol rule 30).
void Engine::watch(Connection& connection, Time now) {
  if (connection.is_watched || !connection.session.awaits_reply()) return;
  connection.is_watched = true;
  watch_deadlines_.push({now + watch_interval, connection.original, 0});
}

void Engine::keep_watched(Time now) {
  while (!watch_deadlines_.empty() && watch_deadlines_.top().at <= now) {
    const auto found = connections_.find(watch_deadlines_.top().original);
    watch_deadlines_.pop();
    if (!found || !found->connection.is_watched) continue;
    Connection& connection = found->connection;
    connection.is_watched = false;
    if (!connection.lives() || !connection.session.awaits_reply()) continue;
    const auto left = masters_.keep(*connection.master, kept_for);
    if (!left) continue;
    connection.is_watched = true;
    const Time next = *left > long_kept_for ? watch_interval_if_long : watch_interval;
    watch_deadlines_.push({now + next, connection.original, 0});
  }
}

/// The start of a line leaves as it is: its rest has not come in time, or nobody will be there when
/// it comes.
void Engine::let_go(Connection& connection, Direction direction) {
  Stream& stream = connection.stream(direction);
  if (connection.refuses) refuse_beginning(connection, direction, stream.forwarded());
  stream.forward_until(stream.next());
  decide(connection.original, direction, Action::forward, Reason::held_too_long,
         stream.unfinished_line().value_or(std::string_view{}));
}

/// Sends what nobody else can send, in its sender's name: the start of a line whose rest does not
/// come, or what was lost after it had been held. True when there was something to send.
bool Engine::pay_owed(Connection& connection, Direction direction, Time now) {
  Stream& stream = connection.stream(direction);
  if (!stream.owes_bytes()) return false;
  // A line whose rest has come waits for an acknowledgement, however long.
  const bool is_held_too_long = stream.holds_bytes() && !stream.line_waits() &&
                                now >= stream.held_since() + policy_.hold_time_max;
  if (is_held_too_long) let_go(connection, direction);

  const Tuple& tuple =
      direction == Direction::original ? connection.original : connection.master->reply;
  const Connection::Heard& own = connection.heard[index(direction)];
  const Connection::Heard& peer = connection.heard[index(opposite(direction))];
  auto timestamps = own.timestamps;
  if (timestamps && peer.timestamps) timestamps->echo = peer.timestamps->value;

  const Seq acknowledges = connection.shifts_itself
                               ? connection.stream(opposite(direction)).map().backward(own.ack)
                               : own.ack;
  const Seq end = std::min(stream.owed_end(), stream.forwarded());
  for (Seq from = stream.owed_begin(); from < end && stream.can_give(from, end, nullptr);) {
    const Seq leaves_as = stream.map().forward(from);
    builder_.begin_bare(
        tuple, connection.shifts_itself ? leaves_as : stream.before_kernel_shift(leaves_as),
        acknowledges, own.window, timestamps);
    const std::size_t room = safe_packet_bytes(tuple) - builder_.header_bytes();
    const Seq to = fitting_end(stream, from, end, room);
    append_range(builder_, stream, nullptr, from, to);
    tell_urgent(connection, direction, from, leaves_as);
    injector_.send(builder_.finish(), InjectAs::tracked);
    from = to;
  }
  return true;
}

std::span<const Decision> Engine::on_tick(Time now) {
  decision_count_ = 0;
  witnessed_ = 0;
  now_ = now;
  announced_.on_tick(now);
  while (!hold_deadlines_.empty() && hold_deadlines_.top().at <= now) {
    const Deadline deadline = hold_deadlines_.top();
    hold_deadlines_.pop();
    const auto found = connections_.find(deadline.original);
    if (!found || found->connection.ended) continue;
    const bool client_sent = pay_owed(found->connection, Direction::original, now);
    const bool server_sent = pay_owed(found->connection, Direction::reply, now);
    if ((client_sent || server_sent) && deadline.repeats < owed_repeats_max) {
      hold_deadlines_.push({now + owed_repeat_time * (1U << deadline.repeats), deadline.original,
                            deadline.repeats + 1});
    }
  }
  keep_watched(now);
  const auto is_over = [now](std::optional<Time> seen, Time life) {
    return seen && *seen + life <= now;
  };
  while (is_over(connections_.oldest_other_seen(), policy_.session_linger)) {
    forget(*connections_.oldest_other());
  }
  while (is_over(connections_.oldest_seen(), policy_.session_idle_max)) {
    forget(*connections_.oldest());
  }
  connections_.rest(now);
  hold_deadlines_.trim();
  watch_deadlines_.trim();
  bear_witness();
  return decisions();
}

void Engine::withdraw_all(Time now) {
  decision_count_ = 0;
  witnessed_ = 0;
  now_ = now;
  connections_.visit_answered([&](Connection& connection) {
    if (connection.ended) return;
    for (const Direction direction : {Direction::original, Direction::reply}) {
      if (connection.stream(direction).holds_bytes()) let_go(connection, direction);
      pay_owed(connection, direction, now);
    }
  });
  while (connections_.oldest() != nullptr) forget(*connections_.oldest());
  while (connections_.oldest_other() != nullptr) forget(*connections_.oldest_other());
}

}  // namespace ftpalg
