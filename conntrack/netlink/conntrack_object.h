// SPDX-License-Identifier: GPL-2.0-or-later
// libnetfilter_conntrack's object for one entry, and what of it is ours: tuples.
#pragma once

#include <libnetfilter_conntrack/libnetfilter_conntrack.h>

#include <memory>

#include "conntrack/netlink/netlink_socket.h"
#include "conntrack/tuple.h"

namespace ftpalg {

struct DestroyConntrack {
  void operator()(nf_conntrack* entry) const { nfct_destroy(entry); }
};
using ConntrackObject = std::unique_ptr<nf_conntrack, DestroyConntrack>;

/// AF_INET or AF_INET6.
std::uint8_t protocol_family(const Address& address);
std::uint16_t network_order(Port port);

/// An object of a TCP connection that holds `tuple` as its original tuple, in `zone`.
ConntrackObject object_with(const Tuple& tuple, std::uint16_t zone = 0);

/// The original tuple of an object that has one; the reply tuple likewise.
Tuple read_original(const nf_conntrack* entry);
Tuple read_reply(const nf_conntrack* entry);
/// The original tuple of its master.
Tuple read_original_of_master(const nf_conntrack* entry);

/// Begins a message in `buffer` about what has the protocol family `protocol`.
nlmsghdr* begin_message(NetlinkSocket::RequestBuffer& buffer, std::uint8_t subsystem,
                        std::uint8_t type, std::uint16_t flags, std::uint8_t protocol);

}  // namespace ftpalg
