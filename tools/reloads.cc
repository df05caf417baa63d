// SPDX-License-Identifier: GPL-2.0-or-later
#include "tools/reloads.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "tools/errands.h"
#include "tools/reload.h"
#include "tools/running_config.h"

namespace ftpalg::tools {
namespace {

constexpr std::string_view keeper_is_gone =
    "the configuration cannot be read anew, and rules of this run stay at its end; mend: start the "
    "gateway anew";

/// One a line.
void tell_errors(std::string_view errors) {
  while (!errors.empty()) {
    const std::size_t end = std::min(errors.find('\n'), errors.size());
    spdlog::error("{}", errors.substr(0, end));
    errors.remove_prefix(std::min(end + 1, errors.size()));
  }
  spdlog::error("the configuration that was running stays");
}

}  // namespace

Reloads::Reloads(const GatewayOptions& options, Config config, Keeper& keeper)
    : options_(options), config_(std::move(config)), keeper_(keeper) {
  tell_warnings(config_.policy);
}

void Reloads::begin(Tell tell) {
  next_askers_.push_back(std::move(tell));
  if (!is_under_way()) begin_next();
}

/// One more reload, for all who came while another was under way.
void Reloads::begin_next() {
  if (next_askers_.empty()) return;
  askers_ = std::exchange(next_askers_, {});
  if (!send(reload_errand)) tell_askers(tl::make_unexpected(std::string{keeper_is_gone}));
}

bool Reloads::finish() {
  const auto answer = keeper_.answer();
  if (keeper_.is_gone()) {
    spdlog::error("{}; {}", answer.error(), keeper_is_gone);
    keeper_is_gone_ = true;
    due_.clear();
    tell_askers(tl::unexpected(answer.error()));
    return false;
  }
  const std::string_view errand = due_.empty() ? look_errand : due_.front();
  if (!due_.empty()) due_.pop_front();
  if (errand == look_errand) {
    if (answer) report_ = RulesReport::from_text(*answer);
    return false;
  }
  if (answer) {
    tell_askers(take(*answer));
  } else {
    tell_errors(answer.error());
    tell_askers(tl::unexpected(answer.error()));
  }
  // Whoever waits for a reload does not wait for a look.
  begin_next();
  if (!is_under_way()) send(look_errand);
  return answer.has_value();
}

bool Reloads::is_under_way() const {
  return std::ranges::find(due_, reload_errand) != due_.end();
}

bool Reloads::send(std::string_view errand) {
  if (!keeper_.send(errand)) return false;
  due_.push_back(errand);
  return true;
}

void Reloads::tell_askers(const Outcome& outcome) {
  for (const Tell& tell : std::exchange(askers_, {})) tell(outcome);
}

/// Takes what the file says. Returns whether config() has changed.
bool Reloads::take(std::string_view file_text) {
  const auto read = options_.config_of(file_text);
  // The keeper has found the same in it, and nothing wrong.
  if (!read) return false;
  Config next = reload(config_, *read).config;
  const bool has_changed = next != config_;
  config_ = std::move(next);
  spdlog::info("the configuration is read anew");
  return has_changed;
}

void Reloads::settle() {
  while (!due_.empty()) finish();
}

}  // namespace ftpalg::tools
