// SPDX-License-Identifier: GPL-2.0-or-later
// The last warnings and errors of the log, for whoever asks for the status and has not read it.
#pragma once

#include <spdlog/sinks/base_sink.h>

#include <deque>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace ftpalg::tools {

class LastWarnings final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  static constexpr std::size_t warnings_max = 10;

  struct Warning {
    double unix_time = 0;
    std::string level;  ///< "warning" or "error"
    std::string text;
  };
  /// Oldest first.
  std::vector<Warning> all() const;

  /// What the log was told by somebody else.
  void note(spdlog::level::level_enum level, std::string_view text);

 private:
  void sink_it_(const spdlog::details::log_msg& message) override;
  void flush_() override {}
  void keep(spdlog::level::level_enum level, std::string_view text,
            spdlog::log_clock::time_point at);

  mutable std::mutex lock_;
  std::deque<Warning> warnings_;
};

}  // namespace ftpalg::tools
