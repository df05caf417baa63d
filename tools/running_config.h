// SPDX-License-Identifier: GPL-2.0-or-later
// The configuration by which the gateway runs, which may be read anew. Tells the log what a person
// has to know of it.
#pragma once

#include "alg/engine.h"
#include "tools/applied_rules.h"
#include "tools/config_file.h"
#include "tools/gateway_options.h"

namespace ftpalg::tools {

/// Why this machine cannot do what `config` asks for.
std::optional<std::string> obstacle(const Config& config);

class RunningConfig {
 public:
  /// `config` is what `options` have given. Without `applied_rules` others put the rules in place.
  RunningConfig(GatewayOptions options, Config config, AppliedRules* applied_rules);

  const Config& config() const { return config_; }

  /// Reads the file anew, for `engine` and the rules of this run. When anything is wrong with it,
  /// everything stays as it was.
  void read_anew(Engine& engine);

 private:
  ConfigErrors take(const Config& read, Engine& engine);
  void tell_warnings() const;

  GatewayOptions options_;
  Config config_;
  AppliedRules* applied_rules_;
};

}  // namespace ftpalg::tools
