// SPDX-License-Identifier: GPL-2.0-or-later
// A netlink socket to the kernel's netfilter subsystems, or to routing, and one request with its
// answer.
#pragma once

#include <libmnl/libmnl.h>

#include <array>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <tl/expected.hpp>

namespace ftpalg {

class NetlinkSocket {
 public:
  /// Room for one message of ours; no request that we send comes near it.
  static constexpr std::size_t request_bytes_max = 4096;
  using RequestBuffer = std::array<char, request_bytes_max>;
  /// How long receiving waits.
  static constexpr std::chrono::seconds answer_time_max{1};

  /// An error names the cause and the mend.
  static tl::expected<NetlinkSocket, std::string> open();
  /// To routing (NETLINK_ROUTE), where addresses are.
  static tl::expected<NetlinkSocket, std::string> open_route();

  /// One to netfilter that another process has opened; `descriptor` belongs to it from now on.
  static tl::expected<NetlinkSocket, std::string> take_over(int descriptor);

  mnl_socket* get() const { return socket_.get(); }
  int descriptor() const { return mnl_socket_get_fd(socket_.get()); }
  std::uint32_t port_id() const { return mnl_socket_get_portid(socket_.get()); }

  /// Sends `request`, stamped with a sequence number, and reads until the kernel has acknowledged
  /// it, or has answered it with messages, each of which is given to `on_message`. Returns 0 or the
  /// kernel's errno; ETIMEDOUT after a second without any answer; EINTR when a table changed while
  /// it was listed, so that the list may have gaps.
  int transact(nlmsghdr* request, const std::function<void(const nlmsghdr*)>& on_message = {});

 private:
  struct Close {
    void operator()(mnl_socket* socket) const { mnl_socket_close(socket); }
  };
  explicit NetlinkSocket(mnl_socket* socket) : socket_(socket) {}
  static tl::expected<NetlinkSocket, std::string> open(int bus, std::string_view subsystem);

  std::unique_ptr<mnl_socket, Close> socket_;
  std::uint32_t sequence_ = 0;
};

}  // namespace ftpalg
