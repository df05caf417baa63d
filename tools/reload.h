// SPDX-License-Identifier: GPL-2.0-or-later
// What a gateway that runs makes of a configuration that it is given anew.
#pragma once

#include <string>
#include <vector>

#include "tools/config_file.h"

namespace ftpalg::tools {

struct Reload {
  Config config;                   ///< runs from now on
  std::vector<std::string> notes;  ///< what stays as it was until the next start, a sentence each
};

/// `next` in the place of `running`, but for what cannot change without losing a session.
Reload reload(const Config& running, Config next);

}  // namespace ftpalg::tools
