// SPDX-License-Identifier: GPL-2.0-or-later
// Text for a terminal: times, sizes and numbers as people say them, and long text in lines.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace ftpalg::tools {

/// "0 s", "59 s", "12 min 3 s", "3 h 12 min", "2 d 4 h".
std::string duration_text(double seconds);
/// In four columns: "59s", "12m", "3h", "99d".
std::string short_duration(double seconds);
/// "0 B", "1023 B", "1.0 KiB", "12.3 GiB".
std::string bytes_text(std::uint64_t bytes);
/// The local time of day, "18:02:11", or with its date when that is not today's.
std::string clock_text(double unix_time, double unix_now);

/// The text in lines of `width` at most, cut at blanks where there are any.
std::vector<std::string> wrapped(std::string_view text, std::size_t width);
/// "  LABEL  text", the label in a column of its own, further lines below the first one's text.
std::string labelled(std::string_view label, std::string_view text, std::size_t width);
/// `text` in `width` columns: filled up with blanks, or cut and marked with '~'.
std::string fitted(std::string_view text, std::size_t width);

/// Of the terminal on standard output, where it is one; of others what leaves lines whole.
struct ScreenSize {
  std::size_t columns;
  std::size_t rows;
};
ScreenSize screen_size();

}  // namespace ftpalg::tools
