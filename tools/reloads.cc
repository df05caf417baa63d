// SPDX-License-Identifier: GPL-2.0-or-later
#include "tools/reloads.h"

#include <spdlog/spdlog.h>

#include <utility>

#include "tools/errands.h"
#include "tools/reload.h"
#include "tools/running_config.h"

namespace ftpalg::tools {

Reloads::Reloads(const GatewayOptions& options, Config config, Keeper& keeper)
    : options_(options), config_(std::move(config)), keeper_(keeper) {
  tell_warnings(config_.policy);
}

void Reloads::begin() {
  if (is_under_way_) {
    is_wanted_again_ = true;
    return;
  }
  is_under_way_ = keeper_.send(reload_errand).has_value();
}

bool Reloads::finish() {
  bool is_new = false;
  const auto text = keeper_.answer();
  const bool was_under_way = std::exchange(is_under_way_, false);
  if (!text && (!was_under_way || !text.error().empty())) {
    spdlog::error(
        "{}; the configuration cannot be read anew, and rules of this run stay at its end; mend: "
        "start the gateway anew",
        text.error());
    keeper_is_gone_ = true;
  } else if (text) {
    // The keeper finds the same in it, and nothing wrong.
    if (const auto read = options_.config_of(*text)) {
      config_ = reload(config_, *read).config;
      is_new = true;
      spdlog::info("the configuration is read anew");
    }
  }
  if (std::exchange(is_wanted_again_, false)) begin();
  return is_new;
}

void Reloads::settle() {
  while (is_under_way_) finish();
}

}  // namespace ftpalg::tools
