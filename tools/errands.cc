// SPDX-License-Identifier: GPL-2.0-or-later
#include "tools/errands.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <spdlog/spdlog.h>

#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "tools/privileges.h"
#include "tools/transfer_log.h"

namespace ftpalg::tools {
namespace {

using nlohmann::json;

void post_anew(const LogFile& log_file) {
  const auto file = open_log_file(log_file.path);
  if (file && log_file.post->send(*file)) return;
  spdlog::error("{}; the file that was open until now is used on",
                file ? "the file of the transfer log cannot be handed over" : file.error());
}

}  // namespace

std::string adoption(const std::optional<std::string>& rules_format,
                     const ControlSocketFile& socket) {
  return std::string{adopt_errand} + json{{"format", rules_format.value_or("")},
                                          {"socket", socket.path()},
                                          {"directory_is_ours", socket.directory_is_ours()}}
                                         .dump();
}

Keeper::Errands errands(RunningConfig config, bool applies_rules, ControlSocketFile socket,
                        LogFile log_file) {
  return [config = std::move(config), applies_rules, socket = std::move(socket),
          log_file = std::move(log_file)](std::string_view errand) mutable -> Answer {
    const auto nothing_to_say = [] { return std::string{}; };
    if (errand == begin_errand || errand == begin_takeover_errand) {
      // With all the rights that the daemon was started with: programs may have to load modules.
      if (applies_rules && errand == begin_errand) {
        if (auto applied = config.apply_rules(); !applied) return tl::unexpected(applied.error());
      }
      const RulesReport report = config.look_at_rules();
      return drop_capabilities(Role::keeper).map([&] { return report.text(); });
    }
    if (errand.starts_with(adopt_errand)) {
      const auto adopted = json::parse(errand.substr(adopt_errand.size()), nullptr, false);
      if (!adopted.is_object()) return tl::unexpected(std::string{"nothing is to be adopted"});
      if (const auto format = rules::format_named(adopted.value("format", ""))) {
        config.adopt_rules(*format);
      } else if (applies_rules) {
        if (auto applied = config.apply_rules(); !applied) return tl::unexpected(applied.error());
      }
      socket = ControlSocketFile::at(adopted.value("socket", ""),
                                     adopted.value("directory_is_ours", false));
      return std::string{};
    }
    if (errand == format_errand) {
      const auto format = config.format_of_own_rules();
      return format ? std::string{rules::name(*format)} : std::string{};
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
