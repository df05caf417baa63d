// SPDX-License-Identifier: GPL-2.0-or-later
#include "alg/policy.h"

#include <algorithm>

#include "alg/data_connection.h"
#include "alg/ftp_line.h"

namespace ftpalg {
namespace {

bool contains_port(const std::vector<Port>& ports, Port port) {
  return std::find(ports.begin(), ports.end(), port) != ports.end();
}

bool contains_address(const std::vector<Network>& networks, const Address& address) {
  return std::any_of(networks.begin(), networks.end(),
                     [&](const Network& network) { return network.contains(address); });
}

}  // namespace

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

Policy Policy::share_of(unsigned engines) const {
  Policy share = *this;
  const auto part = [engines](auto whole) { return (whole + engines - 1) / engines; };
  share.sessions_max = part(sessions_max);
  share.expectations_max = part(expectations_max);
  share.kept_bytes_max = part(kept_bytes_max);
  return share;
}

Reason objection(const Policy& policy, const Master& master, const Announcement& announcement,
                 std::span<const Address> gateway_addresses) {
  const bool active = is_active(announcement.kind);
  if (active && !policy.active_allowed) return Reason::active_refused;

  const Address& own = active ? master.client() : master.server();
  if (announcement.address) {
    const Address& address = *announcement.address;
    if (address.is_unspecified() || address.is_loopback() || address.is_multicast() ||
        address.is_limited_broadcast() || (address.is_link_local() && !own.is_link_local())) {
      return Reason::unusable_address;
    }
    if (!names_own_end(policy, master, announcement)) {
      if (std::ranges::find(gateway_addresses, address) != gateway_addresses.end()) {
        return Reason::gateway_address;
      }
      const bool is_allowed =
          std::any_of(policy.foreign_addresses.begin(), policy.foreign_addresses.end(),
                      [&](const ForeignAddresses& pair) {
                        return pair.announcer.contains(own) && pair.announced.contains(address);
                      });
      if (!is_allowed) return Reason::foreign_address;
    }
  }
  const bool is_refused = announcement.port < policy.lowest_port ||
                          contains_port(policy.denied_ports, announcement.port);
  return is_refused ? Reason::refused_port : Reason::none;
}

Reason objection(const Policy& policy, const Address& client) {
  const auto& networks = policy.client_networks;
  return networks.empty() || contains_address(networks, client) ? Reason::none
                                                                : Reason::client_not_served;
}

Reason objection(const Policy& policy, const Master& master) {
  const auto& networks = policy.server_networks;
  const bool is_served = networks.empty() ||
                         contains_address(networks, master.server_as_client_dials_it()) ||
                         contains_address(networks, master.server());
  return is_served ? objection(policy, master.client()) : Reason::server_not_served;
}

}  // namespace ftpalg
