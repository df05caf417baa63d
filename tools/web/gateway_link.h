// SPDX-License-Identifier: GPL-2.0-or-later
// The way on which the page asks the gateway: a client of its control server
// (tools/control/PROTOCOL.md), that never waits long.
#pragma once

#include <chrono>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

#include "rules/descriptor.h"

namespace ftpalg::tools {

/// Why there is no answer.
struct NoAnswer {
  enum class Cause {
    gone,     ///< the gateway has ended, or does not answer in time
    busy,     ///< it has been asked too much just now
    refused,  ///< there is nothing to answer to this; the text is the gateway's own
  };
  Cause cause;
  std::string text;
};

class GatewayLink {
 public:
  /// `channel` is connected to the control server, and blocks nobody.
  explicit GatewayLink(Descriptor channel) : channel_(std::move(channel)) {}

  /// What the gateway answers: a line each.
  using Answer = std::vector<nlohmann::json>;
  tl::expected<Answer, NoAnswer> ask(const nlohmann::json& question);

  static constexpr std::chrono::seconds answer_time_max{2};
  static constexpr std::size_t answer_bytes_max = std::size_t{16} << 20;
  /// However many look at the page, the gateway has better things to do.
  static constexpr unsigned questions_per_second_max = 50;

 private:
  using Clock = std::chrono::steady_clock;

  bool is_too_often();
  bool send(std::string_view line);
  bool read_line(Clock::time_point until, nlohmann::json& line);
  bool receive(Clock::time_point until);

  Descriptor channel_;
  std::string received_;
  bool is_greeted_ = false;
  std::optional<bool> owed_is_list_;  ///< an answer has not come in time, and what it will be
  Clock::time_point second_{};
  unsigned questions_ = 0;
};

}  // namespace ftpalg::tools
