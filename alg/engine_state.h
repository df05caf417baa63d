// SPDX-License-Identifier: GPL-2.0-or-later
// The state of an engine: all that it knows of its sessions, to go on in another engine, of the
// same program or a later one, exactly where it stands.
//
// What the kernel has stays there meanwhile: sequence offsets, expectations, marks. What the policy
// says is not part of it; the other engine has its own. Times are those of the clock that both
// engines are given.
#pragma once

#include <string>
#include <tl/expected.hpp>
#include <vector>

#include "alg/connection.h"
#include "alg/deadline.h"
#include "alg/keyed_hash.h"
#include "alg/reason.h"

namespace ftpalg {

/// Of the bytes' layout. To be raised with each change of it; tests/engine_state_test.cc knows
/// when.
inline constexpr std::uint32_t engine_state_version = 1;

struct EngineState {
  struct Session {
    Connection connection{{}, {{}, 0}};
    bool owns_announced = false;

    template <typename Fields, typename Self>
    static void visit(Fields& fields, Self& self) {
      fields(self.connection, self.owns_announced);
    }
  };

  KeyedHash::Key key{};
  std::array<std::uint64_t, reason_count> counts{};
  std::vector<Session> sessions;  ///< in the order of their table
  std::vector<Deadline> hold_deadlines;
  std::vector<Deadline> watch_deadlines;

  /// Reads what Engine::state() has written; or, as the error, why it cannot be read. Then nothing
  /// of it counts.
  static tl::expected<EngineState, std::string> read(wire::Bytes bytes);
};

}  // namespace ftpalg
