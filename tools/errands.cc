// SPDX-License-Identifier: GPL-2.0-or-later
#include "tools/errands.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <spdlog/spdlog.h>

#include <string>
#include <utility>

#include "tools/privileges.h"
#include "tools/transfer_log.h"

namespace ftpalg::tools {
namespace {

void post_anew(const LogFile& log_file) {
  const auto file = open_log_file(log_file.path);
  if (file && log_file.post->send(*file)) return;
  spdlog::error("{}; the file that was open until now is used on",
                file ? "the file of the transfer log cannot be handed over" : file.error());
}

}  // namespace

Keeper::Errands errands(RunningConfig config, bool applies_rules, ControlSocketFile socket,
                        LogFile log_file) {
  return [config = std::move(config), applies_rules, socket = std::move(socket),
          log_file = std::move(log_file)](std::string_view errand) mutable -> Answer {
    const auto nothing_to_say = [] { return std::string{}; };
    if (errand == begin_errand) {
      // With all the rights that the daemon was started with: programs may have to load modules.
      if (applies_rules) {
        if (auto applied = config.apply_rules(); !applied) return tl::unexpected(applied.error());
      }
      const RulesReport report = config.look_at_rules();
      return drop_capabilities(Role::keeper).map([&] { return report.text(); });
    }
    if (errand == reload_errand) {
      if (!log_file.path.empty()) post_anew(log_file);
      return config.read_anew().map_error(
          [](const ConfigErrors& errors) { return fmt::format("{}", fmt::join(errors, "\n")); });
    }
    if (errand == look_errand) return config.look_at_rules().text();
    if (errand == end_errand) {
      socket.remove();
      return config.remove_rules().map(nothing_to_say);
    }
    return tl::unexpected(std::string{"there is no such errand"});
  };
}

}  // namespace ftpalg::tools
