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
#include "tools/rules_report.h"

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
  /// What the rules lack, or have otherwise than this run needs it. Warns of it where others have
  /// put them in place. The first time it is to be called before anybody can have changed them, and
  /// where they are others', with the right to make a namespace.
  RulesReport look_at_rules();

  /// Reads the file anew, for the rules of this run, and returns what it says. look_at_rules() may
  /// find others then. When anything is wrong with it, everything stays as it was, and the errors
  /// are returned.
  tl::expected<std::string, ConfigErrors> read_anew();

  /// Those that another gateway has put in place are the ones of this run from now on.
  void adopt_rules(rules::Format format) { applied_rules_ = AppliedRules::adopt(format); }
  /// The format of the rules of this run, if it has any.
  std::optional<rules::Format> format_of_own_rules() const;

  /// Takes out the rules of this run, unless they are to stay at its end.
  tl::expected<void, std::string> remove_rules();

 private:
  ConfigErrors take(std::string_view text);

  GatewayOptions options_;
  Config config_;
  AtEnd at_end_;
  std::optional<AppliedRules> applied_rules_;
  /// What our nft table must be, as long as that is known.
  std::optional<rules::NftTable> expected_table_;
  bool has_looked_ = false;
};

}  // namespace ftpalg::tools
