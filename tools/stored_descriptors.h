// SPDX-License-Identifier: GPL-2.0-or-later
// What the service manager has kept for this gateway since the one before it: the queues' sockets
// and state files, by the names under which they were stored (sd_pid_notify_with_fds(3),
// FDSTORE=1).
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "rules/descriptor.h"

namespace ftpalg::tools {

class StoredDescriptors {
 public:
  /// Takes them, and what the environment says of them out of it.
  static StoredDescriptors take();

  /// Whether the service manager keeps descriptors for this gateway: it says so, or has done it.
  bool are_kept() const { return are_kept_; }
  std::vector<int> numbers() const;

  /// The one of that name, which is the caller's from now on; closed where there is none.
  Descriptor take(const std::string& name);
  /// Those that nobody has taken.
  std::vector<std::string> names() const;

  static std::string queue_name(std::uint16_t queue) { return "queue-" + std::to_string(queue); }
  static std::string state_name(std::uint16_t queue) { return "state-" + std::to_string(queue); }

 private:
  bool are_kept_ = false;
  std::map<std::string, Descriptor> descriptors_;
};

}  // namespace ftpalg::tools
