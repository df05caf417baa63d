// SPDX-License-Identifier: GPL-2.0-or-later
// Client use: how many sessions and announced data connections each client network has.
#pragma once

#include <cstdint>
#include <memory_resource>
#include <unordered_map>

#include "alg/keyed_hash.h"

namespace ftpalg {

class ClientUse {
 public:
  /// One network's, or that of all.
  struct Use {
    std::uint32_t sessions = 0;
    std::uint32_t expectations = 0;
  };

  explicit ClientUse(const KeyedHash& hash) : use_(0, hash, {}, &memory_) {}

  Use of(const Network& client) const {
    const auto found = use_.find(client);
    return found == use_.end() ? Use{} : found->second;
  }
  const Use& of_all() const { return all_; }

  void add_session(const Network& client) { change(client, &Use::sessions, 1); }
  void remove_session(const Network& client) { change(client, &Use::sessions, -1); }
  void add_expectation(const Network& client) { change(client, &Use::expectations, 1); }
  void remove_expectation(const Network& client) { change(client, &Use::expectations, -1); }

 private:
  void change(const Network& client, std::uint32_t Use::*count, std::int32_t by) {
    Use& use = use_[client];
    for (Use* each : {&use, &all_}) each->*count += static_cast<std::uint32_t>(by);
    if (use.sessions == 0 && use.expectations == 0) use_.erase(client);
  }

  std::pmr::unsynchronized_pool_resource memory_;
  std::pmr::unordered_map<Network, Use, KeyedHash> use_;
  Use all_;
};

}  // namespace ftpalg
