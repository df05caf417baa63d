// SPDX-License-Identifier: GPL-2.0-or-later
#include "conntrack/netlink/raw_injector.h"

#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

namespace ftpalg {
namespace {

/// A raw socket that takes whole packets, headers included (raw(7)), or -1 with errno.
int open_raw(int family) {
  return socket(family, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_RAW);
}

/// Whether packets on `raw_socket` may be marked, else errno says why not.
bool may_mark(int raw_socket, std::uint32_t mark) {
  return setsockopt(raw_socket, SOL_SOCKET, SO_MARK, &mark, sizeof mark) == 0;
}

}  // namespace

tl::expected<RawInjector, std::string> RawInjector::open(std::uint32_t untracked_mark,
                                                         std::uint32_t tracked_mark) {
  RawInjector injector(open_raw(AF_INET), open_raw(AF_INET6), untracked_mark, tracked_mark);
  if (injector.ipv4_socket_ < 0 || !may_mark(injector.ipv4_socket_, untracked_mark)) {
    return tl::unexpected(
        fmt::format("cannot open a raw socket for marked packets: {}; run as root, or grant "
                    "CAP_NET_RAW and CAP_NET_ADMIN",
                    std::strerror(errno)));
  }
  return injector;
}

RawInjector::RawInjector(RawInjector&& other) noexcept
    : ipv4_socket_(std::exchange(other.ipv4_socket_, -1)),
      ipv6_socket_(std::exchange(other.ipv6_socket_, -1)),
      untracked_mark_(other.untracked_mark_),
      tracked_mark_(other.tracked_mark_) {}

RawInjector::~RawInjector() {
  if (ipv4_socket_ >= 0) close(ipv4_socket_);
  if (ipv6_socket_ >= 0) close(ipv6_socket_);
}

InjectResult RawInjector::send(std::span<const std::uint8_t> packet, InjectAs as) {
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
  // The mark goes with the packet (SO_MARK as a control message, since Linux 4.19).
  const std::uint32_t mark = as == InjectAs::untracked ? untracked_mark_ : tracked_mark_;
  alignas(cmsghdr) std::array<std::uint8_t, CMSG_SPACE(sizeof mark)> control{};
  iovec bytes{const_cast<std::uint8_t*>(packet.data()), packet.size()};
  msghdr message{};
  message.msg_name = &destination;
  message.msg_namelen = destination_bytes;
  message.msg_iov = &bytes;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SO_MARK;
  header->cmsg_len = CMSG_LEN(sizeof mark);
  std::memcpy(CMSG_DATA(header), &mark, sizeof mark);
  const ssize_t sent = sendmsg(socket_descriptor, &message, 0);
  return sent == static_cast<ssize_t>(packet.size()) ? InjectResult::sent : InjectResult::failed;
}

}  // namespace ftpalg
