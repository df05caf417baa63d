// SPDX-License-Identifier: GPL-2.0-or-later
#include "conntrack/netlink/raw_injector.h"

#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace ftpalg {
namespace {

/// A raw socket that takes whole packets, headers included (raw(7)), or -1 with errno.
int open_marked(int family, std::uint32_t mark) {
  const int socket_descriptor =
      socket(family, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_RAW);
  if (socket_descriptor < 0) return -1;
  if (setsockopt(socket_descriptor, SOL_SOCKET, SO_MARK, &mark, sizeof mark) == 0) {
    return socket_descriptor;
  }
  const int error = errno;
  close(socket_descriptor);
  errno = error;
  return -1;
}

}  // namespace

tl::expected<RawInjector, std::string> RawInjector::open(std::uint32_t mark) {
  const int ipv4_socket = open_marked(AF_INET, mark);
  if (ipv4_socket < 0) {
    return tl::unexpected(
        fmt::format("cannot open a marked raw socket: {}; run as root, or grant CAP_NET_RAW and "
                    "CAP_NET_ADMIN",
                    std::strerror(errno)));
  }
  return RawInjector(ipv4_socket, open_marked(AF_INET6, mark));
}

RawInjector::RawInjector(RawInjector&& other) noexcept
    : ipv4_socket_(std::exchange(other.ipv4_socket_, -1)),
      ipv6_socket_(std::exchange(other.ipv6_socket_, -1)) {}

RawInjector::~RawInjector() {
  if (ipv4_socket_ >= 0) close(ipv4_socket_);
  if (ipv6_socket_ >= 0) close(ipv6_socket_);
}

InjectResult RawInjector::send(std::span<const std::uint8_t> packet) {
  sockaddr_storage destination{};
  socklen_t destination_bytes;
  int socket_descriptor;
  if (packet[0] >> 4 == 4) {
    auto& ipv4 = reinterpret_cast<sockaddr_in&>(destination);
    ipv4.sin_family = AF_INET;
    std::copy_n(packet.begin() + 16, 4, reinterpret_cast<std::uint8_t*>(&ipv4.sin_addr));
    destination_bytes = sizeof ipv4;
    socket_descriptor = ipv4_socket_;
  } else {
    auto& ipv6 = reinterpret_cast<sockaddr_in6&>(destination);
    ipv6.sin6_family = AF_INET6;
    std::copy_n(packet.begin() + 24, 16, reinterpret_cast<std::uint8_t*>(&ipv6.sin6_addr));
    destination_bytes = sizeof ipv6;
    socket_descriptor = ipv6_socket_;
  }
  if (socket_descriptor < 0) return InjectResult::unsupported;
  const ssize_t sent = sendto(socket_descriptor, packet.data(), packet.size(), 0,
                              reinterpret_cast<const sockaddr*>(&destination), destination_bytes);
  return sent == static_cast<ssize_t>(packet.size()) ? InjectResult::sent : InjectResult::failed;
}

}  // namespace ftpalg
