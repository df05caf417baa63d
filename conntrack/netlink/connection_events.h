// SPDX-License-Identifier: GPL-2.0-or-later
// Data connections as conntrack tells of them: when one begins, when it is gone, and, when it is
// asked, how far one has come and what it has carried.
//
// Conntrack knows a data connection by the expectation that let it through. It tells of its
// beginning with its master, and of its end, which comes up to two minutes late (TIME-WAIT), with
// what it has counted. What happens between, it would tell too, but then it would have to write six
// messages for each of a router's connections, most of which have nothing to do with FTP, where two
// will do; so between, it is asked. The messages about connections that nobody has expected end in
// the kernel, by a filter on the socket, and wake nobody.
#pragma once

#include <optional>
#include <string>
#include <tl/expected.hpp>
#include <vector>

#include "conntrack/netlink/netlink_socket.h"
#include "conntrack/related_connection.h"

namespace ftpalg {

class ConnectionEvents {
 public:
  /// Listens in the network namespace of the calling thread. Needs CAP_NET_ADMIN, and no system
  /// call later but to send and to receive. An error names the cause and the mend.
  static tl::expected<ConnectionEvents, std::string> open();

  /// Readable when there is news.
  int descriptor() const { return news_.descriptor(); }
  /// Does not wait, and takes no more at once than leaves time for other things.
  ConnectionNews take();

  /// Nothing when conntrack does not know the connection any more, or does not answer.
  std::optional<Progress> look(const RelatedConnection& connection);

  /// All data connections, of whatever master, that conntrack knows now; or the errno.
  tl::expected<std::vector<RelatedConnection>, int> list();

 private:
  ConnectionEvents(NetlinkSocket news, NetlinkSocket questions)
      : news_(std::move(news)), questions_(std::move(questions)) {}

  NetlinkSocket news_;
  NetlinkSocket questions_;
};

}  // namespace ftpalg
