// SPDX-License-Identifier: GPL-2.0-or-later
// A connection that conntrack relates to a master, so a data connection, and what conntrack tells
// of it.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "conntrack/tuple.h"

namespace ftpalg {

/// What conntrack has counted in one direction: the IP packets that passed, headers and what was
/// sent again included. Where segments are joined on reception (GRO), the joined ones count, with
/// one header.
struct Traffic {
  std::uint64_t packets = 0;
  std::uint64_t bytes = 0;
  auto operator<=>(const Traffic&) const = default;
};

/// By Direction, of the connection itself.
using BothTraffic = std::array<Traffic, 2>;

struct RelatedConnection {
  std::uint32_t id = 0;    ///< conntrack's, of this one entry
  Tuple master;            ///< original tuple of the control connection
  std::uint16_t zone = 0;  ///< of both
  Tuple original;
  Tuple reply;
  auto operator<=>(const RelatedConnection&) const = default;
};

/// How far a connection has come.
struct Progress {
  enum class Stage : std::uint8_t { opening, open, ended };
  Stage stage = Stage::opening;
  bool was_open = false;  ///< the handshake was over at some time
  std::optional<BothTraffic>
      traffic;  ///< nothing where conntrack does not count (nf_conntrack_acct)
};

/// What conntrack has told since the last time.
struct ConnectionNews {
  struct Gone {
    std::uint32_t id = 0;
    Tuple original;
    Progress last;
  };
  std::vector<RelatedConnection> begun;
  std::vector<Gone> gone;  ///< of any connection that was expected; those in `begun` began before
  bool has_gaps = false;   ///< more came than there was room for: list() tells what is there
};

}  // namespace ftpalg
