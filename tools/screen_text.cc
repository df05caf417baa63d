// SPDX-License-Identifier: GPL-2.0-or-later
#include "tools/screen_text.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <ctime>
#include <limits>

namespace ftpalg::tools {
namespace {

constexpr std::size_t label_columns = 14;
constexpr std::size_t text_columns_min = 20;

constexpr std::int64_t minute = 60;
constexpr std::int64_t hour = 60 * minute;
constexpr std::int64_t day = 24 * hour;

std::string two_units(std::int64_t whole, std::string_view unit, std::int64_t rest,
                      std::string_view small_unit) {
  if (rest == 0) return fmt::format("{} {}", whole, unit);
  return fmt::format("{} {} {} {}", whole, unit, rest, small_unit);
}

}  // namespace

std::string duration_text(double seconds) {
  const auto whole = std::max(std::int64_t{0}, static_cast<std::int64_t>(seconds));
  if (whole < minute) return fmt::format("{} s", whole);
  if (whole < hour) return two_units(whole / minute, "min", whole % minute, "s");
  if (whole < day) return two_units(whole / hour, "h", whole % hour / minute, "min");
  return two_units(whole / day, "d", whole % day / hour, "h");
}

std::string short_duration(double seconds) {
  const auto whole = std::max(std::int64_t{0}, static_cast<std::int64_t>(seconds));
  if (whole < minute) return fmt::format("{}s", whole);
  if (whole < hour) return fmt::format("{}m", whole / minute);
  if (whole < day) return fmt::format("{}h", whole / hour);
  return fmt::format("{}d", whole / day);
}

std::string bytes_text(std::uint64_t bytes) {
  constexpr std::array<std::string_view, 6> units{"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  constexpr double step = 1024;
  if (bytes < 1024) return fmt::format("{} B", bytes);
  double size = static_cast<double>(bytes) / step;
  std::size_t unit = 0;
  while (size >= step && unit + 1 < units.size()) {
    size /= step;
    ++unit;
  }
  return fmt::format("{:.1f} {}", size, units.at(unit));
}

std::string clock_text(double unix_time, double unix_now) {
  const auto broken_down = [](double time) {
    const auto seconds = static_cast<std::time_t>(time);
    std::tm local{};
    localtime_r(&seconds, &local);
    return local;
  };
  const std::tm then = broken_down(unix_time);
  const std::tm now = broken_down(unix_now);
  const bool is_today = then.tm_yday == now.tm_yday && then.tm_year == now.tm_year;
  return is_today ? fmt::format("{:%H:%M:%S}", then) : fmt::format("{:%Y-%m-%d %H:%M:%S}", then);
}

std::vector<std::string> wrapped(std::string_view text, std::size_t width) {
  std::vector<std::string> lines;
  while (text.size() > width) {
    const std::size_t blank = text.rfind(' ', width);
    const bool has_blank = blank != std::string_view::npos && blank > 0;
    const std::size_t end = has_blank ? blank : width;
    lines.emplace_back(text.substr(0, end));
    text.remove_prefix(has_blank ? end + 1 : end);
  }
  lines.emplace_back(text);
  return lines;
}

std::string labelled(std::string_view label, std::string_view text, std::size_t width) {
  constexpr std::size_t indent = 2;
  const std::size_t room = width > indent + label_columns + text_columns_min
                               ? width - indent - label_columns
                               : text_columns_min;
  std::string result;
  for (const std::string& line : wrapped(text, room)) {
    result += fmt::format("  {:<{}}{}\n", result.empty() ? label : "", label_columns, line);
  }
  return result;
}

std::string fitted(std::string_view text, std::size_t width) {
  if (text.size() <= width) return fmt::format("{:<{}}", text, width);
  if (width == 0) return {};
  return fmt::format("{}~", text.substr(0, width - 1));
}

ScreenSize screen_size() {
  winsize size{};
  if (isatty(STDOUT_FILENO) != 0 && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 &&
      size.ws_col > 0 && size.ws_row > 0) {
    return {size.ws_col, size.ws_row};
  }
  constexpr std::size_t unbounded = 1'000'000;
  return {unbounded, unbounded};
}

}  // namespace ftpalg::tools
