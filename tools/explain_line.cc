// SPDX-License-Identifier: GPL-2.0-or-later
#include "tools/explain_line.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "tools/decision_text.h"

namespace ftpalg::tools {
namespace {

constexpr std::string_view blanks = " \t";

/// The value of `digit` in hexadecimal, or 16.
constexpr unsigned digit_value(char digit) {
  if (digit >= '0' && digit <= '9') return static_cast<unsigned>(digit - '0');
  if (digit >= 'a' && digit <= 'f') return static_cast<unsigned>(digit - 'a') + 10;
  if (digit >= 'A' && digit <= 'F') return static_cast<unsigned>(digit - 'A') + 10;
  return 16;
}

/// Takes up to `digits_max` digits of `base` from the front of `text`. Nothing when there is none,
/// or when they are no byte.
std::optional<char> take_byte(std::string_view& text, unsigned base, std::size_t digits_max) {
  unsigned value = 0;
  std::size_t digits = 0;
  while (digits < std::min(digits_max, text.size()) && digit_value(text[digits]) < base) {
    value = value * base + digit_value(text[digits++]);
  }
  if (digits == 0 || value > 0xff) return std::nullopt;
  text.remove_prefix(digits);
  return static_cast<char>(value);
}

/// Takes the rest of an escape, behind its backslash. Unlike in C, `\x` has two digits at most:
/// what follows a byte may look like more of them.
std::optional<char> take_escape(std::string_view& text) {
  constexpr std::string_view names = "abfnrtv\\'\"?";
  constexpr std::string_view bytes = "\a\b\f\n\r\t\v\\'\"?";
  if (digit_value(text.front()) < 8) return take_byte(text, 8, 3);
  const char name = text.front();
  const std::size_t known = names.find(name);
  if (name != 'x' && known == std::string_view::npos) return std::nullopt;
  text.remove_prefix(1);
  return name == 'x' ? take_byte(text, 16, 2) : bytes[known];
}

}  // namespace

tl::expected<std::optional<SaidLine>, std::string> read_said_line(std::string_view line) {
  while (line.ends_with('\r')) line.remove_suffix(1);
  line.remove_prefix(std::min(line.find_first_not_of(blanks), line.size()));
  if (line.empty() || line.front() == '#') return std::nullopt;

  SaidLine said;
  if (line.starts_with("S:")) {
    said.direction = Direction::reply;
  } else if (!line.starts_with("C:")) {
    return tl::unexpected(fmt::format(
        "'{}' begins with neither 'C:' nor 'S:'; write 'C: ' before what the client sends, 'S: ' "
        "before what the server sends, and '#' before a comment",
        escaped(line)));
  }
  std::string_view text = line.substr(2);
  if (text.starts_with(' ')) text.remove_prefix(1);

  while (!text.empty()) {
    const char c = text.front();
    text.remove_prefix(1);
    if (c != '\\') {
      said.bytes += c;
    } else if (text.empty()) {
      said.waits = true;
    } else {
      const std::string_view escape = text;
      const auto byte = take_escape(text);
      if (!byte) {
        return tl::unexpected(fmt::format(
            "'\\{}' is no C escape for a byte; write \\\\ for a backslash, and \\r, \\n, \\t or "
            "\\xHH for what cannot be typed",
            escaped(escape.substr(0, escape.front() == 'x' || digit_value(escape.front()) < 8
                                         ? std::min<std::size_t>(escape.size(), 3)
                                         : 1))));
      }
      said.bytes += *byte;
    }
  }
  if (!said.waits) said.bytes += "\r\n";
  return said;
}

}  // namespace ftpalg::tools
