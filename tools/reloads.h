// SPDX-License-Identifier: GPL-2.0-or-later
// The configuration as the worker has it, and as it becomes by reloads.
#pragma once

#include "tools/config_file.h"
#include "tools/gateway_options.h"
#include "tools/keeper.h"

namespace ftpalg::tools {

class Reloads {
 public:
  /// `config` is what `options` have given. Both referents outlive this.
  Reloads(const GatewayOptions& options, Config config, Keeper& keeper);

  const Config& config() const { return config_; }

  /// Has the keeper read the file anew, while packets are served.
  void begin();
  bool is_under_way() const { return is_under_way_; }
  /// Readable when there is something to finish(). Negative when there will never be.
  int descriptor() const { return keeper_is_gone_ ? -1 : keeper_.descriptor(); }
  /// Takes what the keeper has read. Returns whether config() is new, and has told the log then
  /// that it counts from now on; the keeper has told it already when something was wrong.
  bool finish();
  /// Waits for what is under way.
  void settle();

 private:
  const GatewayOptions& options_;
  Config config_;
  Keeper& keeper_;
  bool is_under_way_ = false;
  bool is_wanted_again_ = false;
  bool keeper_is_gone_ = false;
};

}  // namespace ftpalg::tools
