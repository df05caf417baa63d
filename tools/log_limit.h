// SPDX-License-Identifier: GPL-2.0-or-later
// Log limit: how much of what the gateway has to say one client may cause to be said.
#pragma once

#include <optional>
#include <unordered_map>
#include <vector>

#include "alg/time.h"
#include "conntrack/network.h"

namespace ftpalg::tools {

class LogLimit {
 public:
  static constexpr Time window = std::chrono::seconds{10};
  static constexpr std::uint32_t lines_per_client_max = 100;  ///< in a window
  /// Beyond so many clients in a window, all others count as one.
  static constexpr std::size_t clients_max = 10'000;

  /// Whether one more line about `client` may be written at `now`.
  bool admits(const Network& client, Time now);

  struct LeftOut {
    std::optional<Network> client;  ///< none: those beyond clients_max
    std::uint64_t lines = 0;
  };
  /// What was not admitted in windows that have ended, each once. To be asked now and then.
  std::vector<LeftOut> take_left_out(Time now);

 private:
  struct Window {
    Time ends{};
    std::uint64_t lines = 0;
  };
  std::unordered_map<Network, Window> windows_;
  Window others_;
};

}  // namespace ftpalg::tools
