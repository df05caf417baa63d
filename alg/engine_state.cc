// SPDX-License-Identifier: GPL-2.0-or-later
#include "alg/engine_state.h"

#include <string_view>
#include <unordered_set>

#include "alg/engine.h"
#include "alg/state_bytes.h"

namespace ftpalg {
namespace {

constexpr std::array<std::uint8_t, 8> magic{'f', 't', 'p', 'a', 'l', 'g', 0, 's'};

/// From the one that is due first on.
template <typename Queue>
std::vector<Deadline> listed(Queue queue) {
  std::vector<Deadline> deadlines;
  for (; !queue.empty(); queue.pop()) deadlines.push_back(queue.top());
  return deadlines;
}

/// A connection is found by one tuple for each direction, and no other by the same.
bool are_apart(const std::vector<EngineState::Session>& sessions, const KeyedHash& hash) {
  std::unordered_set<Tuple, KeyedHash> taken(0, hash);
  for (const auto& [connection, owns_announced] : sessions) {
    if (!taken.insert(connection.original).second) return false;
    if (connection.master && !taken.insert(connection.master->reply).second) return false;
  }
  return true;
}

}  // namespace

std::vector<std::uint8_t> Engine::state() const {
  StateWriter fields;
  fields(magic, engine_state_version, key_, counts_);
  // One that would not be taken is left to the other engine as one that was under way.
  std::uint32_t sessions = 0;
  connections_.visit_all([&](const Connection& connection) {
    if (connection.is_sound()) ++sessions;
  });
  fields(sessions);
  connections_.visit_all([&](const Connection& connection) {
    if (connection.is_sound()) fields(connection, announced_.owns_announced(connection));
  });
  fields(listed(hold_deadlines_), listed(watch_deadlines_));
  return fields.take();
}

bool Engine::holds_any() const {
  bool holds = false;
  connections_.visit_all([&](const Connection& connection) {
    holds = holds || connection.streams[0].holds_bytes() || connection.streams[1].holds_bytes();
  });
  return holds;
}

tl::expected<EngineState, std::string> EngineState::read(wire::Bytes bytes) {
  StateReader fields(bytes);
  auto mark = magic;
  std::uint32_t version = 0;
  fields(mark, version);
  if (fields.failed() || mark != magic) {
    return tl::unexpected(std::string{"this is no state of a gateway"});
  }
  if (version != engine_state_version) {
    return tl::unexpected("the state is of version " + std::to_string(version) +
                          ", and this program reads version " +
                          std::to_string(engine_state_version));
  }
  EngineState state;
  fields(state.key, state.counts, state.sessions, state.hold_deadlines, state.watch_deadlines);
  if (!fields.failed()) {
    for (const Session& session : state.sessions) {
      const Connection& connection = session.connection;
      const bool is_sound =
          connection.is_sound() && (connection.announced || !session.owns_announced);
      if (!is_sound) fields.fail("session " + connection.original.text() + " contradicts itself");
    }
    if (!are_apart(state.sessions, KeyedHash{state.key})) {
      fields.fail("two sessions are the same");
    } else if (fields.left() > 0) {
      fields.fail("something follows the end");
    }
  }
  if (fields.failed()) return tl::unexpected("the state is damaged: " + fields.failure());
  return state;
}

// What is in it is moved from, piece by piece.
// NOLINTNEXTLINE(performance-unnecessary-value-param)
void Engine::take_over(EngineState state, Time now) {
  counts_ = state.counts;
  for (auto& [taken, owns_announced] : state.sessions) {
    taken.client = policy_.client_network(taken.original.source.address);
    Connection& connection = connections_.insert(std::move(taken));
    if (connection.master) note_master(connection);
    if (connection.is_under_way()) use_.add_session(connection.client);
    if (witness_ != nullptr && connection.lives()) {
      witness_->on_answered(*connection.master, Witness::Beginning::under_way, now);
      if (connection.begun) witness_->on_begin(connection.original, now);
    }
    announced_.take_over(connection, owns_announced);
    kept_bytes_ += connection.kept_bytes();
  }
  for (const Deadline& deadline : state.hold_deadlines) hold_deadlines_.push(deadline);
  for (const Deadline& deadline : state.watch_deadlines) watch_deadlines_.push(deadline);
}

}  // namespace ftpalg
