// SPDX-License-Identifier: GPL-2.0-or-later
#include "tools/redaction.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>

#include "alg/ftp_line.h"

namespace ftpalg::tools {
namespace {

constexpr std::array<std::string_view, 2> login_words{"PASS", "ACCT"};
/// Arguments of SITE, of one server or another, that are followed by passwords.
constexpr std::array<std::string_view, 6> site_words{"PSWD",     "CPWD",      "PASSWD",
                                                     "PASSWORD", "NEWPASSWD", "GPASS"};

constexpr char capital(char c) {
  return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
}

bool is_letter(char c) {
  return capital(c) >= 'A' && capital(c) <= 'Z';
}

/// Whether `word` stands at `at`, as a whole word.
bool stands_at(std::string_view line, std::size_t at, std::string_view word) {
  if (line.size() - at < word.size()) return false;
  const std::string_view there = line.substr(at, word.size());
  return std::ranges::equal(there, word, {}, capital) && (at == 0 || !is_letter(line[at - 1])) &&
         (at + word.size() == line.size() || !is_letter(line[at + word.size()]));
}

/// Behind the first of `words` in `line` from `from` on.
template <std::size_t count>
std::optional<std::size_t> behind_word(std::string_view line, std::size_t from,
                                       const std::array<std::string_view, count>& words) {
  for (std::size_t at = from; at < line.size(); ++at) {
    for (const std::string_view word : words) {
      if (stands_at(line, at, word)) return at + word.size();
    }
  }
  return std::nullopt;
}

/// Where the secret of a command line begins.
std::optional<std::size_t> secret_begin(std::string_view line) {
  const Command command = read_command(line);
  // An unknown verb may be PASS with something before it that a server passes over.
  if (command.verb == Verb::login || command.verb == Verb::unknown) {
    return behind_word(line, 0, login_words);
  }
  if (stands_at(line, command.verb_begin, "SITE")) {
    return behind_word(line, command.verb_begin, site_words);
  }
  return std::nullopt;
}

}  // namespace

std::string without_secret(Direction direction, std::string_view line) {
  if (direction == Direction::reply) return std::string{line};
  const auto begin = secret_begin(line);
  if (!begin || *begin == line.size()) return std::string{line};
  return fmt::format("{} {}", line.substr(0, *begin), secret_mark);
}

std::string after_without_secret(const Decision& decision) {
  const auto begin =
      decision.direction == Direction::original ? secret_begin(decision.before) : std::nullopt;
  if (!begin || *begin >= decision.after.size()) {
    return without_secret(decision.direction, decision.after);
  }
  return fmt::format("{} {}", decision.after.substr(0, *begin), secret_mark);
}

}  // namespace ftpalg::tools
