// SPDX-License-Identifier: GPL-2.0-or-later
// Any bytes as the state of an engine: they are refused with a reason, or an engine goes on with
// them, writes them down again as the same, and takes whatever packets come without harm.
#include <vector>

#include "alg/engine.h"
#include "conntrack/memory_seams.h"
#include "input.h"
#include "valid_packet.h"

namespace ftpalg::fuzz {
namespace {

class Inject final : public Injector {
 public:
  InjectResult send(std::span<const std::uint8_t> packet, InjectAs) override {
    require_valid(packet);
    return InjectResult::sent;
  }
};

/// An engine with the twins that it talks to.
struct Gateway {
  explicit Gateway(EngineState state) : engine({}, {masters, expectations, injector}, state.key) {
    for (const auto& session : state.sessions) {
      if (session.connection.master) masters.add(*session.connection.master);
    }
    engine.take_over(std::move(state), {});
  }
  MemoryMasters masters;
  MemoryExpectations expectations;
  Inject injector;
  Engine engine;
};

std::vector<std::uint8_t> packet_of(const Tuple& tuple, Seq seq, Seq ack, std::string_view text,
                                    std::uint8_t flags) {
  PacketBuilder builder;
  builder.begin_bare(tuple, seq, ack, 1000, std::nullopt);
  builder.append({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
  if (flags != 0) builder.set_flag(flags);
  const auto packet = builder.finish();
  return {packet.begin(), packet.end()};
}

void serve(Gateway& gateway, const EngineState& state) {
  constexpr std::size_t served_max = 4;
  Time now{};
  for (const auto& session : state.sessions) now = std::max(now, session.connection.last_seen);
  // A clock that is about to run over is no clock of a machine that runs.
  constexpr Time clock_max = std::chrono::hours{24 * 365 * 30};
  if (now > clock_max) return;
  std::size_t served = 0;
  for (const auto& [connection, owns_announced] : state.sessions) {
    if (++served > served_max) break;
    for (const Direction direction : {Direction::original, Direction::reply}) {
      const bool from_client = direction == Direction::original;
      if (!from_client && !connection.master) continue;
      const Tuple& tuple = from_client ? connection.original : connection.master->reply;
      const Stream& stream = connection.stream(direction);
      const Seq ack = connection.heard[static_cast<std::size_t>(direction)].ack;
      const std::string_view line =
          from_client ? "PORT 10,0,0,2,195,80\r\n" : "227 =192,168,100,200,195,80\r\n";
      for (const Seq seq : {stream.forwarded(), stream.acknowledged(), stream.next() + -3,
                            stream.next(), stream.next() + 5, stream.next() + 20}) {
        for (const std::uint8_t flags : {Segment::psh_flag, Segment::urg_flag, Segment::fin_flag}) {
          now += std::chrono::milliseconds{300};
          const auto packet = packet_of(tuple, seq, ack, line, flags);
          const auto verdict = gateway.engine.on_packet(packet, now).verdict;
          if (verdict.action == Verdict::Action::replace) require_valid(verdict.packet);
          if (flags == Segment::psh_flag) gateway.engine.on_tick(now);
        }
      }
    }
  }
  gateway.engine.on_tick(now + std::chrono::seconds{20});
  const auto again = EngineState::read(gateway.engine.state());
  require(again.has_value(), again ? "" : again.error().c_str());
  gateway.engine.withdraw_all(now + std::chrono::seconds{21});
  require(gateway.engine.connections() == 0, "no connection is left at the end");
}

}  // namespace
}  // namespace ftpalg::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace ftpalg;
  const auto state = EngineState::read({data, size});
  if (!state) {
    fuzz::require(!state.error().empty(), "a refusal has its reason");
    return 0;
  }
  fuzz::Gateway gateway(*state);
  const auto written = gateway.engine.state();
  auto again = EngineState::read(written);
  fuzz::require(again.has_value(), "what was written can be read");
  fuzz::Gateway second(std::move(*again));
  fuzz::require(second.engine.state() == written, "what was taken over is written as the same");
  fuzz::serve(gateway, *state);
  return 0;
}
