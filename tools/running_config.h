// SPDX-License-Identifier: GPL-2.0-or-later
// The configuration by which the gateway runs, which may be read anew, and the firewall rules that
// go with it. It lives in the keeper (keeper.h), because it reads files and runs programs, and
// tells the log what a person has to know.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <tl/expected.hpp>

#include "tools/applied_rules.h"
#include "tools/config_file.h"
#include "tools/gateway_options.h"

namespace ftpalg::tools {

/// Why this machine cannot do what `config` asks for.
std::optional<std::string> obstacle(const Config& config);

/// Tells the log what a person should know who has chosen this.
void tell_warnings(const Policy& policy);

class RunningConfig {
 public:
  /// What becomes of the rules of this run at its end.
  enum class AtEnd : std::uint8_t { remove_rules, keep_rules };

  /// `config` is what `options` have given.
  RunningConfig(GatewayOptions options, Config config, AtEnd at_end);

  /// Puts the rules in place, which are those of this run from then on. Otherwise others have put
  /// them in place.
  tl::expected<void, std::string> apply_rules();
  /// Warns of what these others have not put in place, or otherwise than this run needs it.
  void tell_what_rules_lack() const;

  /// Reads the file anew, for the rules of this run, and returns what it says. When anything is
  /// wrong with it, everything stays as it was, and there is nothing to return.
  std::optional<std::string> read_anew();

  /// Takes out the rules of this run, unless they are to stay at its end.
  tl::expected<void, std::string> remove_rules();

 private:
  ConfigErrors take(std::string_view text);

  GatewayOptions options_;
  Config config_;
  AtEnd at_end_;
  std::optional<AppliedRules> applied_rules_;
};

}  // namespace ftpalg::tools
