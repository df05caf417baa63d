// SPDX-License-Identifier: GPL-2.0-or-later
// Runs nft commands through libnftables, all of them or none.
#pragma once

#include <string>
#include <string_view>
#include <tl/expected.hpp>

namespace ftpalg::rules {

enum class NftMode {
  commit,
  check,  ///< the kernel judges the commands, and changes nothing
};

/// What the commands print, or nft's own message.
tl::expected<std::string, std::string> run_nft(const std::string& commands,
                                               NftMode mode = NftMode::commit);

/// Whether the kernel has the statement `queue` for nft (module nft_queue).
bool nft_has_queue();

}  // namespace ftpalg::rules
