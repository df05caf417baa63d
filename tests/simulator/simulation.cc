// SPDX-License-Identifier: GPL-2.0-or-later
#include "simulation.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

#include "forger.h"

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

/// The least that packets may have on their way between the gateway and either end.
struct Path {
  std::array<std::size_t, 2> mtu{65535, 65535};
  /// Who sends too much is told (RFC 1191, RFC 8201); else both ends know beforehand.
  bool tells = false;
};

Path choose_path(Random& random, const Script& script) {
  Path path;
  if (!random.chance(400)) return path;
  constexpr std::array<std::size_t, 6> mtus4{576, 576, 600, 900, 1280, 1500};
  constexpr std::array<std::size_t, 3> mtus6{1280, 1280, 1500};
  const bool is_ipv4 = script.master.client().family() == Family::ipv4;
  path.mtu[random.below(2)] = is_ipv4 ? random.pick(mtus4) : random.pick(mtus6);
  path.tells = random.chance(500);
  return path;
}

Habits choose_habits(Random& random, const Script& script, const Path& path) {
  constexpr std::array<std::uint32_t, 8> initial_seqs{
      0, 1, 0x40000000, 0x7fffff00, 0x80000000, 0xffffff80, 0xfffffff0, 0xffffffff};
  constexpr std::array<std::uint16_t, 5> sizes{1460, 1460, 536, 100, 48};
  constexpr std::array<std::uint16_t, 5> windows{64000, 64000, 2000, 300, 70};
  Habits habits;
  habits.initial_seq =
      random.chance(800) ? random.pick(initial_seqs) : static_cast<std::uint32_t>(random.next());
  habits.mss = script.has_much_text ? sizes[random.below(3)] : random.pick(sizes);
  habits.window = script.has_much_text ? windows[random.below(3)] : random.pick(windows);
  if (!path.tells) {
    const std::size_t header_bytes = script.master.client().family() == Family::ipv4 ? 40 : 60;
    const std::size_t fitting = std::min(path.mtu[client], path.mtu[server]) - header_bytes;
    habits.mss = static_cast<std::uint16_t>(std::min<std::size_t>(habits.mss, fitting));
  }
  habits.sack = random.chance(600);
  habits.timestamps = random.chance(400);
  habits.takes_syn_data = random.chance(700);
  habits.nagle = random.chance(500);
  habits.delays_acks = random.chance(500);
  habits.probes_tail = random.chance(400);
  habits.coalesces = random.chance(500);
  // Who lost the other's reset learns of it only by asking.
  habits.keeps_alive = random.chance(200) || is_aborted(script);
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
  if (random.chance(300)) {
    weather.joins = 950;
    weather.joined_bytes_max = 65535;
  }
  return weather;
}

class Simulation final : private Gateway::Exits {
 public:
  Simulation(std::uint64_t seed, const Setting& setting, Workspace& workspace)
      : random_(seed),
        setting_(setting),
        agenda_(workspace.agenda),
        pool_(workspace.pool),
        script_(make_script(random_)),
        path_(choose_path(random_, script_)),
        policy_(choose_policy()),
        outlets_{Entry{*this, client_to_gateway}, Entry{*this, server_to_gateway}},
        ends_{{choose_habits(), choose_habits()}, {&outlets_[client], &outlets_[server]}},
        weather_(choose_weather(random_)),
        excuses_{!setting.gateway_is_present, random_.chance(40)},
        gateway_(script_.master, policy_, setting.gateway_is_present, *this, workspace.figures),
        links_{make_link(client_to_gateway, workspace), make_link(gateway_to_server, workspace),
               make_link(server_to_gateway, workspace), make_link(gateway_to_client, workspace)},
        talk_(script_, ends_, excuses_, gateway_, agenda_, 0, random_.next(), workspace.figures),
        figures_(workspace.figures) {
    agenda_.clear();
    pool_.give_back_all();
    if (excuses_.seams_fail) choose_failures();
    if (script_.gateway_is_late) {
      constexpr std::array<std::uint32_t, 3> packets{20, 60, 200};
      gateway_.start_after(random_.between(1, random_.pick(packets)));
    }
    // The gateway must remember what came first: it does so for those it serves, up to a limit.
    forges_ = setting_.gateway_is_present && random_.chance(100) && !excuses_.seams_fail &&
              !script_.gateway_is_late && !script_.has_much_text && script_.in_syn == 0 &&
              !script_.greets_in_syn;
    // Drawn apart, so that all else is the same as without.
    Random moves(~seed);
    constexpr std::array<std::uint32_t, 3> moves_per_mille{30, 200, 1000};
    if (moves.chance(250)) gateway_.move_after(moves.pick(moves_per_mille), moves.next());
  }

  Result run() {
    talk_.begin(now_);
    agenda_.plan(now_ + 1s, Event::Kind::tick, 0);
    std::uint64_t events = 0;
    while (finding().empty() && !talk_.is_over()) {
      if (agenda_.empty()) {
        find("nothing moves any more");
        break;
      }
      const Event event = agenda_.take();
      now_ = event.at;
      if (now_ > stuck_at) find("stuck: " + talk_.state_text());
      if (++events > events_max) find("it never ends: " + talk_.state_text());
      happen(event);
    }
    if (finding().empty()) finish();
    return result();
  }

 private:
  struct Entry final : Outlet {
    Entry(Simulation& owner, Place link) : simulation(owner), place(link) {}
    void send(const PacketBytes& packet) override {
      simulation.trace("sends", place, packet);
      simulation.send(place, packet, 0);
    }
    Simulation& simulation;
    Place place;
  };

  Link make_link(Place place, Workspace& workspace) {
    const bool is_on_clients_side = place == client_to_gateway || place == gateway_to_client;
    return {place,
            weather_,
            path_.mtu[is_on_clients_side ? client : server],
            random_.next(),
            agenda_,
            pool_,
            workspace.figures};
  }

  Habits choose_habits() {
    Habits habits = simulator::choose_habits(random_, script_, path_);
    habits.forgives_sack = policy_.offset_owner == OffsetOwner::kernel && script_.master.is_nated();
    return habits;
  }

  Policy choose_policy() {
    Policy policy;
    policy.offset_owner = random_.chance(600) ? OffsetOwner::kernel : OffsetOwner::engine;
    policy.active_needs_quiet = script_.active_needs_quiet;
    policy.external_addresses = script_.external_addresses;
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
    const auto who = static_cast<Who>(event.place % 2);
    switch (event.kind) {
      case Event::Kind::arrival:
        arrive(static_cast<Place>(event.place), event.packet);
        break;
      case Event::Kind::timer:
        talk_.on_timer(who, now_);
        break;
      case Event::Kind::writing:
        talk_.on_writing(who, now_);
        break;
      case Event::Kind::tick:
        gateway_.tick(now_);
        agenda_.plan(now_ + 1s, Event::Kind::tick, 0);
        break;
    }
  }

  void arrive(Place place, std::uint32_t id) {
    links_[place].note_arrival(id);
    auto& [packet, segment_bytes] = pool_.at(id);
    if (place == client_to_gateway || place == server_to_gateway) {
      trace("comes in from", place, packet);
      const Direction direction =
          place == client_to_gateway ? Direction::original : Direction::reply;
      forge(direction, packet);
      gateway_.take(direction, packet, segment_bytes, now_);
      if (!gateway_.fault().empty()) find(gateway_.fault());
    } else {
      trace("reaches", place, packet);
      talk_.receive(place == gateway_to_client ? client : server, packet, now_);
    }
    pool_.give_back(id);
  }

  void forge(Direction direction, PacketBytes& packet) {
    if (!forges_) return;
    if (forgers_[static_cast<std::size_t>(direction)].forge(packet)) ++figures_.forged;
  }

  void leave(Direction direction, wire::Bytes packet, std::size_t segment_bytes) override {
    const Place place = direction == Direction::original ? gateway_to_server : gateway_to_client;
    trace("leaves towards", place, packet);
    send(place, packet, segment_bytes);
  }

  void send(Place place, wire::Bytes packet, std::size_t segment_bytes) {
    const auto result = links_[place].send(packet, segment_bytes, now_);
    if (result == Link::Result::sent || !path_.tells) return;
    const bool is_on_clients_side = place == client_to_gateway || place == gateway_to_client;
    const bool from_client = place == client_to_gateway || place == gateway_to_server;
    talk_.note_mtu(from_client ? client : server, path_.mtu[is_on_clients_side ? client : server]);
  }

  void report(const Decision& decision) override {
    talk_.note(decision);
    // What was dropped comes again as if for the first time.
    if (decision.reason == Reason::edit_waits) forges_ = false;
    if (!setting_.traces) return;
    constexpr std::array actions{"forward", "rewrite", "refuse", "wait"};
    fmt::print("{:>10.3f} ms   engine: {} '{}' -> '{}': {}\n", milliseconds(),
               actions[static_cast<std::size_t>(decision.action)], escaped(decision.before),
               escaped(decision.after), text(decision.reason));
  }

  // --- The end

  void finish() {
    // What is still under way arrives; then the engine's memory of the session runs out.
    const Time quiet_at = now_ + 5s;
    while (!agenda_.empty() && now_ < quiet_at && finding().empty()) {
      const Event event = agenda_.take();
      now_ = event.at;
      if (event.kind != Event::Kind::writing) happen(event);
    }
    if (!finding().empty()) return;
    if (!talk_.is_aborted() && !gateway_.expectations().live().empty()) {
      find("an expectation outlives its session");
    }
    // One whose end it has not seen is forgotten for its silence.
    const bool may_be_unseen = talk_.is_aborted() || script_.gateway_is_late;
    gateway_.tick(now_ + 1s + (may_be_unseen ? policy_.session_idle_max : policy_.session_linger));
    talk_.end();
    if (setting_.gateway_is_present && !talk_.is_aborted() &&
        gateway_.engine().connections() != 0) {
      find("the engine remembers an ended session");
    }
  }

  const std::string& finding() const { return finding_.empty() ? talk_.finding() : finding_; }
  void find(std::string finding) {
    if (finding_.empty()) finding_ = std::move(finding);
  }

  double milliseconds() const { return std::chrono::duration<double, std::milli>(now_).count(); }

  void trace(const char* what, Place place, wire::Bytes packet) {
    if (!setting_.traces) return;
    constexpr std::array names{"client", "server", "server", "client"};
    const bool from_client = place == client_to_gateway || place == gateway_to_server;
    const TcpEndpoint& sender = talk_.endpoint(from_client ? client : server);
    const TcpEndpoint& receiver = talk_.endpoint(from_client ? server : client);
    fmt::print("{:>10.3f} ms {} {}: {}\n", milliseconds(),
               what == std::string_view{"sends"} ? names[place] : what,
               what == std::string_view{"sends"} ? "sends" : names[place],
               describe(packet, sender.base(), receiver.base()));
  }

  Result result() const {
    Result result;
    result.finding = finding();
    result.took = now_;
    result.seams_failed = excuses_.seams_fail;
    if (setting_.traces || !result.finding.empty()) result.setup = setup_text();
    return result;
  }

  std::string setup_text() const {
    return fmt::format(
        "offsets of the {}{}\n  client {}\n  server {}\n  loss {} repeats {} reorders {} cuts {} "
        "joins {} per mille, delay {} + {} ms, MTU {} and {}{}\n  original {}\n  reply {}",
        policy_.offset_owner == OffsetOwner::kernel ? "kernel" : "engine",
        excuses_.seams_fail       ? ", seams fail"
        : script_.gateway_is_late ? ", late"
        : forges_                 ? ", forged"
                                  : "",
        describe(ends_.habits[client]), describe(ends_.habits[server]), weather_.loss,
        weather_.repeats, weather_.reorders, weather_.cuts, weather_.joins, weather_.delay / 1ms,
        weather_.jitter_ms, path_.mtu[client], path_.mtu[server], path_.tells ? " told" : "",
        script_.master.original.text(), script_.master.reply.text());
  }

  Random random_;
  Setting setting_;
  Agenda& agenda_;
  PacketPool& pool_;
  Time now_{};
  Script script_;
  Path path_;
  Policy policy_;
  std::array<Entry, 2> outlets_;
  Talk::Ends ends_;
  Weather weather_;
  Oracle::Excuses excuses_;
  Gateway gateway_;
  std::array<Link, 4> links_;
  Talk talk_;
  Figures& figures_;
  bool forges_ = false;
  std::array<Forger, 2> forgers_{};
  std::string finding_;
};

}  // namespace

Result simulate(std::uint64_t seed, const Setting& setting, Workspace& workspace) {
  return Simulation(seed, setting, workspace).run();
}

}  // namespace ftpalg::simulator
