// SPDX-License-Identifier: GPL-2.0-or-later
// The configuration as the worker has it, and as it becomes by reloads.
#pragma once

#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>
#include <vector>

#include "tools/config_file.h"
#include "tools/gateway_options.h"
#include "tools/keeper.h"
#include "tools/rules_report.h"

namespace ftpalg::tools {

class Reloads {
 public:
  /// `config` is what `options` have given. Both referents outlive this.
  Reloads(const GatewayOptions& options, Config config, Keeper& keeper);

  const Config& config() const { return config_; }

  /// What became of a reload, for whoever asked for it: whether config() is new, or what is wrong.
  using Outcome = tl::expected<bool, std::string>;
  using Tell = std::function<void(const Outcome& outcome)>;

  /// Has the keeper read the file anew, while packets are served. `tell` is called once, by
  /// finish().
  void begin(Tell tell = [](const Outcome&) {});
  bool is_under_way() const;
  /// Readable when there is something to finish(). Negative when there will never be.
  int descriptor() const { return keeper_is_gone_ ? -1 : keeper_.descriptor(); }
  /// Takes what the keeper has read. Returns whether config() is new, and has told the log then
  /// that it counts from now on, or what is wrong with the file.
  bool finish();
  /// What the rules were found to be at the last reload, once.
  std::optional<RulesReport> take_rules_report() { return std::exchange(report_, std::nullopt); }
  /// Waits for what is under way.
  void settle();

 private:
  void begin_next();
  bool send(std::string_view errand);
  bool take(std::string_view file_text);
  void tell_askers(const Outcome& outcome);

  const GatewayOptions& options_;
  Config config_;
  Keeper& keeper_;
  /// The errands that the keeper is on, which it does one after the other.
  std::deque<std::string_view> due_;
  bool keeper_is_gone_ = false;
  std::optional<RulesReport> report_;
  std::vector<Tell> askers_;       ///< of what is under way
  std::vector<Tell> next_askers_;  ///< who came when it was under way already, and may want more
};

}  // namespace ftpalg::tools
