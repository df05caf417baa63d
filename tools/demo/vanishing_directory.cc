// SPDX-License-Identifier: GPL-2.0-or-later
#include "tools/demo/vanishing_directory.h"

#include <fmt/format.h>
#include <sched.h>
#include <sys/mount.h>

#include <cerrno>
#include <cstring>

namespace ftpalg::tools {

tl::expected<std::string, std::string> make_vanishing_directory() {
  constexpr const char* directory = "/run";
  // Private first: else the mount would be seen in the namespace that this process came from.
  if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
      mount("tmpfs", directory, "tmpfs", MS_NOSUID | MS_NODEV, "mode=755") != 0) {
    return tl::unexpected(
        fmt::format("cannot make a directory of its own (a tmpfs on {} in a mount namespace): {}; "
                    "run it as root, and outside of containers that forbid it",
                    directory, std::strerror(errno)));
  }
  return std::string{directory};
}

}  // namespace ftpalg::tools
