// SPDX-License-Identifier: GPL-2.0-or-later
#include "tools/stored_descriptors.h"

#include <systemd/sd-daemon.h>

#include <cstdlib>
#include <string_view>

namespace ftpalg::tools {
namespace {

/// How many descriptors the service manager keeps for a service (systemd 254 says it by itself).
constexpr const char* kept_variable = "FDSTORE";

}  // namespace

StoredDescriptors StoredDescriptors::take() {
  StoredDescriptors stored;
  char** names = nullptr;
  const int count = sd_listen_fds_with_names(1, &names);
  for (int at = 0; at < count; ++at) {
    // One of the same name is closed: the last that was stored counts.
    stored.descriptors_[names[at]] = Descriptor(SD_LISTEN_FDS_START + at);
    std::free(names[at]);
  }
  std::free(names);
  const char* const kept = std::getenv(kept_variable);
  stored.are_kept_ = count > 0 || (kept != nullptr && std::string_view{kept} != "0");
  unsetenv(kept_variable);
  return stored;
}

std::vector<int> StoredDescriptors::numbers() const {
  std::vector<int> numbers;
  for (const auto& [name, descriptor] : descriptors_) numbers.push_back(descriptor.number());
  return numbers;
}

Descriptor StoredDescriptors::take(const std::string& name) {
  const auto found = descriptors_.find(name);
  if (found == descriptors_.end()) return {};
  Descriptor taken = std::move(found->second);
  descriptors_.erase(found);
  return taken;
}

std::vector<std::string> StoredDescriptors::names() const {
  std::vector<std::string> names;
  for (const auto& [name, descriptor] : descriptors_) names.push_back(name);
  return names;
}

}  // namespace ftpalg::tools
