// SPDX-License-Identifier: GPL-2.0-or-later
#include "conntrack/address.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cstring>

namespace ftpalg {

std::optional<Address> Address::from_bytes(std::span<const std::uint8_t> bytes) {
  if (bytes.size() != 4 && bytes.size() != 16) return std::nullopt;
  Address address;
  address.family_ = bytes.size() == 4 ? Family::ipv4 : Family::ipv6;
  std::copy(bytes.begin(), bytes.end(), address.bytes_.begin());
  return address;
}

Address Address::ipv4(std::uint8_t a, std::uint8_t b, std::uint8_t c, std::uint8_t d) {
  Address address;
  address.bytes_ = {a, b, c, d};
  return address;
}

std::optional<Address> Address::parse(std::string_view text) {
  // inet_pton wants a terminated string; anything longer than the longest address is none.
  std::array<char, INET6_ADDRSTRLEN> terminated{};
  if (text.size() >= terminated.size() || text.find('\0') != std::string_view::npos) {
    return std::nullopt;
  }
  std::copy(text.begin(), text.end(), terminated.begin());

  Address address;
  if (inet_pton(AF_INET, terminated.data(), address.bytes_.data()) == 1) return address;
  address.family_ = Family::ipv6;
  if (inet_pton(AF_INET6, terminated.data(), address.bytes_.data()) == 1) return address;
  return std::nullopt;
}

bool Address::is_unspecified() const {
  return std::all_of(bytes_.begin(), bytes_.end(), [](std::uint8_t byte) { return byte == 0; });
}

bool Address::is_loopback() const {
  if (family_ == Family::ipv4) return bytes_[0] == 127;
  return bytes_[15] == 1 &&
         std::all_of(bytes_.begin(), bytes_.end() - 1, [](std::uint8_t byte) { return byte == 0; });
}

bool Address::is_multicast() const {
  return family_ == Family::ipv4 ? bytes_[0] >= 224 && bytes_[0] <= 239 : bytes_[0] == 0xff;
}

bool Address::is_link_local() const {
  if (family_ == Family::ipv4) return bytes_[0] == 169 && bytes_[1] == 254;
  return bytes_[0] == 0xfe && (bytes_[1] & 0xc0) == 0x80;
}

bool Address::is_private() const {
  if (is_loopback() || is_link_local()) return true;
  if (family_ == Family::ipv6) return (bytes_[0] & 0xfe) == 0xfc;
  return bytes_[0] == 10 || (bytes_[0] == 172 && (bytes_[1] & 0xf0) == 16) ||
         (bytes_[0] == 192 && bytes_[1] == 168) || (bytes_[0] == 100 && (bytes_[1] & 0xc0) == 64);
}

bool Address::is_limited_broadcast() const {
  return family_ == Family::ipv4 && bytes_[0] == 255 && bytes_[1] == 255 && bytes_[2] == 255 &&
         bytes_[3] == 255;
}

std::string Address::text() const {
  std::array<char, INET6_ADDRSTRLEN> buffer{};
  const int family = family_ == Family::ipv4 ? AF_INET : AF_INET6;
  inet_ntop(family, bytes_.data(), buffer.data(), buffer.size());
  return buffer.data();
}

std::string Endpoint::text() const {
  const std::string port_text = std::to_string(port.number);
  return address.family() == Family::ipv4 ? address.text() + ":" + port_text
                                          : "[" + address.text() + "]:" + port_text;
}

}  // namespace ftpalg

std::size_t std::hash<ftpalg::Address>::operator()(const ftpalg::Address& address) const noexcept {
  const auto bytes = address.bytes();
  return std::hash<std::string_view>{}({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

std::size_t std::hash<ftpalg::Endpoint>::operator()(
    const ftpalg::Endpoint& endpoint) const noexcept {
  // 64-bit golden ratio: spreads the port over the address's hash.
  return std::hash<ftpalg::Address>{}(endpoint.address) ^
         (endpoint.port.number * std::size_t{0x9e3779b97f4a7c15});
}
