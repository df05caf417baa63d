// SPDX-License-Identifier: GPL-2.0-or-later
// IP addresses, ports and endpoints: plain values, compared, hashed, parsed and printed.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace ftpalg {

enum class Family : std::uint8_t { ipv4, ipv6 };

/// A TCP port in host byte order. 0 means "any" or "none", as the place says.
struct Port {
  std::uint16_t number = 0;
  auto operator<=>(const Port&) const = default;
};

/// An IPv4 or IPv6 address. IPv4 uses the first four bytes; the rest is zero.
class Address {
 public:
  Address() = default;

  /// Four or sixteen bytes in network order, as they stand in a packet. Nothing when the length is
  /// another.
  static std::optional<Address> from_bytes(std::span<const std::uint8_t> bytes);
  static Address ipv4(std::uint8_t a, std::uint8_t b, std::uint8_t c, std::uint8_t d);

  /// Reads the numeric form, as inet_pton(3) does: no zone, no leading zeros in IPv4. Nothing when
  /// the text is no address.
  static std::optional<Address> parse(std::string_view text);

  Family family() const { return family_; }
  std::span<const std::uint8_t> bytes() const { return {bytes_.data(), size()}; }
  std::size_t size() const { return family_ == Family::ipv4 ? 4 : 16; }

  bool is_unspecified() const;
  bool is_loopback() const;
  bool is_multicast() const;
  bool is_link_local() const;
  /// Not routed on the Internet: RFC 1918, RFC 6598 (shared), RFC 4193 (unique local), loopback,
  /// link-local.
  bool is_private() const;
  /// 255.255.255.255 only: a subnet's own broadcast address cannot be told from the address alone.
  bool is_limited_broadcast() const;

  /// The numeric form, IPv6 shortened by RFC 5952.
  std::string text() const;

  auto operator<=>(const Address&) const = default;

 private:
  Family family_ = Family::ipv4;
  std::array<std::uint8_t, 16> bytes_{};
};

struct Endpoint {
  Address address;
  Port port;
  /// "192.0.2.1:21" or "[2001:db8::1]:21".
  std::string text() const;
  auto operator<=>(const Endpoint&) const = default;
};

}  // namespace ftpalg

template <>
struct std::hash<ftpalg::Address> {
  std::size_t operator()(const ftpalg::Address& address) const noexcept;
};

template <>
struct std::hash<ftpalg::Endpoint> {
  std::size_t operator()(const ftpalg::Endpoint& endpoint) const noexcept;
};
