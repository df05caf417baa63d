// SPDX-License-Identifier: GPL-2.0-or-later
// What somebody may have meant who wrote a word that is not known.
#pragma once

#include <optional>
#include <span>
#include <string_view>

namespace ftpalg::tools {

/// The word of `known` that takes the fewest changes of a letter to become `wrong`, or none when
/// even that one is another word.
std::optional<std::string_view> nearest(std::string_view wrong,
                                        std::span<const std::string_view> known);

}  // namespace ftpalg::tools
