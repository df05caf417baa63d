// SPDX-License-Identifier: GPL-2.0-or-later
// A program that runs on a host of the demo. It ends with this object, and it ends with this
// process, whatever ends that.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>
#include <vector>

#include "rules/descriptor.h"
#include "tools/demo/host.h"
#include "tools/demo/interruption.h"

namespace ftpalg::tools {

enum class Rights {
  own,     ///< those of this process
  nobody,  ///< those of the user nobody
};

class Process {
 public:
  using Limit = std::chrono::milliseconds;

  /// `arguments` begin with the path of the program; `name` is for messages.
  static tl::expected<Process, std::string> start(std::string name, const Host& host, Rights rights,
                                                  std::vector<std::string> arguments);
  Process(Process&& other) noexcept;
  Process& operator=(Process&&) = delete;
  ~Process();

  /// Waits until the program has said `text`. An error when it ends before, when the limit is
  /// passed or when somebody interrupts.
  tl::expected<void, std::string> wait_for_output(std::string_view text, Limit limit,
                                                  Interruption& interruption);

  /// Waits for its end and returns its exit status (128 + the number of a signal that ended it). An
  /// error when the limit is passed or when somebody interrupts.
  tl::expected<int, std::string> wait_for_exit(Limit limit, Interruption& interruption);

  void send_signal(int number) const;

  /// What it has said since the last call, on standard output and standard error.
  std::string take_output();

  /// An error that says how it ended, if it has.
  tl::expected<void, std::string> still_runs();

 private:
  enum class Event { output, exit };

  Process(std::string name, pid_t id, Descriptor exit, Descriptor output)
      : name_(std::move(name)), id_(id), exit_(std::move(exit)), pipe_(std::move(output)) {}

  /// Takes what the pipe holds; false at its end.
  bool drain();
  void collect();
  tl::expected<Event, std::string> wait(std::chrono::steady_clock::time_point deadline,
                                        Interruption& interruption, std::string_view what);
  std::string end_text() const;

  std::string name_;
  pid_t id_ = 0;          ///< 0 once its exit status is collected
  Descriptor exit_;       ///< a pidfd: readable when the program has ended
  Descriptor pipe_;       ///< the reading end of its output
  std::string output_;    ///< said, and not taken yet
  int exit_status_ = -1;  ///< negative while it runs
};

}  // namespace ftpalg::tools
