// SPDX-License-Identifier: GPL-2.0-or-later
// Seam: sends one packet of the gateway's own making.
#pragma once

#include <cstdint>
#include <span>

namespace ftpalg {

enum class InjectResult { sent, unsupported, failed };

/// How a packet of our own stands to conntrack.
enum class InjectAs {
  untracked,  ///< an acknowledgement in a peer's name: conntrack must not see it (kernel-facts 20)
  tracked,  ///< bytes of a peer's: NAT and sequence offsets apply as to a packet that the peer sent
            ///< itself
};

/// Live it is a raw socket; MemoryInjector is its twin.
class Injector {
 public:
  virtual ~Injector() = default;

  /// Sends a complete IP packet, checksums included. On anything but `sent` nothing has left.
  virtual InjectResult send(std::span<const std::uint8_t> packet, InjectAs as) = 0;
};

}  // namespace ftpalg
