// SPDX-License-Identifier: GPL-2.0-or-later
// Announced: the data connections that all control connections together have announced, each with
// the public endpoint that is its own, and the expectations that the kernel holds for them.
//
// A public endpoint stays taken after the kernel's expectation is consumed: the data connection may
// be running, or its end be remembered by TCP (TIME-WAIT). It is free again when its control
// connection announces another, or ends.
#pragma once

#include <memory_resource>
#include <unordered_map>

#include "alg/client_use.h"
#include "alg/connection.h"
#include "alg/deadline.h"
#include "alg/keyed_hash.h"
#include "alg/policy.h"

namespace ftpalg {

class Announced {
 public:
  /// The referents outlive it.
  Announced(Expectations& kernel, ConnectionTable& connections, ClientUse& use,
            const KeyedHash& hash)
      : kernel_(kernel),
        connections_(connections),
        use_(use),
        hash_(hash),
        owners_(0, hash, {}, &memory_) {}

  /// Has the kernel expect `expectation`, with the first public port that is free when
  /// `may_change_port`, which is then the one that is advertised. Returns none, or why not, with
  /// nothing changed but for the port. What is expected has to be kept or taken back.
  Reason expect(const Connection& connection, Expectation& expectation, bool may_change_port,
                const Policy& policy);
  void keep(Connection& connection, const Expectation& expectation, Time ends);
  void take_back(const Expectation& expectation) { kernel_.remove(expectation); }

  /// The announced data connection of `connection` will not come.
  void end(Connection& connection);
  /// The connection is to be forgotten: so is what it announced.
  void forget(Connection& connection);
  /// Ends what has outlived its time.
  void on_tick(Time now);

  /// Whether the public endpoint that `connection` announced last is its own still.
  bool owns_announced(const Connection& connection) const;
  /// As another Announced had it: `connection` has come from there.
  void take_over(Connection& connection, bool owns_announced);

 private:
  struct Owner {
    Tuple original;   ///< of the control connection
    Endpoint inside;  ///< where the data connection ends up
  };
  struct Deadline {
    Time at;
    Tuple original;

    friend bool operator>(const Deadline& a, const Deadline& b) { return a.at > b.at; }
  };

  bool make_way(const Expectation& expectation, const Connection& connection);
  void release(const Connection& connection);
  std::uint64_t drawn_number(const Expectation& expectation, std::uint32_t attempt) const;
  Reason cap_reached(const Connection& connection, const Policy& policy) const;

  Expectations& kernel_;
  ConnectionTable& connections_;
  ClientUse& use_;
  KeyedHash hash_;
  std::pmr::unsynchronized_pool_resource memory_;
  /// By who may connect to which public endpoint.
  std::pmr::unordered_map<Tuple, Owner, KeyedHash> owners_;
  /// One a connection at most.
  DueQueue<Deadline> deadlines_;
};

}  // namespace ftpalg
