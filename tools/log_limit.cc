// SPDX-License-Identifier: GPL-2.0-or-later
#include "tools/log_limit.h"

namespace ftpalg::tools {

bool LogLimit::admits(const Address& client, Time now) {
  const bool is_known = windows_.contains(client) || windows_.size() < clients_max;
  Window& own = windows_[is_known ? client : Address{}];
  if (own.lines == 0) own.ends = now + window;
  return ++own.lines <= lines_per_client_max;
}

std::vector<LogLimit::LeftOut> LogLimit::take_left_out(Time now) {
  std::vector<LeftOut> left_out;
  std::erase_if(windows_, [&](const auto& entry) {
    const auto& [client, its] = entry;
    if (its.ends > now) return false;
    if (its.lines > lines_per_client_max) {
      left_out.push_back({client, its.lines - lines_per_client_max});
    }
    return true;
  });
  return left_out;
}

}  // namespace ftpalg::tools
