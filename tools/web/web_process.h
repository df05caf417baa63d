// SPDX-License-Identifier: GPL-2.0-or-later
// ftpalg-web: a process of its own that shows the gateway over HTTP.
//
// It talks to browsers, and so to whoever can reach its port. It sees no packet and has no right:
// no capability, no file, no program, no socket but those that it accepts (privileges.h). What it
// shows it asks the gateway's control server for, on a connection that may look and nothing else.
// Whatever becomes of it is no matter to the gateway. It ends when the gateway ends, whatever ends
// that one.
#pragma once

#include <string>
#include <tl/expected.hpp>

#include "conntrack/address.h"
#include "rules/descriptor.h"

namespace ftpalg::tools {

class WebProcess {
 public:
  /// Starts it, and holds open none of what is open now. To be called from a process with a single
  /// thread, before a queue is taken.
  static tl::expected<WebProcess, std::string> start(const Endpoint& listen);

  /// Readable when it is gone.
  int descriptor() const { return life_line_.number(); }
  /// The gateway's end of the way on which it asks, for the control server.
  Descriptor take_channel() { return std::move(channel_); }
  /// It is gone: nothing is left to wait for.
  void bury();

 private:
  WebProcess(Descriptor life_line, Descriptor channel, pid_t process)
      : life_line_(std::move(life_line)), channel_(std::move(channel)), process_(process) {}

  Descriptor life_line_;
  Descriptor channel_;
  pid_t process_;
};

}  // namespace ftpalg::tools
