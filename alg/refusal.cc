// SPDX-License-Identifier: GPL-2.0-or-later
#include "alg/refusal.h"

#include <algorithm>

#include "alg/ftp_line.h"

namespace ftpalg {
namespace {

constexpr std::size_t name_bytes_max = 8;

/// The first word of a line, as a lenient server reads it.
struct Word {
  std::size_t begin = 0;
  std::size_t end = 0;
  std::array<char, name_bytes_max> letters{};  ///< in capitals
  std::size_t size = 0;                        ///< may exceed what `letters` holds
  bool complete = false;                       ///< something that is no letter follows

  std::string_view name() const { return {letters.data(), std::min(size, letters.size())}; }
  bool is_verb(std::string_view verb) const { return size == verb.size() && name() == verb; }
  bool may_become(std::string_view verb) const {
    return size <= verb.size() && name() == verb.substr(0, size);
  }
};

constexpr bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

constexpr char to_upper(char c) {
  return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
}

Word read_word(std::string_view line) {
  Word word;
  std::size_t at = 0;
  bool begun = false;
  while (at < line.size()) {
    const char c = line[at];
    if (const std::size_t telnet = telnet_bytes(line.substr(at)); telnet > 0) {
      at += telnet;
    } else if (is_letter(c)) {
      if (!begun) word.begin = at;
      begun = true;
      if (word.size < word.letters.size()) word.letters[word.size] = to_upper(c);
      ++word.size;
      word.end = ++at;
    } else if (c == '\0' || (!begun && (c == ' ' || c == '\t' || c == '\r'))) {
      ++at;
    } else {
      word.complete = true;
      break;
    }
  }
  if (!begun) word.begin = word.end = at;
  return word;
}

bool matches(const Word& word, std::string_view verb, LinePart part) {
  const bool is_open = part == LinePart::beginning && !word.complete;
  return is_open ? word.may_become(verb) : word.is_verb(verb);
}

}  // namespace

bool refuses_any(const Policy& policy, const Address& client) {
  return policy.tls_mode != TlsMode::allow ||
         std::any_of(policy.refused_commands.begin(), policy.refused_commands.end(),
                     [&](const RefusedCommands& refused) {
                       return refused.clients.contains(client) && !refused.verbs.empty();
                     });
}

std::optional<Refusal> refusal(const Policy& policy, const Address& client, std::string_view line,
                               LinePart part) {
  const Word word = read_word(line);
  const auto refuse = [&](Reason reason) { return Refusal{reason, word.begin, word.end}; };

  if (policy.tls_mode == TlsMode::require && matches(word, "USER", part)) {
    return refuse(Reason::tls_required);
  }
  if (policy.tls_mode == TlsMode::clear_only && matches(word, "AUTH", part)) {
    return refuse(Reason::tls_refused);
  }
  for (const RefusedCommands& refused : policy.refused_commands) {
    if (!refused.clients.contains(client)) continue;
    const auto found =
        std::find_if(refused.verbs.begin(), refused.verbs.end(),
                     [&](const std::string& verb) { return matches(word, verb, part); });
    if (found != refused.verbs.end()) return refuse(Reason::command_refused);
  }
  return std::nullopt;
}

}  // namespace ftpalg
