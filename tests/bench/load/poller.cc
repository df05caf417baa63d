// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/bench/load/poller.h"

#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace ftpalg::bench {
namespace {

constexpr int backlog = 4096;
constexpr std::size_t piece_bytes = 4096;
constexpr std::size_t events_max = 256;

sockaddr_in to_socket_address(const Endpoint& endpoint) {
  sockaddr_in name{};
  name.sin_family = AF_INET;
  name.sin_port = htons(endpoint.port.number);
  std::memcpy(&name.sin_addr, endpoint.address.bytes().data(), sizeof name.sin_addr);
  return name;
}

void set_on(const Descriptor& descriptor, int level, int option) {
  const int on = 1;
  if (setsockopt(descriptor.number(), level, option, &on, sizeof on) != 0) fail("setsockopt");
}

Descriptor make_socket() {
  Descriptor descriptor{socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
  if (!descriptor.is_open()) fail("socket");
  set_on(descriptor, IPPROTO_TCP, TCP_NODELAY);
  return descriptor;
}

void bind_to(const Descriptor& descriptor, const Endpoint& endpoint) {
  const sockaddr_in name = to_socket_address(endpoint);
  if (bind(descriptor.number(), reinterpret_cast<const sockaddr*>(&name), sizeof name) != 0) {
    fail(fmt::format("binding to {}", endpoint.text()));
  }
}

}  // namespace

void fail(std::string_view what) {
  throw Failure(fmt::format("{}: {}", what, std::strerror(errno)));
}

Poller::Poller() : epoll_(epoll_create1(EPOLL_CLOEXEC)) {
  if (!epoll_.is_open()) fail("epoll_create1");
}

void Poller::add(const Descriptor& descriptor, std::uint32_t events, Watcher& watcher) {
  epoll_event event{.events = events, .data = {.ptr = &watcher}};
  if (epoll_ctl(epoll_.number(), EPOLL_CTL_ADD, descriptor.number(), &event) != 0) {
    fail("epoll_ctl");
  }
}

void Poller::change(const Descriptor& descriptor, std::uint32_t events, Watcher& watcher) {
  epoll_event event{.events = events, .data = {.ptr = &watcher}};
  if (epoll_ctl(epoll_.number(), EPOLL_CTL_MOD, descriptor.number(), &event) != 0) {
    fail("epoll_ctl");
  }
}

void Poller::remove(const Descriptor& descriptor, const Watcher& watcher) {
  epoll_ctl(epoll_.number(), EPOLL_CTL_DEL, descriptor.number(), nullptr);
  for (Watcher*& each : round_) {
    if (each == &watcher) each = nullptr;
  }
}

void Poller::wait(std::chrono::milliseconds limit) {
  std::array<epoll_event, events_max> events;
  const int count = epoll_wait(epoll_.number(), events.data(), static_cast<int>(events.size()),
                               static_cast<int>(limit.count()));
  if (count < 0 && errno != EINTR) fail("epoll_wait");
  round_.clear();
  for (int at = 0; at < count; ++at) {
    round_.push_back(static_cast<Watcher*>(events[static_cast<std::size_t>(at)].data.ptr));
  }
  for (std::size_t at = 0; at < round_.size(); ++at) {
    if (Watcher* watcher = round_[at]; watcher != nullptr) watcher->on_ready(events[at].events);
  }
}

void lift_descriptor_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) fail("getrlimit");
  limit.rlim_cur = limit.rlim_max;
  if (setrlimit(RLIMIT_NOFILE, &limit) != 0) fail("setrlimit");
}

Descriptor listen_on(const Endpoint& endpoint) {
  Descriptor listener = make_socket();
  set_on(listener, SOL_SOCKET, SO_REUSEADDR);
  bind_to(listener, endpoint);
  if (listen(listener.number(), backlog) != 0) fail("listen");
  return listener;
}

Descriptor accept_on(const Descriptor& listener) {
  Descriptor accepted{accept4(listener.number(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)};
  if (accepted.is_open()) {
    set_on(accepted, IPPROTO_TCP, TCP_NODELAY);
  } else if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
    fail("accept4");
  }
  return accepted;
}

Descriptor dial(const Endpoint& peer, const Address& source) {
  Descriptor descriptor = make_socket();
  if (!source.is_unspecified()) {
    // Ports are drawn when the peer is known, so that there are enough of them for every peer.
    set_on(descriptor, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT);
    bind_to(descriptor, {source, Port{}});
  }
  const sockaddr_in name = to_socket_address(peer);
  if (connect(descriptor.number(), reinterpret_cast<const sockaddr*>(&name), sizeof name) != 0 &&
      errno != EINPROGRESS) {
    fail(fmt::format("dialling {}", peer.text()));
  }
  return descriptor;
}

Endpoint own_end_of(const Descriptor& descriptor) {
  sockaddr_in name{};
  socklen_t size = sizeof name;
  if (getsockname(descriptor.number(), reinterpret_cast<sockaddr*>(&name), &size) != 0) {
    fail("getsockname");
  }
  std::array<std::uint8_t, sizeof name.sin_addr> bytes{};
  std::memcpy(bytes.data(), &name.sin_addr, bytes.size());
  return {Address::from_bytes(bytes).value(), Port{ntohs(name.sin_port)}};
}

bool write_all(const Descriptor& descriptor, std::string_view text) {
  return send(descriptor.number(), text.data(), text.size(), MSG_NOSIGNAL) ==
         static_cast<ssize_t>(text.size());
}

bool LineReader::read(const Descriptor& descriptor) {
  bytes_.erase(0, begin_);
  begin_ = 0;
  std::array<char, piece_bytes> piece;
  const ssize_t count = recv(descriptor.number(), piece.data(), piece.size(), 0);
  if (count > 0) bytes_.append(piece.data(), static_cast<std::size_t>(count));
  return count > 0 || (count < 0 && (errno == EAGAIN || errno == EINTR));
}

std::string_view LineReader::next() {
  const std::size_t end = bytes_.find("\r\n", begin_);
  if (end == std::string::npos) return {};
  const auto line = std::string_view{bytes_}.substr(begin_, end - begin_);
  begin_ = end + 2;
  return line;
}

}  // namespace ftpalg::bench
