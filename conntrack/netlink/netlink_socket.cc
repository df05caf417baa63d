// SPDX-License-Identifier: GPL-2.0-or-later
#include "conntrack/netlink/netlink_socket.h"

#include <fmt/format.h>
#include <linux/netlink.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace ftpalg {
namespace {

struct Answer {
  const std::function<void(const nlmsghdr*)>* on_message;
  bool got_message = false;
};

int collect(const nlmsghdr* message, void* data) {
  auto& answer = *static_cast<Answer*>(data);
  answer.got_message = true;
  if (*answer.on_message) (*answer.on_message)(message);
  return MNL_CB_OK;
}

}  // namespace

tl::expected<NetlinkSocket, std::string> NetlinkSocket::open() {
  return open(NETLINK_NETFILTER, "netfilter").map_error([](const std::string& error) {
    return error + "; the kernel needs CONFIG_NETFILTER_NETLINK (modprobe nfnetlink)";
  });
}

tl::expected<NetlinkSocket, std::string> NetlinkSocket::open_route() {
  return open(NETLINK_ROUTE, "routing");
}

tl::expected<NetlinkSocket, std::string> NetlinkSocket::take_over(int descriptor) {
  int protocol = -1;
  socklen_t bytes = sizeof protocol;
  NetlinkSocket socket(mnl_socket_fdopen(descriptor));
  if (!socket.socket_) {
    const int error = errno;
    close(descriptor);
    return tl::unexpected(
        fmt::format("descriptor {} is no netlink socket: {}", descriptor, std::strerror(error)));
  }
  if (getsockopt(descriptor, SOL_SOCKET, SO_PROTOCOL, &protocol, &bytes) != 0 ||
      protocol != NETLINK_NETFILTER) {
    return tl::unexpected(
        fmt::format("descriptor {} is a netlink socket, but not to netfilter", descriptor));
  }
  return socket;
}

tl::expected<NetlinkSocket, std::string> NetlinkSocket::open(int bus, std::string_view subsystem) {
  NetlinkSocket socket(mnl_socket_open(bus));
  if (!socket.socket_ || mnl_socket_bind(socket.get(), 0, MNL_SOCKET_AUTOPID) < 0) {
    return tl::unexpected(
        fmt::format("cannot open a netlink socket to {}: {}", subsystem, std::strerror(errno)));
  }
  // The kernel answers at once. Should it ever not, a packet waits no longer than this.
  const timeval limit{.tv_sec = answer_time_max.count(), .tv_usec = 0};
  setsockopt(socket.descriptor(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  return socket;
}

int NetlinkSocket::transact(nlmsghdr* request,
                            const std::function<void(const nlmsghdr*)>& on_message) {
  request->nlmsg_flags |= NLM_F_REQUEST | NLM_F_ACK;
  request->nlmsg_seq = ++sequence_;
  if (mnl_socket_sendto(get(), request, request->nlmsg_len) < 0) return errno;

  Answer answer{&on_message};
  std::array<char, 16 * 1024> buffer;
  for (;;) {
    const ssize_t bytes = mnl_socket_recvfrom(get(), buffer.data(), buffer.size());
    if (bytes < 0) {
      if (errno == EINTR) continue;
      return errno == EAGAIN ? ETIMEDOUT : errno;
    }
    // A late answer to a request that timed out has an older number, and is passed over.
    if (reinterpret_cast<const nlmsghdr*>(buffer.data())->nlmsg_seq != sequence_) continue;
    const int result = mnl_cb_run(buffer.data(), static_cast<std::size_t>(bytes), sequence_,
                                  port_id(), collect, &answer);
    if (result < 0) return errno;
    if (result == MNL_CB_STOP) return 0;
  }
}

}  // namespace ftpalg
