// SPDX-License-Identifier: GPL-2.0-or-later
// The data connection that a line announces, as conntrack is to expect it.
#pragma once

#include "alg/policy.h"
#include "conntrack/expectation.h"
#include "conntrack/master.h"

namespace ftpalg {

/// The data connection that `announcement` asks for, before a public port has been chosen.
Expectation expectation_for(const Policy& policy, const Master& master,
                            const Announcement& announcement);

/// Whether `announcement` names an end of its own control connection, by any of its addresses, and
/// not a third host.
bool names_own_end(const Policy& policy, const Master& master, const Announcement& announcement);

/// Who may connect to what, as the gateway sees it.
Tuple announced_key(const Expectation& expectation);

/// The public port of try number `attempt`: the announced one first where the policy allows, then
/// those that `random` picks (protocol rule 26).
Port public_port(Port announced, const Policy& policy, std::uint32_t attempt, std::uint64_t random);

}  // namespace ftpalg
