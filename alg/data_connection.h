// SPDX-License-Identifier: GPL-2.0-or-later
// The data connection that a line announces, as conntrack is to expect it.
#pragma once

#include "alg/policy.h"
#include "conntrack/expectation.h"
#include "conntrack/master.h"

namespace ftpalg {

/// The data connection that `announced` asks for, before a public port has been chosen. `active`:
/// the server will connect to the client.
Expectation expectation_for(const Master& master, bool active, Port announced);

/// Who may connect to what, as the gateway sees it.
Tuple announced_key(const Expectation& expectation);

/// Where the data connection ends up behind NAT.
Endpoint inside_endpoint(const Expectation& expectation, const Master& master);

/// The public port of try number `attempt`: the announced one first where the range allows, then
/// the next ones.
Port public_port(Port announced, const Policy& policy, std::uint32_t attempt);

}  // namespace ftpalg
