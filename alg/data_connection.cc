// SPDX-License-Identifier: GPL-2.0-or-later
#include "alg/data_connection.h"

namespace ftpalg {

Expectation expectation_for(const Master& master, bool active, Port announced) {
  Expectation expectation;
  expectation.master = master.original;
  expectation.source = active ? master.server() : master.client();
  expectation.destination.address =
      active ? master.client_as_server_sees_it() : master.server_as_client_dials_it();
  expectation.destination.port = announced;
  expectation.real_port = announced;
  expectation.direction = active ? Direction::reply : Direction::original;
  expectation.follows_master = master.is_nated();
  return expectation;
}

Tuple announced_key(const Expectation& expectation) {
  return {{expectation.source, Port{}}, expectation.destination};
}

Endpoint inside_endpoint(const Expectation& expectation, const Master& master) {
  return {expectation.direction == Direction::reply ? master.client() : master.server(),
          expectation.real_port};
}

Port public_port(Port announced, const Policy& policy, std::uint32_t attempt) {
  const PortRange range = policy.data_ports.value_or(PortRange{policy.lowest_port, Port{65535}});
  const std::uint32_t start = range.contains(announced)
                                  ? std::uint32_t{announced.number} - range.first.number
                                  : announced.number % range.size();
  return Port{static_cast<std::uint16_t>(range.first.number + (start + attempt) % range.size())};
}

}  // namespace ftpalg
