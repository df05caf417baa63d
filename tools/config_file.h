// SPDX-License-Identifier: GPL-2.0-or-later
// The configuration file: what the gateway may do, in TOML. tools/ftpalg.toml shows every key with
// its default and says what it means.
//
// Errors are sentences for a person, one for each thing that is wrong: file, line, column, key,
// what is wrong, and what would be right. A key that is not known is an error.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

#include "alg/policy.h"
#include "conntrack/address.h"
#include "rules/ruleset.h"
#include "tools/transfer_log_settings.h"

namespace ftpalg::tools {

/// Read when no other file is named, if it exists.
inline constexpr std::string_view default_config_file = "/etc/ftpalg/ftpalg.toml";
inline constexpr std::string_view default_control_socket = "/run/ftpalg/ftpalg.sock";

/// How the gateway is to be reached while it runs.
struct Service {
  std::string socket{default_control_socket};  ///< path of the control socket; empty: none
  std::string group;  ///< that may use it besides its owner; empty: that of the program, as root's

  bool operator==(const Service&) const = default;
};

struct Config {
  Policy policy;
  rules::Ruleset ruleset;
  Service service;
  TransferLogSettings transfers;
  std::optional<Endpoint> http_listen;  ///< none: there is no page

  bool operator==(const Config&) const = default;
};

using ConfigErrors = std::vector<std::string>;

/// What the file `file` with the content `text` says. What it does not say has its default.
tl::expected<Config, ConfigErrors> parse_config(std::string_view text, std::string_view file);

/// Where there is a default file, and `path` is empty, that one; else `path`.
std::string config_file_or_default(const std::string& path);

/// What stands in the file config_file_or_default(`path`), for parse_config(). Nothing stands in
/// none, when that is empty.
tl::expected<std::string, ConfigErrors> config_text(const std::string& path);

/// Both in one.
tl::expected<Config, ConfigErrors> read_config(const std::string& path);

/// Settings that do not go together.
struct Contradiction {
  std::vector<std::string_view> keys;  ///< the one to be mended first
  std::string text;
};
std::vector<Contradiction> contradictions(const Config& config);

/// What a person should know who lets the gateway run with this policy.
std::vector<std::string> warnings(const Policy& policy);

}  // namespace ftpalg::tools
