// SPDX-License-Identifier: GPL-2.0-or-later
// The files of tools/web/page/, which are part of the program.
#pragma once

#include <optional>
#include <string_view>

namespace ftpalg::tools {

/// The content of the file `name`, such as "ladder.js". Nothing where there is none.
std::optional<std::string_view> page_file(std::string_view name);

}  // namespace ftpalg::tools
