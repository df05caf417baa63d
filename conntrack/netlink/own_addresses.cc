// SPDX-License-Identifier: GPL-2.0-or-later
#include "conntrack/netlink/own_addresses.h"

#include <linux/if_addr.h>
#include <linux/rtnetlink.h>

#include <cstdint>
#include <optional>
#include <span>
#include <utility>

namespace ftpalg {
namespace {

/// A point-to-point interface has its own address in IFA_LOCAL and the other end's in IFA_ADDRESS;
/// IPv6 has IFA_ADDRESS alone, and IPv4 elsewhere the same in both.
std::optional<Address> address_in(const nlmsghdr* message) {
  if (message->nlmsg_type != RTM_NEWADDR) return std::nullopt;
  std::optional<Address> address;
  const nlattr* attribute = nullptr;
  mnl_attr_for_each(attribute, message, sizeof(ifaddrmsg)) {
    const auto type = mnl_attr_get_type(attribute);
    if (type != IFA_LOCAL && (type != IFA_ADDRESS || address)) continue;
    const std::span bytes(static_cast<const std::uint8_t*>(mnl_attr_get_payload(attribute)),
                          mnl_attr_get_payload_len(attribute));
    if (const auto found = Address::from_bytes(bytes)) address = found;
  }
  return address;
}

}  // namespace

tl::expected<OwnAddresses, std::string> OwnAddresses::open() {
  return NetlinkSocket::open_route().map(
      [](NetlinkSocket&& socket) { return OwnAddresses(std::move(socket)); });
}

tl::expected<std::vector<Address>, int> OwnAddresses::list() {
  std::array<char, MNL_ALIGN(NLMSG_HDRLEN + sizeof(ifaddrmsg))> buffer{};
  nlmsghdr* const request = mnl_nlmsg_put_header(buffer.data());
  request->nlmsg_type = RTM_GETADDR;
  request->nlmsg_flags = NLM_F_DUMP;
  mnl_nlmsg_put_extra_header(request, sizeof(ifaddrmsg));

  std::vector<Address> addresses;
  const int error = socket_.transact(request, [&](const nlmsghdr* message) {
    if (const auto address = address_in(message)) addresses.push_back(*address);
  });
  if (error != 0) return tl::unexpected(error);
  return addresses;
}

}  // namespace ftpalg
