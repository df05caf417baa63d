// SPDX-License-Identifier: GPL-2.0-or-later
// What conntrack itself announces about expectations and data connections in a network namespace.
// Nothing is missed, however short an expectation lives.
#pragma once

#include <string>
#include <tl/expected.hpp>
#include <vector>

#include "conntrack/netlink/netlink_socket.h"
#include "conntrack/tuple.h"

namespace ftpalg::tools {

/// What the kernel has announced, in its order. IPv4 only.
struct Announced {
  struct Expected {
    Address source;        ///< who may connect, from any port
    Endpoint destination;  ///< where to
  };
  struct Related {
    Tuple before_nat;
    Tuple after_nat;
  };
  std::vector<Expected> expectations;
  std::vector<Related> data_connections;  ///< those that an expectation let through
};

class ConntrackEvents {
 public:
  /// Listens in the network namespace of the calling thread.
  static tl::expected<ConntrackEvents, std::string> open();

  /// What was announced since the last call. Does not wait: the kernel announces an expectation
  /// before whoever installs it hears of its success, and a connection before its first packet
  /// leaves.
  tl::expected<Announced, std::string> take();

 private:
  explicit ConntrackEvents(NetlinkSocket socket) : socket_(std::move(socket)) {}

  NetlinkSocket socket_;
};

}  // namespace ftpalg::tools
