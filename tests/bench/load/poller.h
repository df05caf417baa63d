// SPDX-License-Identifier: GPL-2.0-or-later
// Sockets that never block, and what waits until something comes on them.
#pragma once

#include <chrono>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "conntrack/address.h"
#include "rules/descriptor.h"

namespace ftpalg::bench {

using Clock = std::chrono::steady_clock;

/// A sentence for a person.
struct Failure : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Throws a Failure with the cause that errno names.
[[noreturn]] void fail(std::string_view what);

/// Called when its descriptor is ready, for what epoll(7) calls `events`.
class Watcher {
 public:
  Watcher() = default;
  Watcher(const Watcher&) = delete;
  Watcher& operator=(const Watcher&) = delete;
  virtual ~Watcher() = default;
  virtual void on_ready(std::uint32_t events) = 0;
};

class Poller {
 public:
  Poller();

  /// The watcher outlives the descriptor. No call for one that was closed in the same round.
  void add(const Descriptor& descriptor, std::uint32_t events, Watcher& watcher);
  void change(const Descriptor& descriptor, std::uint32_t events, Watcher& watcher);
  /// To be called before a watched descriptor is closed.
  void remove(const Descriptor& descriptor, const Watcher& watcher);

  /// Waits until something is ready, or `limit` is over, and calls the watchers.
  void wait(std::chrono::milliseconds limit);

 private:
  Descriptor epoll_;
  std::vector<Watcher*> round_;  ///< still to be called in this round, or null
};

/// As many descriptors as this process may have.
void lift_descriptor_limit();

Descriptor listen_on(const Endpoint& endpoint);
/// The next connection that waits, or a closed descriptor.
Descriptor accept_on(const Descriptor& listener);
/// Begins to dial, from `source` where its address is not unspecified.
Descriptor dial(const Endpoint& peer, const Address& source);
Endpoint own_end_of(const Descriptor& descriptor);

/// Writes all, which is little: there is always room for it. False when the peer is gone.
bool write_all(const Descriptor& descriptor, std::string_view text);

/// What has come of a conversation, line by line.
class LineReader {
 public:
  /// Reads what is there. False at the end of the connection.
  bool read(const Descriptor& descriptor);
  /// The next whole line, without its end; empty when there is none. Valid until read().
  std::string_view next();

 private:
  std::string bytes_;
  std::size_t begin_ = 0;
};

}  // namespace ftpalg::bench
