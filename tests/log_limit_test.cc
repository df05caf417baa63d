// SPDX-License-Identifier: GPL-2.0-or-later
#include "tools/log_limit.h"

#include <catch2/catch.hpp>

#include "conversation.h"

namespace ftpalg::test {
namespace {

using namespace std::chrono_literals;
using tools::LogLimit;

const Network noisy = *Network::parse("10.0.0.9");
const Network quiet = *Network::parse("10.0.0.2");

TEST_CASE("a client that causes too many lines is named, and leaves the others theirs") {
  LogLimit limit;
  unsigned admitted = 0;
  for (unsigned line = 0; line < 5000; ++line) admitted += limit.admits(noisy, 1s) ? 1U : 0U;
  CHECK(admitted == LogLimit::lines_per_client_max);
  CHECK(limit.admits(quiet, 1s));
  CHECK(limit.take_left_out(2s).empty());

  const auto left_out = limit.take_left_out(1s + LogLimit::window);
  REQUIRE(left_out.size() == 1);
  CHECK(left_out[0].client == noisy);
  CHECK(left_out[0].lines == 5000 - LogLimit::lines_per_client_max);
  CHECK(limit.take_left_out(1s + LogLimit::window).empty());
  CHECK(limit.admits(noisy, 1s + LogLimit::window));
}

TEST_CASE("more clients than are counted share one count") {
  LogLimit limit;
  std::size_t admitted = 0;
  for (std::uint32_t client = 0; client < 2 * LogLimit::clients_max; ++client) {
    const Address address = Address::ipv4(10, static_cast<std::uint8_t>(client >> 16),
                                          static_cast<std::uint8_t>(client >> 8 & 0xff),
                                          static_cast<std::uint8_t>(client & 0xff));
    admitted += limit.admits({address, 32}, 0s) ? 1U : 0U;
  }
  CHECK(admitted == LogLimit::clients_max + LogLimit::lines_per_client_max);
  const auto left_out = limit.take_left_out(LogLimit::window);
  REQUIRE(left_out.size() == 1);
  CHECK_FALSE(left_out[0].client);
}

}  // namespace
}  // namespace ftpalg::test
