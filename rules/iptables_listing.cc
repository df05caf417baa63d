// SPDX-License-Identifier: GPL-2.0-or-later
#include "rules/iptables_listing.h"

#include <algorithm>

namespace ftpalg::rules {
namespace {

// iptables-save quotes words that hold spaces or quotes, and escapes ", ' and \ by a backslash.
std::vector<std::string> split_words(std::string_view text) {
  std::vector<std::string> words;
  std::string word;
  bool in_word = false;
  bool quoted = false;
  for (std::size_t at = 0; at < text.size(); ++at) {
    char c = text[at];
    if (c == '"') {
      quoted = !quoted;
      in_word = true;
      continue;
    }
    if (c == ' ' && !quoted) {
      if (in_word) words.push_back(std::move(word));
      word.clear();
      in_word = false;
      continue;
    }
    if (c == '\\' && at + 1 < text.size()) c = text[++at];
    word += c;
    in_word = true;
  }
  if (in_word) words.push_back(std::move(word));
  return words;
}

// Takes the text up to the next space and that space off the front of `text`.
std::string_view take_word(std::string_view& text) {
  const std::size_t end = std::min(text.find(' '), text.size());
  const std::string_view word = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return word;
}

}  // namespace

std::string_view IptablesRule::value_of(std::string_view option) const {
  const auto found = std::ranges::find(words, option);
  if (found == words.end() || found + 1 == words.end()) return {};
  return *(found + 1);
}

std::string_view IptablesRule::target() const {
  const std::string_view jump = value_of("-j");
  return jump.empty() ? value_of("-g") : jump;
}

bool IptablesTable::has_chain(std::string_view chain) const {
  return std::ranges::find(chains, chain, &IptablesChain::name) != chains.end();
}

std::vector<IptablesRule> IptablesTable::rules_of(std::string_view chain) const {
  std::vector<IptablesRule> found;
  std::ranges::copy_if(rules, std::back_inserter(found),
                       [chain](const IptablesRule& rule) { return rule.chain == chain; });
  return found;
}

const IptablesTable& IptablesListing::table(std::string_view name) const {
  static const IptablesTable empty;
  const auto found = std::ranges::find(tables, name, &IptablesTable::name);
  return found == tables.end() ? empty : *found;
}

IptablesListing parse_iptables_listing(std::string_view text) {
  IptablesListing listing;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));

    if (line.starts_with('*')) {
      listing.tables.push_back({std::string{line.substr(1)}, {}, {}});
      continue;
    }
    if (listing.tables.empty()) continue;
    IptablesTable& table = listing.tables.back();
    if (line.starts_with(':')) {
      line.remove_prefix(1);
      const std::string_view name = take_word(line);
      table.chains.push_back({std::string{name}, std::string{take_word(line)}});
    } else if (line.starts_with("-A ")) {
      line.remove_prefix(3);
      const std::string_view chain = take_word(line);
      table.rules.push_back({std::string{chain}, std::string{line}, split_words(line)});
    }
  }
  return listing;
}

}  // namespace ftpalg::rules
