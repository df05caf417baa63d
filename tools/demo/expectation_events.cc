// SPDX-License-Identifier: GPL-2.0-or-later
#include "tools/demo/expectation_events.h"

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

struct DestroyExpectation {
  void operator()(nf_expect* expectation) const { nfexp_destroy(expectation); }
};

std::uint16_t from_network_order(std::uint16_t value) {
  const auto bytes = std::bit_cast<std::array<std::uint8_t, 2>>(value);
  return static_cast<std::uint16_t>(bytes[0] << 8 | bytes[1]);
}

Address address(const nf_conntrack& tuple, nf_conntrack_attr which) {
  const auto bytes = std::bit_cast<std::array<std::uint8_t, 4>>(nfct_get_attr_u32(&tuple, which));
  return Address::ipv4(bytes[0], bytes[1], bytes[2], bytes[3]);
}

Port port(const nf_conntrack& tuple, nf_conntrack_attr which) {
  return Port{from_network_order(nfct_get_attr_u16(&tuple, which))};
}

std::optional<ExpectedConnection> parse(const nlmsghdr* message) {
  const std::unique_ptr<nf_expect, DestroyExpectation> expectation{nfexp_new()};
  if (!expectation || nfexp_nlmsg_parse(message, expectation.get()) != 0) return std::nullopt;
  const auto tuple_of = [&](nf_expect_attr which) {
    return static_cast<const nf_conntrack*>(nfexp_get_attr(expectation.get(), which));
  };
  const nf_conntrack* const expected = tuple_of(ATTR_EXP_EXPECTED);
  const nf_conntrack* const nat = tuple_of(ATTR_EXP_NAT_TUPLE);
  if (expected == nullptr || nat == nullptr) return std::nullopt;
  return ExpectedConnection{
      .source = address(*expected, ATTR_ORIG_IPV4_SRC),
      .destination = {address(*expected, ATTR_ORIG_IPV4_DST), port(*expected, ATTR_ORIG_PORT_DST)},
      // What NAT makes of the destination stands in the source half.
      .real = {address(*nat, ATTR_ORIG_IPV4_SRC), port(*nat, ATTR_ORIG_PORT_SRC)},
  };
}

}  // namespace

tl::expected<ExpectationEvents, std::string> ExpectationEvents::open() {
  auto socket = NetlinkSocket::open();
  if (!socket) return tl::unexpected(socket.error());
  int group = NFNLGRP_CONNTRACK_EXP_NEW;
  if (mnl_socket_setsockopt(socket->get(), NETLINK_ADD_MEMBERSHIP, &group, sizeof group) != 0) {
    return tl::unexpected(
        fmt::format("cannot listen to the kernel's expectations: {}", std::strerror(errno)));
  }
  return ExpectationEvents{std::move(*socket)};
}

tl::expected<std::vector<ExpectedConnection>, std::string> ExpectationEvents::take() {
  std::vector<ExpectedConnection> result;
  alignas(nlmsghdr) std::array<char, 8192> buffer;
  for (;;) {
    const ssize_t received = recv(socket_.descriptor(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (received < 0 && errno == EINTR) continue;
    if (received < 0 && errno == EAGAIN) return result;
    if (received < 0) {
      return tl::unexpected(
          fmt::format("cannot read the kernel's expectations: {}", std::strerror(errno)));
    }
    const auto on_message = [](const nlmsghdr* message, void* data) {
      auto& found = *static_cast<std::vector<ExpectedConnection>*>(data);
      if (const auto expected = parse(message)) found.push_back(*expected);
      return MNL_CB_OK;
    };
    mnl_cb_run(buffer.data(), static_cast<std::size_t>(received), 0, 0, on_message, &result);
  }
}

}  // namespace ftpalg::tools
