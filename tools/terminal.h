// SPDX-License-Identifier: GPL-2.0-or-later
// The terminal as a full screen, left as it was found whatever ends the program in order: at the
// end, on Ctrl-C, SIGTERM and SIGHUP.
#pragma once

#include <termios.h>

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "rules/descriptor.h"

namespace ftpalg::tools {

class Terminal {
 public:
  /// Takes the screen; both standard input and output must be a terminal.
  Terminal();
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;
  ~Terminal();

  static bool is_there();

  /// Shows these lines and nothing else, as far as there is room.
  void show(const std::vector<std::string>& lines);

  enum class Event { time, resized, end };
  /// Waits for `time`, for another size, or for the end, which is 'q', Ctrl-C, or a signal.
  Event wait(std::chrono::milliseconds time);

 private:
  termios before_{};
  Descriptor signals_;
};

}  // namespace ftpalg::tools
