// SPDX-License-Identifier: GPL-2.0-or-later
#include "alg/keyed_hash.h"

#include <sodium/crypto_shorthash.h>

#include <algorithm>
#include <cstring>

namespace ftpalg {
namespace {

static_assert(sizeof(KeyedHash::Key) == crypto_shorthash_KEYBYTES);

constexpr std::size_t address_bytes_max = 16;

/// Appends to a buffer that has room for all.
template <std::size_t size>
class Bytes {
 public:
  void add(const Address& address) {
    const auto bytes = address.bytes();
    std::copy(bytes.begin(), bytes.end(), bytes_.begin() + static_cast<std::ptrdiff_t>(used_));
    used_ += bytes.size();
  }
  void add(Port port) {
    bytes_[used_++] = static_cast<std::uint8_t>(port.number >> 8);
    bytes_[used_++] = static_cast<std::uint8_t>(port.number & 0xff);
  }
  std::span<const std::uint8_t> all() const { return {bytes_.data(), used_}; }

 private:
  std::array<std::uint8_t, size> bytes_;
  std::size_t used_ = 0;
};

}  // namespace

std::uint64_t KeyedHash::operator()(std::span<const std::uint8_t> bytes) const {
  std::array<std::uint8_t, crypto_shorthash_BYTES> hash;
  crypto_shorthash(hash.data(), bytes.data(), bytes.size(), key_.data());
  std::uint64_t result = 0;
  std::memcpy(&result, hash.data(), sizeof result);
  return result;
}

std::uint64_t KeyedHash::operator()(const Tuple& tuple) const {
  Bytes<2 * (address_bytes_max + sizeof(Port))> bytes;
  for (const Endpoint* end : {&tuple.source, &tuple.destination}) {
    bytes.add(end->address);
    bytes.add(end->port);
  }
  return (*this)(bytes.all());
}

std::uint64_t KeyedHash::operator()(const Network& network) const {
  Bytes<address_bytes_max> bytes;
  bytes.add(network.first());
  return (*this)(bytes.all());
}

}  // namespace ftpalg
