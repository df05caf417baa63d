// SPDX-License-Identifier: GPL-2.0-or-later
#include "tools/last_warnings.h"

#include <chrono>

namespace ftpalg::tools {

std::vector<LastWarnings::Warning> LastWarnings::all() const {
  const std::lock_guard held(lock_);
  return {warnings_.begin(), warnings_.end()};
}

void LastWarnings::note(spdlog::level::level_enum level, std::string_view text) {
  keep(level, text, spdlog::log_clock::now());
}

void LastWarnings::sink_it_(const spdlog::details::log_msg& message) {
  if (message.level < spdlog::level::warn) return;
  keep(message.level, {message.payload.data(), message.payload.size()}, message.time);
}

void LastWarnings::keep(spdlog::level::level_enum level, std::string_view text,
                        spdlog::log_clock::time_point at) {
  const std::chrono::duration<double> since_epoch = at.time_since_epoch();
  const std::lock_guard held(lock_);
  if (warnings_.size() == warnings_max) warnings_.pop_front();
  warnings_.push_back(
      {since_epoch.count(), level == spdlog::level::warn ? "warning" : "error", std::string{text}});
}

}  // namespace ftpalg::tools
