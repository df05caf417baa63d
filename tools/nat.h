// SPDX-License-Identifier: GPL-2.0-or-later
// NAT as `--nat` tells it, for those who have no conntrack to ask.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <tl/expected.hpp>

#include "conntrack/master.h"

namespace ftpalg::tools {

/// What the gateway translates.
struct Nat {
  enum class Kind : std::uint8_t {
    none,
    source,       ///< clients behind the gateway appear as `public_address`
    destination,  ///< a server behind the gateway is dialled by `public_address`
  };
  Kind kind = Kind::none;
  Address public_address;
  /// Always there with `destination`. With `source` it is needed only where the client's own
  /// address does not appear.
  std::optional<Address> inside;

  /// Reads "snat:PUBLIC", "snat:PUBLIC=INSIDE", "dnat:PUBLIC=INSIDE" or "none"; or says what would
  /// be right.
  static tl::expected<Nat, std::string> parse(std::string_view text);
};

/// The control connection that is seen as `seen`, client to server, on either side of a gateway
/// that translates it by `nat`.
Master translated(const Nat& nat, const Tuple& seen);

}  // namespace ftpalg::tools
