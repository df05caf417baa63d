// SPDX-License-Identifier: GPL-2.0-or-later
#include "alg/keyed_hash.h"

#include <catch2/catch.hpp>
#include <numeric>
#include <set>

namespace ftpalg::test {
namespace {

KeyedHash::Key counting_key() {
  KeyedHash::Key key;
  std::iota(key.begin(), key.end(), std::uint8_t{0});
  return key;
}

TEST_CASE("the hash is SipHash-2-4") {
  // The example of the paper's appendix A.
  std::array<std::uint8_t, 15> bytes;
  std::iota(bytes.begin(), bytes.end(), std::uint8_t{0});
  CHECK(KeyedHash{counting_key()}(bytes) == 0xa129ca6149be45e5);
}

TEST_CASE("every part of a tuple and the key matter") {
  const auto end = [](const char* address, std::uint16_t port) {
    return Endpoint{*Address::parse(address), Port{port}};
  };
  const KeyedHash hash{counting_key()};
  const Tuple tuple{end("10.0.0.2", 40000), end("192.0.2.1", 21)};
  const std::set<std::uint64_t> hashes{
      hash(tuple),
      hash(tuple.reversed()),
      hash(Tuple{end("10.0.0.3", 40000), end("192.0.2.1", 21)}),
      hash(Tuple{end("10.0.0.2", 40001), end("192.0.2.1", 21)}),
      hash(Tuple{end("10.0.0.2", 40000), end("192.0.2.2", 21)}),
      hash(Tuple{end("10.0.0.2", 40000), end("192.0.2.1", 22)}),
      hash(Tuple{end("2001:db8::2", 40000), end("2001:db8::1", 21)}),
      KeyedHash{}(tuple),
  };
  CHECK(hashes.size() == 8);
}

}  // namespace
}  // namespace ftpalg::test
