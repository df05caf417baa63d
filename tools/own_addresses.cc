// SPDX-License-Identifier: GPL-2.0-or-later
#include "tools/own_addresses.h"

#include <ifaddrs.h>
#include <netinet/in.h>

#include <cstring>
#include <memory>

namespace ftpalg::tools {
namespace {

/// The address in a socket address of `size` bytes, which stands `offset` bytes behind its start.
std::optional<Address> address_in(const sockaddr* from, std::size_t offset, std::size_t size) {
  std::array<std::uint8_t, sizeof(in6_addr)> bytes{};
  std::memcpy(bytes.data(), reinterpret_cast<const std::uint8_t*>(from) + offset, size);
  return Address::from_bytes({bytes.data(), size});
}

std::optional<Address> address_in(const sockaddr* from) {
  if (from == nullptr) return std::nullopt;
  switch (from->sa_family) {
    case AF_INET:
      return address_in(from, offsetof(sockaddr_in, sin_addr), sizeof(in_addr));
    case AF_INET6:
      return address_in(from, offsetof(sockaddr_in6, sin6_addr), sizeof(in6_addr));
    default:
      return std::nullopt;
  }
}

}  // namespace

std::vector<Address> own_addresses() {
  ifaddrs* first = nullptr;
  if (getifaddrs(&first) != 0) return {};
  const std::unique_ptr<ifaddrs, decltype(&freeifaddrs)> list(first, &freeifaddrs);

  std::vector<Address> addresses;
  for (const ifaddrs* entry = list.get(); entry != nullptr; entry = entry->ifa_next) {
    if (const auto address = address_in(entry->ifa_addr)) addresses.push_back(*address);
  }
  return addresses;
}

}  // namespace ftpalg::tools
