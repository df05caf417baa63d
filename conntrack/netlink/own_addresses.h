// SPDX-License-Identifier: GPL-2.0-or-later
// The addresses of this machine's own interfaces.
#pragma once

#include <string>
#include <tl/expected.hpp>
#include <vector>

#include "conntrack/address.h"
#include "conntrack/netlink/netlink_socket.h"

namespace ftpalg {

class OwnAddresses {
 public:
  /// Needs no rights, and no system call later but to send and to receive.
  static tl::expected<OwnAddresses, std::string> open();

  /// Those of all interfaces, in the network namespace where it was opened, as they are now; or the
  /// errno.
  tl::expected<std::vector<Address>, int> list();

 private:
  explicit OwnAddresses(NetlinkSocket socket) : socket_(std::move(socket)) {}

  NetlinkSocket socket_;
};

}  // namespace ftpalg
