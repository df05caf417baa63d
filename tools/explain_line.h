// SPDX-License-Identifier: GPL-2.0-or-later
// One line of a conversation as a person types it: who says what.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <tl/expected.hpp>

#include "conntrack/tuple.h"

namespace ftpalg::tools {

struct SaidLine {
  Direction direction = Direction::original;  ///< original: the client says it
  std::string bytes;                          ///< as they are on the wire, with their line end
  bool waits = false;                         ///< the line end is still to come
};

/// Reads "C: text" or "S: text", without the line end of the file. The text may hold C escapes, and
/// CR LF is put behind it; not so behind a `\` at the very end. Nothing for an empty line and for
/// one that begins with `#`. Otherwise the error says what would be right.
tl::expected<std::optional<SaidLine>, std::string> read_said_line(std::string_view line);

}  // namespace ftpalg::tools
