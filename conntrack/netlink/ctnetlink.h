// SPDX-License-Identifier: GPL-2.0-or-later
// ctnetlink: conntrack's entries and expectations, as the seams see them.
#pragma once

#include <chrono>
#include <span>
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
  Tuple master;            ///< original tuple of the connection that it belongs to
  std::uint16_t zone = 0;  ///< of both
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

/// A master as it was when the kernel queued a packet of it.
struct QueuedMaster {
  Master master;
  bool is_assured;  ///< the handshake was over (IPS_ASSURED)
};

/// The master that `attributes` are about: what comes with a queued packet of `family` in NFQA_CT.
/// Nothing where conntrack has not confirmed the entry yet, so that what NAT makes of it is not
/// known, or where they cannot be read.
std::optional<QueuedMaster> master_of(std::span<const std::uint8_t> attributes, Family family);

class Ctnetlink final : public Masters, public Expectations {
 public:
  /// Needs CAP_NET_ADMIN. An error names the cause and the mend.
  static tl::expected<Ctnetlink, std::string> open();

  /// In the zone 0.
  std::optional<Master> find(const Tuple& tuple) override { return find(tuple, 0); }
  std::optional<Master> find(const Tuple& tuple, std::uint16_t zone);
  OffsetResult set_offset(const Master& master, Direction direction,
                          const SequenceOffset& offset) override;
  MarkResult set_mark(const Master& master, std::uint32_t bits) override;
  std::optional<std::chrono::seconds> keep(const Master& master,
                                           std::chrono::seconds at_least) override;

  ExpectationResult add(const Expectation& expectation) override;
  void remove(const Expectation& expectation) override;

  /// Has the kernel forget one that is there after `life`, however long it was to live.
  void limit(const Expectation& expectation, std::chrono::seconds life) {
    put(expectation, 0, life);
  }

  /// Every TCP expectation in the kernel's table, whoever installed it; or the errno.
  tl::expected<std::vector<ListedExpectation>, int> list();

  /// The errno of the last request that failed, or 0; for whoever tells a person why.
  int last_error() const { return last_error_; }

 private:
  explicit Ctnetlink(NetlinkSocket socket) : socket_(std::move(socket)) {}
  int get(const Tuple& tuple, std::uint16_t zone,
          const std::function<void(const nf_conntrack*)>& on_entry);
  int put(const Expectation& expectation, std::uint16_t flags, std::chrono::seconds life);
  void erase(const Expectation& expectation);
  bool is_installed_by_master(const Expectation& expectation);
  bool is_in_use_elsewhere(const Expectation& expectation);
  int transact(nlmsghdr* request, const std::function<void(const nlmsghdr*)>& on_message = {});

  NetlinkSocket socket_;
  int last_error_ = 0;
};

}  // namespace ftpalg
