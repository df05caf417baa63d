// SPDX-License-Identifier: GPL-2.0-or-later
#include "conntrack/netlink/conntrack_object.h"

#include <arpa/inet.h>
#include <netinet/in.h>

namespace ftpalg {
namespace {

void set_address(nf_conntrack* entry, nf_conntrack_attr ipv4, nf_conntrack_attr ipv6,
                 const Address& address) {
  nfct_set_attr(entry, address.family() == Family::ipv4 ? ipv4 : ipv6, address.bytes().data());
}

Address read_address(const nf_conntrack* entry, nf_conntrack_attr ipv4, nf_conntrack_attr ipv6) {
  const bool is_ipv4 = nfct_get_attr_u8(entry, ATTR_L3PROTO) == AF_INET;
  const auto* bytes = static_cast<const std::uint8_t*>(nfct_get_attr(entry, is_ipv4 ? ipv4 : ipv6));
  return *Address::from_bytes({bytes, is_ipv4 ? 4U : 16U});
}

Port read_port(const nf_conntrack* entry, nf_conntrack_attr attribute) {
  return Port{ntohs(nfct_get_attr_u16(entry, attribute))};
}

}  // namespace

std::uint8_t protocol_family(const Address& address) {
  return address.family() == Family::ipv4 ? AF_INET : AF_INET6;
}

std::uint16_t network_order(Port port) {
  return htons(port.number);
}

ConntrackObject object_with(const Tuple& tuple, std::uint16_t zone) {
  ConntrackObject entry(nfct_new());
  nfct_set_attr_u8(entry.get(), ATTR_L3PROTO, protocol_family(tuple.source.address));
  nfct_set_attr_u8(entry.get(), ATTR_L4PROTO, IPPROTO_TCP);
  set_address(entry.get(), ATTR_IPV4_SRC, ATTR_IPV6_SRC, tuple.source.address);
  set_address(entry.get(), ATTR_IPV4_DST, ATTR_IPV6_DST, tuple.destination.address);
  nfct_set_attr_u16(entry.get(), ATTR_PORT_SRC, network_order(tuple.source.port));
  nfct_set_attr_u16(entry.get(), ATTR_PORT_DST, network_order(tuple.destination.port));
  if (zone != 0) nfct_set_attr_u16(entry.get(), ATTR_ZONE, zone);
  return entry;
}

Tuple read_original(const nf_conntrack* entry) {
  return {{read_address(entry, ATTR_ORIG_IPV4_SRC, ATTR_ORIG_IPV6_SRC),
           read_port(entry, ATTR_ORIG_PORT_SRC)},
          {read_address(entry, ATTR_ORIG_IPV4_DST, ATTR_ORIG_IPV6_DST),
           read_port(entry, ATTR_ORIG_PORT_DST)}};
}

Tuple read_reply(const nf_conntrack* entry) {
  return {{read_address(entry, ATTR_REPL_IPV4_SRC, ATTR_REPL_IPV6_SRC),
           read_port(entry, ATTR_REPL_PORT_SRC)},
          {read_address(entry, ATTR_REPL_IPV4_DST, ATTR_REPL_IPV6_DST),
           read_port(entry, ATTR_REPL_PORT_DST)}};
}

Tuple read_original_of_master(const nf_conntrack* entry) {
  return {{read_address(entry, ATTR_MASTER_IPV4_SRC, ATTR_MASTER_IPV6_SRC),
           read_port(entry, ATTR_MASTER_PORT_SRC)},
          {read_address(entry, ATTR_MASTER_IPV4_DST, ATTR_MASTER_IPV6_DST),
           read_port(entry, ATTR_MASTER_PORT_DST)}};
}

nlmsghdr* begin_message(NetlinkSocket::RequestBuffer& buffer, std::uint8_t subsystem,
                        std::uint8_t type, std::uint16_t flags, std::uint8_t protocol) {
  nlmsghdr* message = mnl_nlmsg_put_header(buffer.data());
  message->nlmsg_type = static_cast<std::uint16_t>(subsystem << 8 | type);
  message->nlmsg_flags = flags;
  auto* family = static_cast<nfgenmsg*>(mnl_nlmsg_put_extra_header(message, sizeof(nfgenmsg)));
  family->nfgen_family = protocol;
  family->version = NFNETLINK_V0;
  return message;
}

}  // namespace ftpalg
