// SPDX-License-Identifier: GPL-2.0-or-later
// One end of a TCP connection, and a port where one is waited for. Every wait has a limit; what
// goes wrong is a Failure.
#pragma once

#include <chrono>
#include <stdexcept>
#include <string>
#include <string_view>

#include "conntrack/address.h"
#include "rules/descriptor.h"

namespace ftpalg::load {

using Limit = std::chrono::seconds;

/// A sentence for a person.
struct Failure : std::runtime_error {
  using std::runtime_error::runtime_error;
};

class Connection {
 public:
  static Connection dial(const Endpoint& peer, Limit limit);

  /// The next line, without its end.
  std::string read_line();
  /// Everything until the peer ends.
  std::string read_all();
  void write(std::string_view bytes);

  Endpoint own_end() const;

 private:
  friend class Listener;
  explicit Connection(Descriptor descriptor) : descriptor_(std::move(descriptor)) {}

  /// Whether there was more before the peer's end.
  bool receive();

  Descriptor descriptor_;
  std::string received_;
};

class Listener {
 public:
  /// On a port that the kernel draws.
  Listener(const Address& address, Limit limit);

  Connection accept();
  Endpoint own_end() const;

 private:
  Descriptor descriptor_;
  Limit limit_;
};

}  // namespace ftpalg::load
