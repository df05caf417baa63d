// SPDX-License-Identifier: GPL-2.0-or-later
#include "simulation.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <optional>

namespace ftpalg::simulator {
namespace {

using namespace std::chrono_literals;

/// Losses stop then; what has not come to its end long after is stuck.
constexpr Time calm_from = 60s;
constexpr Time stuck_at = 600s;
constexpr std::uint64_t events_max = 400'000;

/// Links by place: towards the server, then towards the client, each in two parts.
enum Place : std::uint8_t {
  client_to_gateway,
  gateway_to_server,
  server_to_gateway,
  gateway_to_client,
};

Habits choose_habits(Random& random, const Script& script) {
  constexpr std::array<std::uint32_t, 8> initial_seqs{
      0, 1, 0x40000000, 0x7fffff00, 0x80000000, 0xffffff80, 0xfffffff0, 0xffffffff};
  constexpr std::array<std::uint16_t, 5> sizes{1460, 1460, 536, 100, 48};
  constexpr std::array<std::uint16_t, 5> windows{64000, 64000, 2000, 300, 70};
  Habits habits;
  habits.initial_seq =
      random.chance(800) ? random.pick(initial_seqs) : static_cast<std::uint32_t>(random.next());
  habits.mss = random.pick(sizes);
  habits.window = random.pick(windows);
  habits.sack = random.chance(600);
  habits.timestamps = random.chance(400);
  habits.nagle = random.chance(500);
  habits.delays_acks = random.chance(500);
  habits.probes_tail = random.chance(400);
  habits.coalesces = random.chance(500);
  // Who lost the other's reset learns of it only by asking.
  const bool aborts =
      script.ending == Ending::client_aborts || script.ending == Ending::server_aborts;
  habits.keeps_alive = random.chance(200) || aborts;
  habits.keepalive_has_byte = random.chance(500);
  habits.window_probe_has_byte = random.chance(500);
  habits.stops_reading = random.chance(150);
  habits.spurious_per_mille = random.chance(300) ? 150 : 0;
  return habits;
}

Weather choose_weather(Random& random) {
  Weather weather;
  weather.calm_from = calm_from;
  weather.delay = std::chrono::milliseconds{random.between(1, 40)};
  weather.jitter_ms = random.chance(500) ? random.between(1, 20) : 0;
  if (random.chance(300)) return weather;
  constexpr std::array<std::uint32_t, 5> losses{0, 10, 50, 150, 300};
  weather.loss = random.pick(losses);
  weather.repeats = random.chance(400) ? random.between(10, 200) : 0;
  weather.reorders = random.chance(400) ? random.between(10, 300) : 0;
  weather.cuts = random.chance(400) ? random.between(10, 400) : 0;
  weather.joins = random.chance(400) ? random.between(10, 600) : 0;
  return weather;
}

/// How an application hands its text to TCP.
enum class Hand : std::uint8_t { whole, cut, bytes };

class Simulation final : private Gateway::Exits {
 public:
  Simulation(std::uint64_t seed, const Setting& setting, Workspace& workspace)
      : random_(seed),
        setting_(setting),
        agenda_(workspace.agenda),
        pool_(workspace.pool),
        script_(make_script(random_)),
        habits_{choose_habits(random_, script_), choose_habits(random_, script_)},
        weather_(choose_weather(random_)),
        policy_(choose_policy()),
        seams_fail_(random_.chance(40)),
        gateway_(script_.master, policy_, setting.gateway_is_present, *this),
        oracle_(script_, setting.gateway_is_present, seams_fail_, gateway_),
        links_{Link{client_to_gateway, weather_, random_.next(), agenda_, pool_},
               Link{gateway_to_server, weather_, random_.next(), agenda_, pool_},
               Link{server_to_gateway, weather_, random_.next(), agenda_, pool_},
               Link{gateway_to_client, weather_, random_.next(), agenda_, pool_}},
        outlets_{Entry{*this, client_to_gateway}, Entry{*this, server_to_gateway}},
        endpoints_{TcpEndpoint{script_.master.original, with_policy(habits_[0]), random_.next(),
                               outlets_[0]},
                   TcpEndpoint{script_.master.reply, with_policy(habits_[1]), random_.next(),
                               outlets_[1]}} {
    agenda_.clear();
    pool_.give_back_all();
    if (seams_fail_) choose_failures();
    for (Hand& hand : hands_) {
      hand = random_.chance(500) ? Hand::whole : random_.chance(600) ? Hand::cut : Hand::bytes;
    }
  }

  Result run() {
    endpoints_[0].connect(now_);
    note_timer(0);
    agenda_.plan(now_ + 1s, Event::Kind::tick, 0);
    std::uint64_t events = 0;
    while (finding_.empty() && !is_over()) {
      if (agenda_.empty()) {
        find("nothing moves any more");
        break;
      }
      const Event event = agenda_.take();
      now_ = event.at;
      if (now_ > stuck_at) find("stuck: " + state_text());
      if (++events > events_max) find("it never ends: " + state_text());
      happen(event);
    }
    if (finding_.empty()) finish();
    return result();
  }

 private:
  struct Entry final : Outlet {
    Entry(Simulation& owner, Place link) : simulation(owner), place(link) {}
    void send(const PacketBytes& packet) override {
      simulation.trace("sends", place, packet);
      simulation.links_[place].send(packet, simulation.now_);
    }
    Simulation& simulation;
    Place place;
  };

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

  const Habits& with_policy(Habits& habits) const {
    habits.forgives_sack = policy_.offset_owner == OffsetOwner::kernel;
    return habits;
  }

  Policy choose_policy() {
    Policy policy;
    policy.offset_owner = random_.chance(600) ? OffsetOwner::kernel : OffsetOwner::engine;
    policy.active_needs_quiet = script_.active_needs_quiet;
    // Most sessions may take as long as their network needs.
    policy.hold_time_max = random_.chance(850)   ? Time{60s}
                           : random_.chance(500) ? Time{10s}
                                                 : Time{2s};
    if (random_.chance(200)) {
      const auto first = static_cast<std::uint16_t>(random_.between(1024, 9000));
      policy.data_ports =
          PortRange{Port{first}, Port{static_cast<std::uint16_t>(first + random_.below(3000))}};
    }
    return policy;
  }

  void choose_failures() {
    switch (random_.below(3)) {
      case 0:
        gateway_.expectations().fail(true);
        break;
      case 1:
        gateway_.fail_offsets(random_.chance(500) ? OffsetResult::failed
                                                  : OffsetResult::unsupported);
        break;
      default:
        gateway_.fail_injector(true);
    }
  }

  // --- Events

  void happen(const Event& event) {
    switch (event.kind) {
      case Event::Kind::arrival:
        arrive(static_cast<Place>(event.place), event.packet);
        break;
      case Event::Kind::timer:
        if (event.at != timers_[event.place]) return;  // it was set anew since
        timers_[event.place] = never;
        endpoints_[event.place].on_timer(now_);
        after_endpoint(event.place);
        break;
      case Event::Kind::writing:
        write_piece(event.place);
        break;
      case Event::Kind::tick:
        gateway_.tick(now_);
        agenda_.plan(now_ + 1s, Event::Kind::tick, 0);
        break;
    }
  }

  void arrive(Place place, std::uint32_t id) {
    links_[place].note_arrival(id);
    PacketBytes& packet = pool_.at(id);
    if (place == client_to_gateway || place == server_to_gateway) {
      trace("comes in from", place, packet);
      gateway_.take(place == client_to_gateway ? Direction::original : Direction::reply, packet,
                    now_);
      if (!gateway_.fault().empty()) find(gateway_.fault());
    } else {
      trace("reaches", place, packet);
      const std::uint8_t who = place == gateway_to_client ? 0 : 1;
      endpoints_[who].receive(packet, now_);
      after_endpoint(who);
    }
    pool_.give_back(id);
  }

  void leave(Direction direction, wire::Bytes packet) override {
    const Place place = direction == Direction::original ? gateway_to_server : gateway_to_client;
    trace("leaves towards", place, packet);
    links_[place].send(packet, now_);
  }

  void report(const Decision& decision) override {
    if (decision.reason == Reason::held_too_long) {
      oracle_.note_hold_expired(decision.direction, decision.before);
    }
    if (!setting_.traces) return;
    constexpr std::array actions{"forward", "rewrite", "wait"};
    fmt::print("{:>10.3f} ms   engine: {} '{}' -> '{}': {}\n", milliseconds(),
               actions[static_cast<std::size_t>(decision.action)], escaped(decision.before),
               escaped(decision.after), text(decision.reason));
  }

  void after_endpoint(std::uint8_t who) {
    TcpEndpoint& endpoint = endpoints_[who];
    if (!endpoint.fault().empty()) {
      find(fmt::format("the {}: {}", who == 0 ? "client" : "server", endpoint.fault()));
    }
    const Direction direction = who == 0 ? Direction::reply : Direction::original;
    if (!oracle_.check(direction, endpoint.received(), random_)) find(oracle_.finding());
    who == 0 ? play_client() : play_server();
    note_timer(who);
  }

  void note_timer(std::uint8_t who) {
    const Time next = endpoints_[who].next_timer();
    if (next == timers_[who]) return;
    timers_[who] = next;
    if (next != never) agenda_.plan(std::max(next, now_), Event::Kind::timer, who);
  }

  // --- The applications

  void play_client() {
    TcpEndpoint& client = endpoints_[0];
    if (!client.is_established()) return;
    const std::size_t heard = oracle_.lines(Direction::reply);
    while (batch_ < script_.batches.size() && heard >= script_.batches[batch_].after) {
      const std::size_t until = script_.batches[batch_++].until;
      for (; commands_written_ < until; ++commands_written_) {
        queue(0, script_.commands[commands_written_]);
      }
    }
    const bool all_said = batch_ == script_.batches.size() && is_written(0);
    const bool all_heard = heard == script_.replies.size();
    if (client_ended_ || !all_said || !all_heard) return;
    switch (script_.ending) {
      case Ending::client_closes:
        client_ended_ = true;
        client.write(script_.client_tail, now_);
        client.close(now_);
        break;
      case Ending::client_aborts:
        client_ended_ = true;
        client.abort(now_);
        break;
      case Ending::quit:
      case Ending::server_aborts:
        if (client.peer_closed()) {
          client_ended_ = true;
          client.close(now_);
        }
        break;
    }
  }

  void play_server() {
    TcpEndpoint& server = endpoints_[1];
    if (!server.is_established()) return;
    const std::size_t heard = oracle_.lines(Direction::original);
    const std::size_t until =
        heard == 0 ? script_.replies_until_greeting
                   : std::max(script_.replies_until_greeting, script_.replies_until[heard - 1]);
    for (; replies_written_ < until; ++replies_written_) {
      queue(1, script_.replies[replies_written_]);
    }
    const bool all_said = heard == script_.commands.size() && is_written(1);
    if (server_ended_ || !all_said) return;
    if (script_.ending == Ending::quit || server.peer_closed()) {
      server_ended_ = true;
      server.close(now_);
    } else if (script_.ending == Ending::server_aborts && server.is_drained()) {
      server_ended_ = true;
      server.abort(now_);
    }
  }

  /// The application's text goes to TCP in pieces, one after the other.
  void queue(std::uint8_t who, const Line& line) {
    Writing& writing = writings_[who];
    std::size_t at = 0;
    while (at < line.text.size()) {
      const std::size_t rest = line.text.size() - at;
      std::size_t length = rest;
      if (hands_[who] == Hand::bytes) length = 1;
      if (hands_[who] == Hand::cut && random_.chance(700)) {
        length = random_.between(1, static_cast<std::uint32_t>(rest));
      }
      const bool pauses = at == 0 && line.after_pause;
      writing.pieces.push_back(
          {line.text.substr(at, length), pauses, line.urgent && at + length == line.text.size()});
      at += length;
    }
    if (!writing.is_planned) {
      writing.is_planned = true;
      agenda_.plan(now_, Event::Kind::writing, who);
    }
  }

  bool is_written(std::uint8_t who) const {
    return writings_[who].next == writings_[who].pieces.size();
  }

  void write_piece(std::uint8_t who) {
    Writing& writing = writings_[who];
    if (is_written(who)) {
      writing.is_planned = false;
      writing.pieces.clear();
      writing.next = 0;
      who == 0 ? play_client() : play_server();
      note_timer(who);
      return;
    }
    Piece& piece = writing.pieces[writing.next];
    if (piece.pauses) {
      piece.pauses = false;
      agenda_.plan(now_ + std::chrono::milliseconds{random_.between(50, 3000)},
                   Event::Kind::writing, who);
      return;
    }
    ++writing.next;
    piece.urgent ? endpoints_[who].write_urgent(piece.text, now_)
                 : endpoints_[who].write(piece.text, now_);
    const Time gap = hands_[who] == Hand::whole ? Time{}
                     : random_.chance(300)      ? std::chrono::milliseconds{random_.below(200)}
                                                : std::chrono::milliseconds{random_.below(3)};
    agenda_.plan(now_ + gap, Event::Kind::writing, who);
    note_timer(who);
  }

  // --- The end

  bool is_over() const { return endpoints_[0].is_done() && endpoints_[1].is_done(); }

  void finish() {
    // What is still under way arrives; then the engine's memory of the session runs out.
    const Time quiet_at = now_ + 5s;
    while (!agenda_.empty() && now_ < quiet_at && finding_.empty()) {
      const Event event = agenda_.take();
      now_ = event.at;
      if (event.kind != Event::Kind::writing) happen(event);
    }
    const bool aborted =
        script_.ending == Ending::client_aborts || script_.ending == Ending::server_aborts;
    if (!finding_.empty()) return;
    if (!aborted && (endpoints_[0].was_reset() || endpoints_[1].was_reset())) {
      find("a reset that nobody sent");
      return;
    }
    gateway_.tick(now_ + policy_.session_linger + 1s);
    if (!oracle_.check_end(endpoints_[1].received(), endpoints_[0].received(), script_.client_tail,
                           !aborted || script_.ending == Ending::server_aborts)) {
      find(oracle_.finding());
    }
    if (setting_.gateway_is_present && !aborted && gateway_.engine().connections() != 0) {
      find("the engine remembers an ended session");
    }
  }

  void find(std::string finding) {
    if (finding_.empty()) finding_ = std::move(finding);
  }

  std::string state_text() const {
    return fmt::format("the server got {} of {} lines, the client {} of {}",
                       oracle_.lines(Direction::original), script_.commands.size(),
                       oracle_.lines(Direction::reply), script_.replies.size());
  }

  double milliseconds() const { return std::chrono::duration<double, std::milli>(now_).count(); }

  void trace(const char* what, Place place, wire::Bytes packet) {
    if (!setting_.traces) return;
    constexpr std::array names{"client", "server", "server", "client"};
    constexpr std::array<std::uint8_t, 4> senders{0, 0, 1, 1};
    const std::uint8_t who = senders[place];
    fmt::print("{:>10.3f} ms {} {}: {}\n", milliseconds(),
               what == std::string_view{"sends"} ? names[place] : what,
               what == std::string_view{"sends"} ? "sends" : names[place],
               describe(packet, endpoints_[who].base(), endpoints_[1 - who].base()));
  }

  Result result() const {
    Result result;
    result.finding = finding_;
    result.took = now_;
    result.seams_failed = seams_fail_;
    result.lines = oracle_.figures();
    result.gateway = gateway_.figures();
    for (const TcpEndpoint& endpoint : endpoints_) {
      result.endpoints.segments += endpoint.figures().segments;
      result.endpoints.repetitions += endpoint.figures().repetitions;
      result.endpoints.differing_copies += endpoint.figures().differing_copies;
      result.endpoints.senseless_sack += endpoint.figures().senseless_sack;
      result.endpoints.above_mss += endpoint.figures().above_mss;
    }
    for (const Link& link : links_) {
      result.links.packets += link.figures().packets;
      result.links.lost += link.figures().lost;
      result.links.repeated += link.figures().repeated;
      result.links.reordered += link.figures().reordered;
      result.links.cut += link.figures().cut;
      result.links.joined += link.figures().joined;
    }
    if (setting_.traces || !finding_.empty()) result.setup = setup_text();
    return result;
  }

  std::string setup_text() const {
    const auto habits = [](const Habits& h) {
      return fmt::format("isn {:#x} mss {} window {}{}{}{}{}{}{}{}{}{}", h.initial_seq, h.mss,
                         h.window, h.sack ? " sack" : "", h.timestamps ? " timestamps" : "",
                         h.nagle ? " nagle" : "", h.delays_acks ? " delayed-acks" : "",
                         h.probes_tail ? " tail-probes" : "", h.coalesces ? " coalesces" : "",
                         h.keeps_alive ? " keepalive" : "", h.stops_reading ? " stops-reading" : "",
                         h.spurious_per_mille > 0 ? " spurious" : "");
    };
    return fmt::format(
        "offsets of the {}{}\n  client {}\n  server {}\n  loss {} repeats {} reorders {} cuts {} "
        "joins {} per mille, delay {} + {} ms\n  original {}\n  reply {}",
        policy_.offset_owner == OffsetOwner::kernel ? "kernel" : "engine",
        seams_fail_ ? ", seams fail" : "", habits(habits_[0]), habits(habits_[1]), weather_.loss,
        weather_.repeats, weather_.reorders, weather_.cuts, weather_.joins, weather_.delay / 1ms,
        weather_.jitter_ms, script_.master.original.text(), script_.master.reply.text());
  }

  Random random_;
  Setting setting_;
  Agenda& agenda_;
  PacketPool& pool_;
  Time now_{};
  Script script_;
  std::array<Habits, 2> habits_;
  Weather weather_;
  Policy policy_;
  bool seams_fail_;
  Gateway gateway_;
  Oracle oracle_;
  std::array<Link, 4> links_;
  std::array<Entry, 2> outlets_;
  std::array<TcpEndpoint, 2> endpoints_;
  std::array<Time, 2> timers_{never, never};
  std::array<Hand, 2> hands_{};
  std::array<Writing, 2> writings_;
  std::size_t batch_ = 0;
  std::size_t commands_written_ = 0;
  std::size_t replies_written_ = 0;
  bool client_ended_ = false;
  bool server_ended_ = false;
  std::string finding_;
};

}  // namespace

Result simulate(std::uint64_t seed, const Setting& setting, Workspace& workspace) {
  return Simulation(seed, setting, workspace).run();
}

}  // namespace ftpalg::simulator
