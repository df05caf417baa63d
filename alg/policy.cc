// SPDX-License-Identifier: GPL-2.0-or-later
#include "alg/policy.h"

#include <algorithm>

#include "alg/ftp_line.h"

namespace ftpalg {

std::vector<Port> Policy::default_denied_ports() {
  // Services that listen above 1023 and that nobody should reach by way of an FTP server or client.
  std::vector<Port> ports{Port{1433}, Port{1521}, Port{2049}, Port{3306}, Port{3389}, Port{5432},
                          Port{5060}, Port{5900}, Port{6379}, Port{8080}, Port{9200}, Port{11211}};
  constexpr std::uint16_t x11_first = 6000;
  constexpr std::uint16_t x11_last = 6063;
  for (std::uint16_t number = x11_first; number <= x11_last; ++number) {
    ports.push_back(Port{number});
  }
  return ports;
}

Address Policy::advertised(const Address& address, const Address& peer) const {
  const auto found =
      std::find_if(external_addresses.begin(), external_addresses.end(),
                   [&](const ExternalAddress& external) { return external.inside == address; });
  return found == external_addresses.end() || peer.is_private() ? address : found->outside;
}

Reason objection(const Policy& policy, const Master& master, const Announcement& announcement) {
  const bool active = is_active(announcement.kind);
  const Address& own = active ? master.client() : master.server();
  const Address& seen_by_peer =
      active ? master.client_as_server_sees_it() : master.server_as_client_dials_it();
  const Address& peer = active ? master.server() : master.client();

  if (announcement.address) {
    const Address& address = *announcement.address;
    if (address.is_unspecified() || address.is_loopback() || address.is_multicast() ||
        address.is_limited_broadcast() || (address.is_link_local() && !own.is_link_local())) {
      return Reason::unusable_address;
    }
    if (address != own && address != seen_by_peer &&
        address != policy.advertised(seen_by_peer, peer)) {
      return Reason::foreign_address;
    }
  }
  const auto& denied = policy.denied_ports;
  if (announcement.port < policy.lowest_port ||
      std::find(denied.begin(), denied.end(), announcement.port) != denied.end()) {
    return Reason::refused_port;
  }
  return Reason::none;
}

}  // namespace ftpalg
