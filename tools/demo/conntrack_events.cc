// SPDX-License-Identifier: GPL-2.0-or-later
#include "tools/demo/conntrack_events.h"

#include <fmt/format.h>
#include <libnetfilter_conntrack/libnetfilter_conntrack.h>
#include <sys/socket.h>

#include <array>
#include <bit>
#include <cerrno>
#include <cstring>
#include <memory>

namespace ftpalg::tools {
namespace {

struct Destroy {
  void operator()(nf_expect* expectation) const { nfexp_destroy(expectation); }
  void operator()(nf_conntrack* connection) const { nfct_destroy(connection); }
};

Endpoint endpoint(const nf_conntrack& connection, nf_conntrack_attr address,
                  nf_conntrack_attr port) {
  // Both are handed out in network order.
  const auto bytes =
      std::bit_cast<std::array<std::uint8_t, 4>>(nfct_get_attr_u32(&connection, address));
  const auto port_bytes =
      std::bit_cast<std::array<std::uint8_t, 2>>(nfct_get_attr_u16(&connection, port));
  return {Address::ipv4(bytes[0], bytes[1], bytes[2], bytes[3]),
          Port{static_cast<std::uint16_t>(port_bytes[0] << 8 | port_bytes[1])}};
}

void note_expectation(const nlmsghdr* message, Announced& announced) {
  const std::unique_ptr<nf_expect, Destroy> expectation{nfexp_new()};
  if (!expectation || nfexp_nlmsg_parse(message, expectation.get()) != 0) return;
  const auto* const expected =
      static_cast<const nf_conntrack*>(nfexp_get_attr(expectation.get(), ATTR_EXP_EXPECTED));
  if (expected == nullptr) return;
  announced.expectations.push_back(
      {endpoint(*expected, ATTR_ORIG_IPV4_SRC, ATTR_ORIG_PORT_SRC).address,
       endpoint(*expected, ATTR_ORIG_IPV4_DST, ATTR_ORIG_PORT_DST)});
}

void note_connection(const nlmsghdr* message, Announced& announced) {
  const std::unique_ptr<nf_conntrack, Destroy> connection{nfct_new()};
  if (!connection || nfct_nlmsg_parse(message, connection.get()) < 0) return;
  // Only a related connection has a master.
  if (nfct_attr_is_set(connection.get(), ATTR_MASTER_IPV4_SRC) <= 0) return;
  const auto part = [&](nf_conntrack_attr address, nf_conntrack_attr port) {
    return endpoint(*connection, address, port);
  };
  const Tuple original{part(ATTR_ORIG_IPV4_SRC, ATTR_ORIG_PORT_SRC),
                       part(ATTR_ORIG_IPV4_DST, ATTR_ORIG_PORT_DST)};
  const Tuple reply{part(ATTR_REPL_IPV4_SRC, ATTR_REPL_PORT_SRC),
                    part(ATTR_REPL_IPV4_DST, ATTR_REPL_PORT_DST)};
  announced.data_connections.push_back({original, reply.reversed()});
}

int on_message(const nlmsghdr* message, void* data) {
  auto& announced = *static_cast<Announced*>(data);
  const int subsystem = NFNL_SUBSYS_ID(message->nlmsg_type);
  if (subsystem == NFNL_SUBSYS_CTNETLINK_EXP) note_expectation(message, announced);
  if (subsystem == NFNL_SUBSYS_CTNETLINK) note_connection(message, announced);
  return MNL_CB_OK;
}

}  // namespace

tl::expected<ConntrackEvents, std::string> ConntrackEvents::open() {
  auto socket = NetlinkSocket::open();
  if (!socket) return tl::unexpected(socket.error());
  for (int group : {NFNLGRP_CONNTRACK_EXP_NEW, NFNLGRP_CONNTRACK_NEW}) {
    if (mnl_socket_setsockopt(socket->get(), NETLINK_ADD_MEMBERSHIP, &group, sizeof group) != 0) {
      return tl::unexpected(
          fmt::format("cannot listen to conntrack's events: {}", std::strerror(errno)));
    }
  }
  return ConntrackEvents{std::move(*socket)};
}

tl::expected<Announced, std::string> ConntrackEvents::take() {
  Announced announced;
  alignas(nlmsghdr) std::array<char, 8192> buffer;
  for (;;) {
    const ssize_t received = recv(socket_.descriptor(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (received < 0 && errno == EINTR) continue;
    if (received < 0 && errno == EAGAIN) return announced;
    if (received < 0) {
      return tl::unexpected(
          fmt::format("cannot read conntrack's events: {}", std::strerror(errno)));
    }
    mnl_cb_run(buffer.data(), static_cast<std::size_t>(received), 0, 0, on_message, &announced);
  }
}

}  // namespace ftpalg::tools
