// SPDX-License-Identifier: GPL-2.0-or-later
// The injector over raw sockets. Its packets bear marks that the firewall knows (rules/ruleset.h):
// one leaves an acknowledgement in a peer's name untracked, because conntrack would drop it, its
// tuple being that of the control connection itself (kernel-facts 20); the other lets a tracked
// packet pass the queue that it came from.
#pragma once

#include <string>
#include <tl/expected.hpp>

#include "conntrack/injector.h"

namespace ftpalg {

class RawInjector final : public Injector {
 public:
  /// Needs CAP_NET_RAW, and CAP_NET_ADMIN for the mark. Without IPv6 in the kernel IPv6 packets are
  /// `unsupported`.
  static tl::expected<RawInjector, std::string> open(std::uint32_t untracked_mark,
                                                     std::uint32_t tracked_mark);

  InjectResult send(std::span<const std::uint8_t> packet, InjectAs as) override;

  RawInjector(RawInjector&& other) noexcept;
  RawInjector(const RawInjector&) = delete;
  RawInjector& operator=(const RawInjector&) = delete;
  RawInjector& operator=(RawInjector&&) = delete;
  ~RawInjector() override;

 private:
  RawInjector(int ipv4_socket, int ipv6_socket, std::uint32_t untracked_mark,
              std::uint32_t tracked_mark)
      : ipv4_socket_(ipv4_socket),
        ipv6_socket_(ipv6_socket),
        untracked_mark_(untracked_mark),
        tracked_mark_(tracked_mark) {}

  int ipv4_socket_;
  int ipv6_socket_;  ///< -1 where the kernel has no IPv6
  std::uint32_t untracked_mark_;
  std::uint32_t tracked_mark_;
};

}  // namespace ftpalg
