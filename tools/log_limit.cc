// SPDX-License-Identifier: GPL-2.0-or-later
#include "tools/log_limit.h"

namespace ftpalg::tools {
namespace {

std::uint64_t left_out_of(std::uint64_t lines) {
  return lines > LogLimit::lines_per_client_max ? lines - LogLimit::lines_per_client_max : 0;
}

}  // namespace

bool LogLimit::admits(const Network& client, Time now) {
  const bool is_counted = windows_.contains(client) || windows_.size() < clients_max;
  Window& own = is_counted ? windows_[client] : others_;
  if (own.lines == 0) own.ends = now + window;
  return ++own.lines <= lines_per_client_max;
}

std::vector<LogLimit::LeftOut> LogLimit::take_left_out(Time now) {
  std::vector<LeftOut> left_out;
  const auto take = [&](const std::optional<Network>& client, const Window& its) {
    if (its.ends > now) return false;
    if (const auto lines = left_out_of(its.lines); lines > 0) left_out.push_back({client, lines});
    return true;
  };
  std::erase_if(windows_, [&](const auto& entry) { return take(entry.first, entry.second); });
  if (take(std::nullopt, others_)) others_ = {};
  return left_out;
}

}  // namespace ftpalg::tools
