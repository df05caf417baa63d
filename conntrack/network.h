// SPDX-License-Identifier: GPL-2.0-or-later
// A network: the addresses that share a prefix.
#pragma once

#include "conntrack/address.h"

namespace ftpalg {

class Network {
 public:
  /// Every address of `address`'s family whose first `prefix_bits` are those of `address`; at most
  /// 32 or 128.
  Network(const Address& address, unsigned prefix_bits);

  /// "10.0.0.0/8", "2001:db8::/32", or an address alone for a network of one. Nothing when it is
  /// none, or when a bit behind the prefix is set.
  static std::optional<Network> parse(std::string_view text);

  Family family() const { return first_.family(); }
  bool contains(const Address& address) const;
  /// As parse() reads it.
  std::string text() const;

  const Address& first() const { return first_; }
  unsigned prefix_bits() const { return prefix_bits_; }

  auto operator<=>(const Network&) const = default;

 private:
  Address first_;  ///< the bits behind the prefix are zero
  unsigned prefix_bits_;
};

}  // namespace ftpalg

template <>
struct std::hash<ftpalg::Network> {
  std::size_t operator()(const ftpalg::Network& network) const noexcept {
    return std::hash<ftpalg::Address>{}(network.first());
  }
};
