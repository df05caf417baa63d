// SPDX-License-Identifier: GPL-2.0-or-later
// What the daemon gives up before it reads the first byte that a stranger wrote.
//
// `ftpalg run` is two processes. The worker is the one that was started: it serves packets, and
// whoever takes it over gets what is left to it here: verdicts on queued packets, conntrack, raw
// packets; no program, no file, no new socket, no memory that can be executed. The keeper
// (keeper.h) runs programs and reads files in its stead, and never sees a packet.
//
// A system call that the worker does not need is refused with EPERM, and the kernel's log names it
// (audit type 1326). It does not end the process: a call that was forgotten here, on a path that is
// rarely taken, then fails as one more thing that can fail, while an end would take with it the
// bytes that are held back, and so break sessions. To whoever has taken the worker over it makes no
// difference.
#pragma once

#include <string>
#include <tl/expected.hpp>

namespace ftpalg::tools {

enum class Role {
  worker,  ///< CAP_NET_ADMIN and CAP_NET_RAW, for itself alone
  keeper,  ///< the same, also for the programs that it runs, and CAP_DAC_READ_SEARCH to read a file
           ///< whoever owns it
  web,     ///< nothing at all: the process that shows the gateway over HTTP (web/web_process.h)
};

/// Gives up every capability that `role` does not need, for good: none can be gained anew, also not
/// by a program that is run. What this process lacks already it goes on lacking.
tl::expected<void, std::string> drop_capabilities(Role role);

/// What a thread is there for.
enum class Duty {
  packets,     ///< the worker's: to serve a queue
  attendance,  ///< the worker's: to answer on the control socket, besides; it may accept clients
               ///< there, and ask the kernel who they are
  web,  ///< to show the gateway over HTTP: to accept connections, and to pass on nothing else
        ///< than bytes
};

/// From now on this thread, and those that it starts, are answered only system calls on what is
/// open already. An error where the kernel cannot filter system calls; nothing has changed then.
tl::expected<void, std::string> restrict_system_calls(Duty duty = Duty::packets);

}  // namespace ftpalg::tools
