// SPDX-License-Identifier: GPL-2.0-or-later
// What the gateway may do: limits, ports and addresses. Plain values with sensible defaults.
#pragma once

#include <chrono>
#include <vector>

#include "alg/host_port.h"
#include "alg/reason.h"
#include "alg/time.h"
#include "conntrack/master.h"

namespace ftpalg {

struct PortRange {
  Port first;
  Port last;
  bool contains(Port port) const { return first <= port && port <= last; }
  std::uint32_t size() const { return std::uint32_t{last.number} - first.number + 1U; }
};

/// An address that somebody else maps one to one: a cloud, or another router.
struct ExternalAddress {
  Address inside;   ///< as this machine and conntrack know it
  Address outside;  ///< as peers outside must be told it
};

/// Who shifts the sequence numbers behind an edit that changed a length.
enum class OffsetOwner : std::uint8_t {
  kernel,  ///< conntrack, for every packet; one unacknowledged edit per direction (kernel-facts 2,
           ///< 3)
  engine,  ///< the engine itself, which must then see every packet, pure acknowledgements too
};

struct Policy {
  OffsetOwner offset_owner = OffsetOwner::kernel;

  /// PORT and PASV open nothing before a 230 or 232.
  bool login_required = true;
  /// PORT, EPRT and LPRT open nothing while an earlier command is unanswered.
  bool active_needs_quiet = true;

  Port lowest_port{1024};
  std::vector<Port> denied_ports = default_denied_ports();
  /// Public ports for what is rewritten. Nothing: the announced port where it is free, else the
  /// next that is.
  std::optional<PortRange> data_ports;

  std::vector<ExternalAddress> external_addresses;

  /// What `peer` must be told in the place of `address`: its external address, if it has one and
  /// the peer is not on a private network, whose hosts dial the inside address.
  Address advertised(const Address& address, const Address& peer) const;

  /// How long the start of a line is held back before it leaves unedited.
  Time hold_time_max = std::chrono::seconds{10};
  Time expectation_life = std::chrono::seconds{60};
  Time session_idle_max = std::chrono::hours{24};
  /// How long an ended session is remembered, for segments that are sent again, and one that was
  /// not answered.
  Time session_linger = std::chrono::seconds{30};
  std::uint32_t sessions_max = 1'000'000;

  static std::vector<Port> default_denied_ports();
};

/// Why the host-port in `announcement` may not be opened for `master`, or none. `address` is the
/// one it stands for. Protocol rules 21 to 23.
Reason objection(const Policy& policy, const Master& master, const Announcement& announcement);

}  // namespace ftpalg
