// SPDX-License-Identifier: GPL-2.0-or-later
#include "rules/nft_listing.h"

#include <algorithm>
#include <charconv>
#include <utility>

namespace ftpalg::rules {
namespace {

std::string_view next_line(std::string_view& text) {
  const std::size_t end = std::min(text.find('\n'), text.size());
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return line;
}

std::string_view trimmed(std::string_view line) {
  const std::size_t begin = line.find_first_not_of(" \t");
  if (begin == std::string_view::npos) return {};
  return line.substr(begin, line.find_last_not_of(" \t") + 1 - begin);
}

// "tcp dport 21 accept # handle 7": the two sides of the mark.
NftRule split_handle(std::string_view line) {
  constexpr std::string_view mark = " # handle ";
  const std::size_t at = line.rfind(mark);
  if (at == std::string_view::npos) return {std::string{line}, {}};
  return {std::string{trimmed(line.substr(0, at))}, std::string{line.substr(at + mark.size())}};
}

// The word behind `keyword`, up to a space or a semicolon.
std::string_view word_after(std::string_view text, std::string_view keyword) {
  const std::size_t at = text.find(keyword);
  if (at == std::string_view::npos) return {};
  text.remove_prefix(at + keyword.size());
  return text.substr(0, text.find_first_of(" ;"));
}

// "table inet x {" and "chain y { # handle 3" open a block; the words before the brace name it.
std::optional<std::string_view> block_opened_by(std::string_view line) {
  if (!line.ends_with('{')) return std::nullopt;
  return trimmed(line.substr(0, line.size() - 1));
}

}  // namespace

std::string_view NftChain::hook() const {
  return word_after(type, "hook ");
}

std::optional<int> NftChain::priority() const {
  const std::string_view word = word_after(type, "priority ");
  int number = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), number);
  if (error != std::errc{} || word.empty()) return std::nullopt;
  return number;
}

const NftChain* NftTable::chain(std::string_view wanted) const {
  const auto found = std::ranges::find(chains, wanted, &NftChain::name);
  return found == chains.end() ? nullptr : &*found;
}

std::vector<NftTable> parse_nft_listing(std::string_view text) {
  std::vector<NftTable> tables;
  NftChain* chain = nullptr;
  std::string* helper = nullptr;
  int depth = 0;
  while (!text.empty()) {
    const NftRule split = split_handle(trimmed(next_line(text)));
    const std::string_view line = split.text;
    if (line.empty() || line.starts_with('#')) continue;

    if (const auto block = block_opened_by(line)) {
      ++depth;
      if (depth == 1 && block->starts_with("table ")) {
        const std::string_view title = block->substr(6);
        const std::size_t space = std::min(title.find(' '), title.size() - 1);
        tables.push_back(
            {std::string{title.substr(0, space)}, std::string{title.substr(space + 1)}, {}, {}});
      } else if (depth == 2 && !tables.empty() && block->starts_with("chain ")) {
        chain = &tables.back().chains.emplace_back(NftChain{std::string{block->substr(6)}, {}, {}});
      } else if (depth == 2 && !tables.empty() && block->starts_with("ct helper ")) {
        helper = &tables.back().helpers[std::string{block->substr(10)}];
      }
      continue;
    }
    if (line == "}") {
      --depth;
      chain = nullptr;
      helper = nullptr;
    } else if (helper != nullptr) {
      *helper += split.text + "\n";
    } else if (chain != nullptr && line.starts_with("type ") && line.find(" hook ") != line.npos) {
      chain->type = split.text;
    } else if (chain != nullptr && depth == 2) {
      chain->rules.push_back(split);
    }
  }
  return tables;
}

}  // namespace ftpalg::rules
