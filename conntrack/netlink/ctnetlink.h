// SPDX-License-Identifier: GPL-2.0-or-later
// ctnetlink: conntrack's entries and expectations, as the seams see them.
#pragma once

#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

#include "conntrack/expectation.h"
#include "conntrack/master.h"
#include "conntrack/netlink/netlink_socket.h"

struct nf_conntrack;

namespace ftpalg {

/// An expectation as the kernel lists it.
struct ListedExpectation {
  Tuple master;  ///< original tuple of the connection that it belongs to
  Tuple expected;
  Tuple mask;
  std::string helper;    ///< of the master
  std::string function;  ///< that sets up the connection, or empty
};

/// The mask of every expectation of ours: all of both addresses and the destination port, nothing
/// of the source port.
Tuple exact_but_source_port(Family family);

/// What maps a connection as its master is mapped (kernel-facts 5).
inline constexpr std::string_view nat_follow_master = "nat-follow-master";

class Ctnetlink final : public Masters, public Expectations {
 public:
  /// Needs CAP_NET_ADMIN. An error names the cause and the mend.
  static tl::expected<Ctnetlink, std::string> open();

  std::optional<Master> find(const Tuple& tuple) override;
  OffsetResult set_offset(const Master& master, Direction direction,
                          const SequenceOffset& offset) override;
  MarkResult set_mark(const Master& master, std::uint32_t bits) override;
  std::optional<std::chrono::seconds> keep(const Master& master,
                                           std::chrono::seconds at_least) override;

  ExpectationResult add(const Expectation& expectation) override;
  void remove(const Expectation& expectation) override;

  /// Every TCP expectation in the kernel's table, whoever installed it; or the errno.
  tl::expected<std::vector<ListedExpectation>, int> list();

  /// The errno of the last request that failed, or 0; for whoever tells a person why.
  int last_error() const { return last_error_; }

 private:
  explicit Ctnetlink(NetlinkSocket socket) : socket_(std::move(socket)) {}
  int get(const Tuple& tuple, const std::function<void(const nf_conntrack*)>& on_entry);
  int transact(nlmsghdr* request, const std::function<void(const nlmsghdr*)>& on_message = {});

  NetlinkSocket socket_;
  int last_error_ = 0;
};

}  // namespace ftpalg
