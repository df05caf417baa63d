// SPDX-License-Identifier: GPL-2.0-or-later
#include "alg/data_connection.h"

#include "alg/ftp_line.h"

namespace ftpalg {

bool names_own_end(const Policy& policy, const Master& master, const Announcement& announcement) {
  if (!announcement.address) return true;
  const bool active = is_active(announcement.kind);
  const Address& own = active ? master.client() : master.server();
  const Address& seen_by_peer =
      active ? master.client_as_server_sees_it() : master.server_as_client_dials_it();
  const Address& peer = active ? master.server() : master.client();
  return *announcement.address == own || *announcement.address == seen_by_peer ||
         *announcement.address == policy.advertised(seen_by_peer, peer);
}

Expectation expectation_for(const Policy& policy, const Master& master,
                            const Announcement& announcement) {
  const bool active = is_active(announcement.kind);
  Expectation expectation;
  expectation.master = master.original;
  expectation.zone = master.zone;
  expectation.source = active ? master.server() : master.client();
  expectation.destination.port = announcement.port;
  if (active) {
    const std::uint16_t control_port = master.reply.source.port.number;
    expectation.usual_source_port = Port{static_cast<std::uint16_t>(control_port - 1)};
  }
  expectation.direction = active ? Direction::reply : Direction::original;
  if (names_own_end(policy, master, announcement)) {
    expectation.destination.address =
        active ? master.client_as_server_sees_it() : master.server_as_client_dials_it();
    expectation.inside = {active ? master.client() : master.server(), announcement.port};
    expectation.follows_master = master.is_nated();
  } else {
    // A third host's connection is mapped by the firewall's own rules, if at all.
    expectation.destination.address = *announcement.address;
    expectation.inside = expectation.destination;
  }
  return expectation;
}

Tuple announced_key(const Expectation& expectation) {
  return {{expectation.source, Port{}}, expectation.destination};
}

Port public_port(Port announced, const Policy& policy, std::uint32_t attempt,
                 std::uint64_t random) {
  // What no range is given for goes where no service listens (RFC 6335, section 6).
  constexpr PortRange dynamic_ports{Port{49152}, Port{65535}};
  const bool may_keep = policy.data_ports ? policy.data_ports->contains(announced) : true;
  if (attempt == 0 && may_keep && policy.port_choice == PortChoice::kept) return announced;
  const PortRange range = policy.data_ports.value_or(dynamic_ports);
  return Port{static_cast<std::uint16_t>(range.first.number + random % range.size())};
}

}  // namespace ftpalg
