// SPDX-License-Identifier: GPL-2.0-or-later
#include "rules/scratch_namespace.h"

#include <fmt/format.h>
#include <sched.h>

#include <cerrno>
#include <cstring>
#include <thread>

namespace ftpalg::rules {

tl::expected<void, std::string> in_scratch_namespace(const std::function<void()>& work) {
  // The namespace belongs to the thread that unshares it and to what it opens and starts; it ends
  // with the thread. The rest of the process stays where it is.
  int failure = 0;
  std::jthread([&] {
    if (::unshare(CLONE_NEWNET) != 0) {
      failure = errno;
      return;
    }
    work();
  }).join();
  if (failure != 0) {
    return tl::make_unexpected(fmt::format("cannot make a network namespace: {}; mend: run as root",
                                           std::strerror(failure)));
  }
  return {};
}

}  // namespace ftpalg::rules
