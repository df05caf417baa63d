// SPDX-License-Identifier: GPL-2.0-or-later
// What the daemon tells the service manager that started it: sd_notify(3), and its watchdog.
//
// libsystemd makes a socket for each thing that it tells, which the daemon may not do any more once
// it serves (privileges.h). So the socket is made once, at the start, and what is said goes through
// it. Where no service manager has started the daemon, nothing is said to nobody.
//
// The watchdog is honest: it hears that all is well only while every worker comes round. A worker
// that is stuck lets the service manager wait in vain, which then ends the daemon and starts it
// anew.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

#include "rules/descriptor.h"

namespace ftpalg::tools {

class ServiceNotice {
 public:
  /// Takes from the environment, and out of it, what the service manager has left there. An error
  /// where it is there and cannot be used.
  static tl::expected<ServiceNotice, std::string> open();
  /// Says nothing to nobody.
  ServiceNotice() = default;

  bool has_listener() const { return socket_.is_open(); }

  /// The daemon serves, or serves again after a reload.
  void ready() const;
  /// The configuration is being read anew; ready() follows.
  void reloading() const;
  void stopping() const;
  /// A line for people: `systemctl status` shows it.
  void status(std::string_view line) const;

  /// Has the service manager keep `descriptor` for the next start, by this name, which it gives
  /// back as the environment says (sd_listen_fds_with_names(3)). What it keeps already it does not
  /// keep twice.
  void keep(std::string_view name, int descriptor) const;
  /// It is to keep what has this name no more.
  void forget(std::string_view name) const;

  /// Readable when the watchdog waits for feed(). Negative where there is none.
  int descriptor() const { return timer_.number(); }
  /// `turns`: how often each worker has come round so far. Tells the watchdog that all is well if
  /// each has since the last time. Returns which have not.
  std::vector<std::size_t> feed(std::span<const std::uint64_t> turns);

 private:
  void tell(std::string_view assignments) const;

  Descriptor socket_;
  Descriptor timer_;
  std::vector<std::uint64_t> turns_;
};

}  // namespace ftpalg::tools
