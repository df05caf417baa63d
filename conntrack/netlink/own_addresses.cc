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
struct Found {
  std::optional<Address> local;
  std::optional<Address> address;
};

int note_attribute(const nlattr* attribute, void* data) {
  auto& found = *static_cast<Found*>(data);
  const std::span bytes(static_cast<const std::uint8_t*>(mnl_attr_get_payload(attribute)),
                        mnl_attr_get_payload_len(attribute));
  if (mnl_attr_get_type(attribute) == IFA_LOCAL) found.local = Address::from_bytes(bytes);
  if (mnl_attr_get_type(attribute) == IFA_ADDRESS) found.address = Address::from_bytes(bytes);
  return MNL_CB_OK;
}

std::optional<Address> address_in(const nlmsghdr* message) {
  if (message->nlmsg_type != RTM_NEWADDR) return std::nullopt;
  Found found;
  mnl_attr_parse(message, sizeof(ifaddrmsg), note_attribute, &found);
  return found.local ? found.local : found.address;
}

}  // namespace

tl::expected<OwnAddresses, std::string> OwnAddresses::open() {
  return NetlinkSocket::open_route().map(
      [](NetlinkSocket&& socket) { return OwnAddresses(std::move(socket)); });
}

tl::expected<std::vector<Address>, int> OwnAddresses::list() {
  alignas(NLMSG_ALIGNTO) NetlinkSocket::RequestBuffer buffer{};
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
