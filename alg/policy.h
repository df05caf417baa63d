// SPDX-License-Identifier: GPL-2.0-or-later
// What the gateway may do: limits, ports and addresses. Plain values with sensible defaults.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "alg/host_port.h"
#include "alg/reason.h"
#include "alg/time.h"
#include "conntrack/master.h"
#include "conntrack/network.h"

namespace ftpalg {

struct PortRange {
  Port first;
  Port last;
  bool contains(Port port) const { return first <= port && port <= last; }
  std::uint32_t size() const { return std::uint32_t{last.number} - first.number + 1U; }
  bool operator==(const PortRange&) const = default;
};

/// An address that somebody else maps one to one: a cloud, or another router.
struct ExternalAddress {
  Address inside;   ///< as this machine and conntrack know it
  Address outside;  ///< as peers outside must be told it
  bool operator==(const ExternalAddress&) const = default;
};

/// Who shifts the sequence numbers behind an edit that changed a length.
enum class OffsetOwner : std::uint8_t {
  kernel,  ///< conntrack, for every packet; one unacknowledged edit per direction (kernel-facts 2,
           ///< 3)
  engine,  ///< the engine itself, which must then see every packet, pure acknowledgements too
};

/// Which public port is advertised where one has to be chosen.
enum class PortChoice : std::uint8_t {
  kept,    ///< the announced port where it is free and in the range, else an unpredictable one
  random,  ///< always an unpredictable one
};

/// A pair of networks between which one end of a control connection may announce a third host
/// (FXP).
struct ForeignAddresses {
  Network announcer;  ///< the announcing end, as it knows itself
  Network announced;
  bool operator==(const ForeignAddresses&) const = default;
};

/// Commands that never reach the server as they are: it is given a word that it does not know.
struct RefusedCommands {
  Network clients;
  std::vector<std::string> verbs;  ///< in capitals; is_known_verb() of each
  bool operator==(const RefusedCommands&) const = default;
};

enum class TlsMode : std::uint8_t {
  allow,
  require,     ///< USER is refused before AUTH has been answered well
  clear_only,  ///< AUTH is refused, so that passwords and files pass in the clear
};

struct Policy {
  OffsetOwner offset_owner = OffsetOwner::kernel;

  // Who may use the gateway; others pass unread.

  /// Clients as they know themselves, servers as clients dial them or as they know themselves.
  /// Empty: all.
  std::vector<Network> client_networks;
  std::vector<Network> server_networks;

  // What a talk must be.

  /// PORT and PASV open nothing before a 230 or 232.
  bool login_required = true;
  /// PORT, EPRT and LPRT open nothing while an earlier command is unanswered.
  bool active_needs_quiet = true;
  bool active_allowed = true;
  TlsMode tls_mode = TlsMode::allow;
  /// Encrypted connections are followed, to be read again when they are plain again (CCC). They
  /// stay queued.
  bool resume_after_ccc = false;
  std::vector<RefusedCommands> refused_commands;

  // What may be announced.

  Port lowest_port{1024};
  std::vector<Port> denied_ports = default_denied_ports();
  /// Announcements of a third host open nothing but within one of these.
  std::vector<ForeignAddresses> foreign_addresses;

  // What is advertised.

  /// Public ports for what is rewritten. Nothing: any from lowest_port on.
  std::optional<PortRange> data_ports;
  PortChoice port_choice = PortChoice::kept;
  std::vector<ExternalAddress> external_addresses;

  /// What `peer` must be told in the place of `address`: its external address, if it has one and
  /// the peer is not on a private network, whose hosts dial the inside address.
  Address advertised(const Address& address, const Address& peer) const;

  // Marking.

  /// Bits of the connection mark that say that the gateway has no more to do with a connection, so
  /// that the rules queue it no more. 0: connections are not marked.
  std::uint32_t done_mark = 0x01000000;

  // Limits.

  /// How long the start of a line is held back before it leaves unedited.
  Time hold_time_max = std::chrono::seconds{10};
  Time expectation_life = std::chrono::seconds{60};
  Time session_idle_max = std::chrono::hours{24};
  /// How long an ended session is remembered, for segments that are sent again, and one that was
  /// not answered, or whose server takes long to greet.
  Time session_linger = std::chrono::minutes{2};

  std::uint32_t sessions_max = 100'000;
  std::uint32_t expectations_max = 20'000;
  /// Per client network: the addresses that share client_bits.
  std::uint32_t sessions_per_client_max = 1'000;
  std::uint32_t expectations_per_client_max = 500;
  /// Bytes that all sessions together keep back or keep for repetitions. Beyond, nothing is held.
  std::size_t kept_bytes_max = std::size_t{64} * 1024 * 1024;
  unsigned client_bits_ipv4 = 32;
  unsigned client_bits_ipv6 = 64;

  Network client_network(const Address& client) const {
    return {client, client.family() == Family::ipv4 ? client_bits_ipv4 : client_bits_ipv6};
  }

  static std::vector<Port> default_denied_ports();

  /// The same for one of several engines that serve different clients: what all sessions together
  /// may take is shared evenly, what one client may take is not.
  Policy share_of(unsigned engines) const;

  bool operator==(const Policy&) const = default;
};

/// Why the host-port in `announcement` may not be opened for `master`, or none. `address` is the
/// one it stands for; `gateway_addresses` are those of this machine. Protocol rules 21 to 23.
Reason objection(const Policy& policy, const Master& master, const Announcement& announcement,
                 std::span<const Address> gateway_addresses);

/// Why a control connection is not served, or none: of one whose client alone is known yet, and of
/// one that has been answered.
Reason objection(const Policy& policy, const Address& client);
Reason objection(const Policy& policy, const Master& master);

}  // namespace ftpalg
