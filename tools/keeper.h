// SPDX-License-Identifier: GPL-2.0-or-later
// The keeper: a second process, that does for the daemon what the daemon itself may not do any more
// (privileges.h).
//
// Rules are removed at the end, and applied anew when the configuration has changed, by programs;
// the configuration is read from a file. A worker that could do either would have to keep the calls
// that an intruder wants most, execve and open. So it asks the keeper, which knows a few errands by
// name and sees no packet. The keeper is the worker's child and not its parent: the process that
// was started is the one that serves, and signals, process ids and exit statuses mean what they
// mean for any daemon.
//
// It ends when the worker ends, whatever ends that one. Signals that a person or a service
// manager sends to all processes at once leave it alone: the worker's end comes first.
#pragma once

#include <sys/types.h>

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <tl/expected.hpp>

#include "rules/descriptor.h"

namespace ftpalg::tools {

/// What an errand brought, or why it failed.
using Answer = tl::expected<std::string, std::string>;

class Keeper {
 public:
  /// Does an errand, in the keeper's process, where it may remember things between two of them.
  using Errands = std::function<Answer(std::string_view errand)>;

  /// Starts the keeper, which holds open what is open now. To be called before a queue is taken,
  /// and from a process with a single thread.
  /// But for `not_its_own`: what must not be open any more when the worker has closed it.
  static tl::expected<Keeper, std::string> start(const Errands& errands,
                                                 std::span<const int> not_its_own = {});

  /// Sends the keeper on an errand; exactly one answer() is due then.
  tl::expected<void, std::string> send(std::string_view errand);
  /// Readable when the answer is there, or the keeper is gone.
  int descriptor() const { return channel_.number(); }
  /// Waits for the answer.
  Answer answer();

  /// It has ended, so that nobody will answer.
  bool is_gone() const { return is_gone_; }

  /// Both in one.
  Answer ask(std::string_view errand);

  Keeper(Keeper&& other) noexcept;
  Keeper(const Keeper&) = delete;
  Keeper& operator=(const Keeper&) = delete;
  Keeper& operator=(Keeper&&) = delete;
  /// Ends the keeper and waits for its end.
  ~Keeper();

 private:
  Keeper(Descriptor channel, pid_t process) : channel_(std::move(channel)), process_(process) {}

  Descriptor channel_;
  pid_t process_;
  bool is_gone_ = false;
};

}  // namespace ftpalg::tools
