// SPDX-License-Identifier: GPL-2.0-or-later
#include "conntrack/network.h"

#include <algorithm>
#include <charconv>

namespace ftpalg {
namespace {

constexpr unsigned byte_bits = 8;

unsigned bits_of(const Address& address) {
  return static_cast<unsigned>(address.size()) * byte_bits;
}

Address masked(const Address& address, unsigned prefix_bits) {
  std::array<std::uint8_t, 16> bytes{};
  for (std::size_t at = 0; at < address.size() && prefix_bits > 0; ++at) {
    const unsigned kept = std::min(prefix_bits, byte_bits);
    bytes[at] = static_cast<std::uint8_t>(address.bytes()[at] & (0xff00U >> kept));
    prefix_bits -= kept;
  }
  return *Address::from_bytes({bytes.data(), address.size()});
}

}  // namespace

Network::Network(const Address& address, unsigned prefix_bits)
    : prefix_bits_(std::min(prefix_bits, bits_of(address))) {
  first_ = masked(address, prefix_bits_);
}

std::optional<Network> Network::parse(std::string_view text) {
  const std::size_t slash = std::min(text.find('/'), text.size());
  const auto address = Address::parse(text.substr(0, slash));
  if (!address) return std::nullopt;
  if (slash == text.size()) return Network(*address, bits_of(*address));

  const std::string_view digits = text.substr(slash + 1);
  const char* const end = digits.data() + digits.size();
  unsigned prefix_bits = 0;
  const auto [after, error] = std::from_chars(digits.data(), end, prefix_bits);
  if (error != std::errc{} || after != end || prefix_bits > bits_of(*address)) return std::nullopt;
  const Network network(*address, prefix_bits);
  if (network.first_ != *address) return std::nullopt;
  return network;
}

bool Network::contains(const Address& address) const {
  return address.family() == first_.family() && masked(address, prefix_bits_) == first_;
}

std::string Network::text() const {
  if (prefix_bits_ == bits_of(first_)) return first_.text();
  return first_.text() + "/" + std::to_string(prefix_bits_);
}

}  // namespace ftpalg
