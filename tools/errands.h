// SPDX-License-Identifier: GPL-2.0-or-later
// The errands on which the worker sends the keeper (keeper.h).
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "tools/control/control_socket.h"
#include "tools/descriptor_post.h"
#include "tools/keeper.h"
#include "tools/running_config.h"

namespace ftpalg::tools {

/// To put the rules in place, if they are this run's, to look at them, and to give up what is not
/// needed from then on. Brings a RulesReport.
inline constexpr std::string_view begin_errand = "begin";
/// The same in a gateway that takes another's place: no rules are put in place yet.
inline constexpr std::string_view begin_takeover_errand = "begin takeover";
/// What the other had to remove at its end is this one's: the text that adoption() makes.
inline constexpr std::string_view adopt_errand = "adopt ";
std::string adoption(const std::optional<std::string>& rules_format,
                     const ControlSocketFile& socket);
/// Brings the format of the rules of this run, or nothing where it has none.
inline constexpr std::string_view format_errand = "format";
/// To read the configuration anew and to put its rules in place. Brings what the file says; fails
/// with what is wrong with it, a line each.
inline constexpr std::string_view reload_errand = "reload";
/// To look at the rules again. Brings a RulesReport.
inline constexpr std::string_view look_errand = "look";
/// To take out the rules of this run, and to remove its control socket.
inline constexpr std::string_view end_errand = "end";

/// The file of the transfer log. With each reload_errand it is opened anew, and posted before the
/// errand is done.
struct LogFile {
  std::string path;  ///< empty: there is none
  std::shared_ptr<const DescriptorPost> post;
};

/// The keeper's side of them.
Keeper::Errands errands(RunningConfig config, bool applies_rules, ControlSocketFile socket,
                        LogFile log_file);

}  // namespace ftpalg::tools
