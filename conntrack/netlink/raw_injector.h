// SPDX-License-Identifier: GPL-2.0-or-later
// The injector over raw sockets. Its packets bear a mark, by which the firewall leaves them
// untracked: conntrack would drop them, since their tuple is taken by the control connection itself
// (kernel-facts 20).
#pragma once

#include <string>
#include <tl/expected.hpp>

#include "conntrack/injector.h"

namespace ftpalg {

class RawInjector final : public Injector {
 public:
  /// Needs CAP_NET_RAW, and CAP_NET_ADMIN for the mark. Without IPv6 in the kernel IPv6 packets are
  /// `unsupported`.
  static tl::expected<RawInjector, std::string> open(std::uint32_t mark);

  InjectResult send(std::span<const std::uint8_t> packet) override;

  RawInjector(RawInjector&& other) noexcept;
  RawInjector(const RawInjector&) = delete;
  RawInjector& operator=(const RawInjector&) = delete;
  RawInjector& operator=(RawInjector&&) = delete;
  ~RawInjector() override;

 private:
  RawInjector(int ipv4_socket, int ipv6_socket)
      : ipv4_socket_(ipv4_socket), ipv6_socket_(ipv6_socket) {}

  int ipv4_socket_;
  int ipv6_socket_;  ///< -1 where the kernel has no IPv6
};

}  // namespace ftpalg
