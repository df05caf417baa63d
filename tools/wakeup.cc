// SPDX-License-Identifier: GPL-2.0-or-later
#include "tools/wakeup.h"

#include <fmt/format.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace ftpalg::tools {

tl::expected<Wakeup, std::string> Wakeup::open() {
  const int descriptor = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (descriptor < 0) {
    return tl::unexpected(fmt::format("cannot make an event descriptor: {}", std::strerror(errno)));
  }
  return Wakeup(Descriptor(descriptor));
}

void Wakeup::ring() const {
  // Fails only where it has been rung 2^64 - 2 times.
  static_cast<void>(eventfd_write(descriptor(), 1));
}

void Wakeup::silence() const {
  eventfd_t rings = 0;
  // Fails only where it is silent already.
  static_cast<void>(eventfd_read(descriptor(), &rings));
}

}  // namespace ftpalg::tools
