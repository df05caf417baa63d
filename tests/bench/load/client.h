// SPDX-License-Identifier: GPL-2.0-or-later
// Many FTP sessions at once, on one thread, that do one thing over and over.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tests/bench/load/poller.h"

namespace ftpalg::bench {

enum class Work : std::uint8_t {
  noop,     ///< NOOP and its reply
  retr,     ///< PASV, RETR and all of the data
  session,  ///< a session from its SYN to its QUIT, with one transfer
  idle,     ///< nothing once it is logged in
};

struct Load {
  Work work = Work::noop;
  std::size_t sessions = 1;
  std::uint64_t bytes = 1;  ///< of each transfer
  std::chrono::duration<double> time{1};
  std::vector<Endpoint> servers;  ///< taken by turns
  std::vector<Address> sources;   ///< likewise; where there are none the kernel chooses
};

struct Result {
  std::uint64_t operations = 0;
  std::uint64_t bytes = 0;  ///< of data
  std::chrono::duration<double> took{};
  std::vector<std::chrono::nanoseconds> each;  ///< how long some of the operations took
};

/// Counts what is done from the moment when all sessions are logged in. A session that fails ends
/// everything. With Work::idle, prints a line when all are logged in.
Result run(const Load& load);

}  // namespace ftpalg::bench
