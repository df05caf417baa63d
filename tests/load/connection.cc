// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/load/connection.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>

namespace ftpalg::load {
namespace {

constexpr std::size_t piece_bytes = 1 << 16;

[[noreturn]] void fail(std::string_view what) {
  // That is what the kernel says of a wait with a limit.
  const bool late = errno == EAGAIN || errno == EINPROGRESS;
  throw Failure(fmt::format("{}: {}", what, late ? "the limit is over" : std::strerror(errno)));
}

/// An endpoint as the kernel takes it.
struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = sizeof storage;

  sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
};

SocketAddress to_socket_address(const Endpoint& endpoint) {
  SocketAddress result;
  const auto bytes = endpoint.address.bytes();
  if (endpoint.address.family() == Family::ipv4) {
    sockaddr_in in{};
    in.sin_family = AF_INET;
    in.sin_port = htons(endpoint.port.number);
    std::memcpy(&in.sin_addr, bytes.data(), bytes.size());
    result.size = sizeof in;
    std::memcpy(&result.storage, &in, sizeof in);
  } else {
    sockaddr_in6 in{};
    in.sin6_family = AF_INET6;
    in.sin6_port = htons(endpoint.port.number);
    std::memcpy(&in.sin6_addr, bytes.data(), bytes.size());
    result.size = sizeof in;
    std::memcpy(&result.storage, &in, sizeof in);
  }
  return result;
}

Endpoint own_end_of(const Descriptor& descriptor) {
  SocketAddress name;
  if (getsockname(descriptor.number(), name.get(), &name.size) != 0) fail("getsockname");
  const bool is_ipv4 = name.storage.ss_family == AF_INET;
  std::array<std::uint8_t, 16> bytes{};
  sockaddr_in in{};
  sockaddr_in6 in6{};
  std::memcpy(&in, &name.storage, sizeof in);
  std::memcpy(&in6, &name.storage, sizeof in6);
  const std::size_t size = is_ipv4 ? sizeof in.sin_addr : sizeof in6.sin6_addr;
  std::memcpy(bytes.data(), is_ipv4 ? static_cast<void*>(&in.sin_addr) : &in6.sin6_addr, size);
  return {Address::from_bytes(std::span{bytes}.first(size)).value(),
          Port{ntohs(is_ipv4 ? in.sin_port : in6.sin6_port)}};
}

void limit_waits(const Descriptor& descriptor, Limit limit) {
  const timeval time{limit.count(), 0};
  for (const int option : {SO_RCVTIMEO, SO_SNDTIMEO}) {
    if (setsockopt(descriptor.number(), SOL_SOCKET, option, &time, sizeof time) != 0) {
      fail("setsockopt");
    }
  }
}

Descriptor make_socket(Family family, Limit limit) {
  Descriptor descriptor{
      socket(family == Family::ipv4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  if (!descriptor.is_open()) fail("socket");
  limit_waits(descriptor, limit);
  return descriptor;
}

}  // namespace

Connection Connection::dial(const Endpoint& peer, Limit limit) {
  Descriptor descriptor = make_socket(peer.address.family(), limit);
  SocketAddress name = to_socket_address(peer);
  if (connect(descriptor.number(), name.get(), name.size) != 0) {
    fail(fmt::format("dialling {}", peer.text()));
  }
  return Connection{std::move(descriptor)};
}

std::string Connection::read_line() {
  std::size_t end = 0;
  while ((end = received_.find('\n')) == std::string::npos) {
    if (!receive()) throw Failure(fmt::format("the end of the connection after '{}'", received_));
  }
  std::string line = received_.substr(0, end);
  received_.erase(0, end + 1);
  if (line.ends_with('\r')) line.pop_back();
  return line;
}

std::string Connection::read_all() {
  while (receive()) {
  }
  return std::move(received_);
}

void Connection::write(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t count = send(descriptor_.number(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (count < 0) fail("sending");
    bytes.remove_prefix(static_cast<std::size_t>(count));
  }
}

Endpoint Connection::own_end() const {
  return own_end_of(descriptor_);
}

bool Connection::receive() {
  const std::size_t before = received_.size();
  received_.resize(before + piece_bytes);
  const ssize_t count = recv(descriptor_.number(), received_.data() + before, piece_bytes, 0);
  received_.resize(before + static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
  if (count < 0) fail(fmt::format("receiving, after {} bytes", before));
  return count > 0;
}

Listener::Listener(const Address& address, Limit limit)
    : descriptor_(make_socket(address.family(), limit)), limit_(limit) {
  SocketAddress name = to_socket_address({address, Port{}});
  if (bind(descriptor_.number(), name.get(), name.size) != 0) {
    fail(fmt::format("binding to {}", address.text()));
  }
  if (listen(descriptor_.number(), 1) != 0) fail("listening");
}

Connection Listener::accept() {
  Descriptor descriptor{accept4(descriptor_.number(), nullptr, nullptr, SOCK_CLOEXEC)};
  if (!descriptor.is_open()) fail(fmt::format("waiting on {}", own_end().text()));
  limit_waits(descriptor, limit_);  // that is not inherited
  return Connection{std::move(descriptor)};
}

Endpoint Listener::own_end() const {
  return own_end_of(descriptor_);
}

}  // namespace ftpalg::load
