// SPDX-License-Identifier: GPL-2.0-or-later
// An expectation: the one data connection that a control connection has announced.
#pragma once

#include "conntrack/tuple.h"

namespace ftpalg {

/// Exact in source address, destination address and destination port; only the source port is open.
struct Expectation {
  Tuple master;            ///< original tuple of the control connection
  std::uint16_t zone = 0;  ///< the control connection's
  Address source;          ///< who will connect, as the gateway sees the first packet
  Endpoint destination;    ///< where to, before NAT: what was advertised
  Endpoint inside;         ///< where it ends up: the same, or what NAT maps it to
  /// Where it comes from when a server keeps to RFC 959, section 3.2: the port below that of the
  /// control connection. 0 where nothing is known.
  Port usual_source_port;
  Direction direction = Direction::original;  ///< of the data connection, relative to the master
  bool follows_master = false;  ///< map both ends as the master's are; set when the master is NATed

  auto operator<=>(const Expectation&) const = default;
};

enum class ExpectationResult {
  added,
  busy,    ///< another connection has announced the same destination to the same source, or has a
           ///< data connection there that conntrack knows still
  failed,  ///< no carrier on the master, no memory, or the kernel refused; nothing was changed
};

/// Seam: conntrack's expectations. Live it is ctnetlink; MemoryExpectations is its twin.
class Expectations {
 public:
  virtual ~Expectations() = default;

  /// Installs `expectation`. One that the same master installed before is replaced by the kernel's
  /// carrier policy (one live expectation per control connection).
  virtual ExpectationResult add(const Expectation& expectation) = 0;

  /// Removes it, if it is still there and its master's: a connection that matched has consumed it.
  virtual void remove(const Expectation& expectation) = 0;
};

}  // namespace ftpalg
