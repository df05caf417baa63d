// SPDX-License-Identifier: GPL-2.0-or-later
// Preflight: judges whether the gateway would work on a machine, thing by thing. Pure: what the
// machine is like comes in as values (machine.h fetches them).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "rules/privilege.h"
#include "rules/ruleset.h"
#include "rules/verification.h"

namespace ftpalg::rules {

enum class Severity {
  needed,   ///< without it the gateway does not work
  warning,  ///< it works, but not for everyone or not for long
  note,     ///< good to know
};

struct Finding {
  std::string name;
  bool ok = true;
  Severity severity = Severity::needed;
  std::string detail;  ///< what is so, or what is wrong
  std::string mend;    ///< a command; empty when ok

  bool operator==(const Finding&) const = default;
};

/// Something that was tried on the kernel: nothing, or why it does not work.
using Trial = std::optional<std::string>;

struct Trials {
  Trial nfqueue;
  Trial connections;
  Trial ctnetlink;
  Trial marks;
  Trial carrier_ipv4;
  Trial carrier_ipv6;
  Trial offsets_ipv4;
  Trial offsets_ipv6;
  Trial expectation_ipv4;
  Trial expectation_ipv6;
};

struct QueueOwner {
  std::uint16_t queue = 0;
  std::uint32_t port_id = 0;   ///< of the netlink socket
  std::optional<int> process;  ///< that holds it
  std::string program;         ///< empty when not known
};

struct Machine {
  Privileges privileges;
  std::string kernel;  ///< its release, as uname(2) has it
  bool has_ipv6 = true;
  tl::expected<Trials, std::string> trials;  ///< or why nothing could be tried
  /// Why the rules cannot be put in place here, if they cannot; what was tried is in `format`.
  Trial rehearsal;
  Format format = Format::nft;
  std::vector<Discrepancy> rules;                    ///< what verify() found
  std::vector<Discrepancy> mark_conflicts;           ///< what mark_conflicts() found
  std::optional<bool> nft_has_queue;                 ///< nothing where it could not be tried
  std::map<std::string, long, std::less<>> sysctls;  ///< those that could be read
  std::vector<QueueOwner> queue_owners;              ///< needs CAP_NET_ADMIN to be known
};

/// In the order in which a person would mend things.
std::vector<Finding> preflight(const Ruleset& ruleset, const Machine& machine);

/// Whether `ftpalg run` would work: nothing that is needed is missing.
bool would_work(const std::vector<Finding>& findings);

}  // namespace ftpalg::rules
