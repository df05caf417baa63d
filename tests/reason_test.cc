// SPDX-License-Identifier: GPL-2.0-or-later
#include "alg/reason.h"

#include <catch2/catch.hpp>
#include <set>

namespace ftpalg::test {
namespace {

TEST_CASE("every reason has a sentence of its own, and four are caps") {
  std::set<std::string_view> sentences;
  std::size_t caps = 0;
  for (std::size_t number = 0; number < reason_count; ++number) {
    const auto reason = static_cast<Reason>(number);
    CAPTURE(number, text(reason));
    CHECK_FALSE(text(reason).empty());
    CHECK_FALSE(text(reason).ends_with('.'));
    CHECK(sentences.insert(text(reason)).second);
    caps += is_cap(reason) ? 1U : 0U;
  }
  CHECK(caps == 4);
  CHECK(is_cap(Reason::sessions_full));
  CHECK(is_cap(Reason::client_expectations_full));
}

}  // namespace
}  // namespace ftpalg::test
