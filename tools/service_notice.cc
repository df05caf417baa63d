// SPDX-License-Identifier: GPL-2.0-or-later
#include "tools/service_notice.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <cstring>

namespace ftpalg::tools {
namespace {

using std::chrono::microseconds;

constexpr const char* socket_variable = "NOTIFY_SOCKET";

/// A socket to `name`, a path, or with an @ for its first byte a name in the abstract namespace.
tl::expected<Descriptor, std::string> connect_to(std::string_view name) {
  const auto failure = [&](int error) {
    return tl::make_unexpected(
        fmt::format("{} {} cannot be reached: {}", socket_variable, name, std::strerror(error)));
  };
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (name.size() < 2 || (name[0] != '/' && name[0] != '@')) return failure(EAFNOSUPPORT);
  if (name.size() >= sizeof address.sun_path) return failure(ENAMETOOLONG);
  std::ranges::copy(name, std::begin(address.sun_path));
  const bool is_abstract = name[0] == '@';
  if (is_abstract) address.sun_path[0] = '\0';
  const std::size_t length =
      offsetof(sockaddr_un, sun_path) + name.size() + (is_abstract ? 0U : 1U);

  // Not one that waits: the daemon stands still for nobody's sake.
  Descriptor socket{::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
  if (!socket.is_open() || connect(socket.number(), reinterpret_cast<const sockaddr*>(&address),
                                   static_cast<socklen_t>(length)) != 0) {
    return failure(errno);
  }
  return socket;
}

tl::expected<Descriptor, std::string> timer_of(microseconds interval) {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(interval);
  const timespec period{.tv_sec = seconds.count(),
                        .tv_nsec = std::chrono::nanoseconds{interval - seconds}.count()};
  const itimerspec times{.it_interval = period, .it_value = period};
  Descriptor timer{timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK)};
  if (!timer.is_open() || timerfd_settime(timer.number(), 0, &times, nullptr) != 0) {
    return tl::make_unexpected(
        fmt::format("cannot make a timer for the watchdog: {}", std::strerror(errno)));
  }
  return timer;
}

}  // namespace

tl::expected<ServiceNotice, std::string> ServiceNotice::open() {
  ServiceNotice notice;
  const char* const name = std::getenv(socket_variable);
  std::uint64_t watchdog_microseconds = 0;
  const int watched = sd_watchdog_enabled(1, &watchdog_microseconds);
  if (name == nullptr) return notice;
  auto socket = connect_to(name);
  unsetenv(socket_variable);
  if (!socket) return tl::unexpected(socket.error());
  notice.socket_ = std::move(*socket);
  if (watched > 0) {
    auto timer = timer_of(microseconds{watchdog_microseconds / 2});
    if (!timer) return tl::unexpected(timer.error());
    notice.timer_ = std::move(*timer);
  }
  return notice;
}

void ServiceNotice::ready() const {
  tell("READY=1");
}

void ServiceNotice::reloading() const {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  tell(fmt::format("RELOADING=1\nMONOTONIC_USEC={}",
                   std::chrono::duration_cast<microseconds>(now).count()));
}

void ServiceNotice::stopping() const {
  tell("STOPPING=1");
}

void ServiceNotice::status(std::string_view line) const {
  tell(fmt::format("STATUS={}", line));
}

std::vector<std::size_t> ServiceNotice::feed(std::span<const std::uint64_t> turns) {
  std::uint64_t expirations = 0;
  static_cast<void>(read(descriptor(), &expirations, sizeof expirations));
  turns_.resize(turns.size());
  std::vector<std::size_t> stuck;
  for (std::size_t worker = 0; worker < turns.size(); ++worker) {
    if (turns[worker] == turns_[worker]) stuck.push_back(worker);
  }
  turns_.assign(turns.begin(), turns.end());
  if (stuck.empty()) tell("WATCHDOG=1");
  return stuck;
}

void ServiceNotice::keep(std::string_view name, int descriptor) const {
  if (!has_listener()) return;
  // Not polled: what a netlink socket has to say is no reason to close it.
  std::string assignments = fmt::format("FDSTORE=1\nFDNAME={}\nFDPOLL=0", name);
  iovec part{.iov_base = assignments.data(), .iov_len = assignments.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof descriptor)> control{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  cmsghdr* const header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof descriptor);
  std::memcpy(CMSG_DATA(header), &descriptor, sizeof descriptor);
  static_cast<void>(sendmsg(socket_.number(), &message, MSG_NOSIGNAL));
}

void ServiceNotice::forget(std::string_view name) const {
  tell(fmt::format("FDSTOREREMOVE=1\nFDNAME={}", name));
}

void ServiceNotice::tell(std::string_view assignments) const {
  if (!has_listener()) return;
  // A service manager that is gone or does not listen is no reason not to serve.
  static_cast<void>(send(socket_.number(), assignments.data(), assignments.size(), MSG_NOSIGNAL));
}

}  // namespace ftpalg::tools
