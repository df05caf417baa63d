// SPDX-License-Identifier: GPL-2.0-or-later
// The expectations of a network namespace as the kernel itself announces them when it takes them.
// Nothing is missed, however short an expectation lives.
#pragma once

#include <string>
#include <tl/expected.hpp>
#include <vector>

#include "conntrack/address.h"
#include "conntrack/netlink/netlink_socket.h"

namespace ftpalg::tools {

/// A data connection that the kernel lets through, once.
struct ExpectedConnection {
  Address source;        ///< who may connect, from any port
  Endpoint destination;  ///< where to
  Endpoint real;         ///< where NAT takes it
};

class ExpectationEvents {
 public:
  /// Listens in the network namespace of the calling thread.
  static tl::expected<ExpectationEvents, std::string> open();

  /// The expectations that were taken since the last call. Does not wait: the kernel announces one
  /// before whoever installs it hears of its success.
  tl::expected<std::vector<ExpectedConnection>, std::string> take();

 private:
  explicit ExpectationEvents(NetlinkSocket socket) : socket_(std::move(socket)) {}

  NetlinkSocket socket_;
};

}  // namespace ftpalg::tools
