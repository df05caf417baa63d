// SPDX-License-Identifier: GPL-2.0-or-later
#include "tools/failure.h"

#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>

namespace ftpalg::tools {

int failed(std::string_view reason) {
  // Not fmt::print, which throws where nobody reads.
  std::fputs(fmt::format("ftpalg: {}\n", reason).c_str(), stderr);
  return EXIT_FAILURE;
}

int failed(const std::vector<std::string>& reasons) {
  for (const std::string& reason : reasons) failed(reason);
  return EXIT_FAILURE;
}

}  // namespace ftpalg::tools
