// SPDX-License-Identifier: GPL-2.0-or-later
#include "tools/spelling.h"

#include <algorithm>
#include <numeric>
#include <vector>

namespace ftpalg::tools {
namespace {

/// Letters to be put in, taken out or replaced (Levenshtein).
std::size_t changes(std::string_view from, std::string_view to) {
  std::vector<std::size_t> row(to.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < from.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i + 1;
    for (std::size_t j = 0; j < to.size(); ++j) {
      const std::size_t replaced = diagonal + (from[i] == to[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({row[j] + 1, row[j + 1] + 1, replaced});
    }
  }
  return row.back();
}

}  // namespace

std::optional<std::string_view> nearest(std::string_view wrong,
                                        std::span<const std::string_view> known) {
  const auto distance = [&](std::string_view word) { return changes(wrong, word); };
  const auto found = std::ranges::min_element(known, {}, distance);
  if (found == known.end()) return std::nullopt;
  // Half of the letters may be wrong, and a word of one letter is like any other.
  const std::size_t changes_max = std::min(wrong.size(), found->size()) / 2;
  if (distance(*found) > changes_max) return std::nullopt;
  return *found;
}

}  // namespace ftpalg::tools
