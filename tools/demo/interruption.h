// SPDX-License-Identifier: GPL-2.0-or-later
// The wish of a person, or of the system, that this program ends: SIGINT, SIGTERM or SIGHUP as a
// descriptor that can be polled. Nothing is ended by the signal itself, so everything that was made
// is undone on the ordinary way out.
#pragma once

#include <optional>

namespace ftpalg::tools {

class Interruption {
 public:
  /// From here on, and until the process ends, the signals are blocked.
  Interruption();
  ~Interruption();
  Interruption(const Interruption&) = delete;
  Interruption& operator=(const Interruption&) = delete;

  /// Readable once a signal has come.
  int descriptor() const { return descriptor_; }

  /// The number of the signal that has come first, or nothing.
  std::optional<int> signal();

 private:
  int descriptor_;
  std::optional<int> signal_;
};

}  // namespace ftpalg::tools
