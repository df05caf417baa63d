// SPDX-License-Identifier: GPL-2.0-or-later
#include "talk.h"

#include <fmt/format.h>

#include <algorithm>

namespace ftpalg::simulator {

Talk::Talk(Script script, const Ends& ends, const Oracle::Excuses& excuses, Gateway& gateway,
           Agenda& agenda, std::uint8_t first_place, std::uint64_t seed, Figures& figures)
    : script_(std::move(script)),
      agenda_(agenda),
      first_place_(first_place),
      random_(seed),
      oracle_(script_, excuses, gateway, figures),
      endpoints_{TcpEndpoint{script_.master.original, ends.habits[client], random_.next(),
                             *ends.outlets[client], figures},
                 TcpEndpoint{script_.master.reply, ends.habits[server], random_.next(),
                             *ends.outlets[server], figures}} {
  for (Hand& hand : hands_) {
    hand = random_.chance(500) ? Hand::whole : random_.chance(600) ? Hand::cut : Hand::bytes;
    if (script_.has_much_text && hand == Hand::bytes) hand = Hand::whole;
  }
}

void Talk::begin(Time now) {
  if (script_.broken && script_.broken->who == server && script_.broken->steps == 0) {
    endpoints_[server].abort(now);  // it refuses
  }
  if (script_.greets_in_syn) {
    for (; replies_written_ < script_.replies_until_greeting; ++replies_written_) {
      endpoints_[server].write(script_.replies[replies_written_].text, now);
    }
  }
  if (script_.in_syn > 0) {
    endpoints_[client].write(script_.commands[0].text.substr(0, script_.in_syn), now);
  }
  endpoints_[client].connect(now);
  note_timer(client, now);
}

bool Talk::is_over() const {
  // One that has never been called, or has no more to say, may never learn of the other's reset.
  const auto is_done = [&](Who who) {
    const TcpEndpoint& endpoint = endpoints_[who];
    const bool is_forlorn =
        endpoints_[1 - who].was_reset() && (endpoint.is_listening() || endpoint.has_closed());
    return endpoint.is_done() || is_forlorn;
  };
  return is_done(client) && is_done(server);
}

void Talk::count_step(Who who, Time now) {
  if (!script_.broken || script_.broken->who != who || steps_++ != script_.broken->steps) return;
  endpoints_[who].abort(now);
}

void Talk::receive(Who who, wire::Bytes packet, Time now) {
  endpoints_[who].receive(packet, now);
  count_step(who, now);
  after_endpoint(who, now);
}

void Talk::on_timer(Who who, Time now) {
  if (now != timers_[who]) return;  // it was set anew since
  timers_[who] = never;
  endpoints_[who].on_timer(now);
  after_endpoint(who, now);
}

void Talk::note(const Decision& decision) {
  if (decision.reason == Reason::held_too_long) {
    oracle_.note_hold_expired(decision.direction, decision.before);
  }
}

void Talk::after_endpoint(Who who, Time now) {
  TcpEndpoint& endpoint = endpoints_[who];
  if (!endpoint.fault().empty()) {
    find(fmt::format("the {}: {}", who == client ? "client" : "server", endpoint.fault()));
  }
  const Direction direction = who == client ? Direction::reply : Direction::original;
  if (!oracle_.check(direction, endpoint.received(), random_)) find(oracle_.finding());
  play(who, now);
  note_timer(who, now);
}

void Talk::note_timer(Who who, Time now) {
  const Time next = endpoints_[who].next_timer();
  if (next == timers_[who]) return;
  timers_[who] = next;
  if (next == never) return;
  agenda_.plan(std::max(next, now), Event::Kind::timer,
               static_cast<std::uint8_t>(first_place_ + who));
}

// --- The applications

void Talk::play_client(Time now) {
  TcpEndpoint& endpoint = endpoints_[client];
  if (!endpoint.is_open()) return;
  const std::size_t heard = oracle_.lines(Direction::reply);
  while (batch_ < script_.batches.size() && heard >= script_.batches[batch_].after) {
    const std::size_t until = script_.batches[batch_++].until;
    for (; commands_written_ < until; ++commands_written_) {
      queue(client, script_.commands[commands_written_], now);
    }
  }
  const bool all_said = batch_ == script_.batches.size() && is_written(client);
  const bool all_heard = heard == script_.replies.size();
  if (ended_[client] || !all_said || !all_heard) return;
  switch (script_.ending) {
    case Ending::client_closes:
      ended_[client] = true;
      endpoint.write(script_.client_tail, now);
      endpoint.close(now);
      break;
    case Ending::client_aborts:
      ended_[client] = true;
      endpoint.abort(now);
      break;
    case Ending::quit:
    case Ending::server_aborts:
      if (endpoint.peer_closed()) {
        ended_[client] = true;
        endpoint.close(now);
      }
      break;
  }
}

void Talk::play_server(Time now) {
  TcpEndpoint& endpoint = endpoints_[server];
  if (!endpoint.is_open()) return;
  const std::size_t heard = oracle_.lines(Direction::original);
  const std::size_t until =
      heard == 0 ? script_.replies_until_greeting
                 : std::max(script_.replies_until_greeting, script_.replies_until[heard - 1]);
  for (; replies_written_ < until; ++replies_written_) {
    queue(server, script_.replies[replies_written_], now);
  }
  const bool all_said = heard == script_.commands.size() && is_written(server);
  if (ended_[server] || !all_said) return;
  if (script_.ending == Ending::quit || endpoint.peer_closed()) {
    ended_[server] = true;
    endpoint.close(now);
  } else if (script_.ending == Ending::server_aborts && endpoint.is_drained()) {
    ended_[server] = true;
    endpoint.abort(now);
  }
}

/// The application's text goes to TCP in pieces, one after the other.
void Talk::queue(Who who, const Line& line, Time now) {
  Writing& writing = writings_[who];
  std::size_t at = &line == script_.commands.data() ? script_.in_syn : 0;
  while (at < line.text.size()) {
    const std::size_t rest = (at < line.urgent_end ? line.urgent_end : line.text.size()) - at;
    std::size_t length = rest;
    if (hands_[who] == Hand::bytes) length = 1;
    if (hands_[who] == Hand::cut && random_.chance(700)) {
      length = random_.between(1, static_cast<std::uint32_t>(rest));
    }
    const bool pauses = at == 0 && line.after_pause;
    writing.pieces.push_back(
        {line.text.substr(at, length), pauses, at + length == line.urgent_end});
    at += length;
  }
  if (!writing.is_planned) {
    writing.is_planned = true;
    agenda_.plan(now, Event::Kind::writing, static_cast<std::uint8_t>(first_place_ + who));
  }
}

void Talk::on_writing(Who who, Time now) {
  Writing& writing = writings_[who];
  if (is_written(who)) {
    writing.is_planned = false;
    writing.pieces.clear();
    writing.next = 0;
    play(who, now);
    note_timer(who, now);
    return;
  }
  const auto place = static_cast<std::uint8_t>(first_place_ + who);
  Piece& piece = writing.pieces[writing.next];
  if (piece.pauses) {
    piece.pauses = false;
    agenda_.plan(now + std::chrono::milliseconds{random_.between(50, 3000)}, Event::Kind::writing,
                 place);
    return;
  }
  ++writing.next;
  piece.urgent ? endpoints_[who].write_urgent(piece.text, now)
               : endpoints_[who].write(piece.text, now);
  const Time gap = hands_[who] == Hand::whole ? Time{}
                   : random_.chance(300)      ? std::chrono::milliseconds{random_.below(200)}
                                              : std::chrono::milliseconds{random_.below(3)};
  count_step(who, now);
  agenda_.plan(now + gap, Event::Kind::writing, place);
  note_timer(who, now);
}

// --- The end

void Talk::end() {
  const bool was_reset = endpoints_[client].was_reset() || endpoints_[server].was_reset();
  if (!is_aborted() && was_reset) return find("a reset that nobody sent");
  if (!oracle_.check_urgent(endpoints_[server].urgent_ends(), !is_aborted())) {
    find(oracle_.finding());
  }
  const bool is_complete = !script_.broken && script_.ending != Ending::client_aborts;
  if (!oracle_.check_end(endpoints_[server].received(), endpoints_[client].received(),
                         script_.client_tail, is_complete)) {
    find(oracle_.finding());
  }
}

std::string Talk::state_text() const {
  return fmt::format("the server got {} of {} lines, the client {} of {}",
                     oracle_.lines(Direction::original), script_.commands.size(),
                     oracle_.lines(Direction::reply), script_.replies.size());
}

}  // namespace ftpalg::simulator
