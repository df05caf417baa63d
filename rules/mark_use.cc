// SPDX-License-Identifier: GPL-2.0-or-later
#include "rules/mark_use.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

namespace ftpalg::rules {
namespace {

constexpr std::uint32_t all_bits = ~0U;

// "0x1f", as both programs print marks in numeric listings, or "31".
std::optional<std::uint32_t> mark_number(std::string_view text) {
  int base = 10;
  if (text.starts_with("0x")) {
    base = 16;
    text.remove_prefix(2);
  }
  std::uint32_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, base);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

// "VALUE/MASK", or "VALUE" for all bits of it.
std::pair<std::uint32_t, std::uint32_t> value_and_mask(std::string_view text) {
  const std::size_t slash = text.find('/');
  const std::uint32_t value = mark_number(text.substr(0, slash)).value_or(all_bits);
  if (slash == text.npos) return {value, all_bits};
  return {value, mark_number(text.substr(slash + 1)).value_or(all_bits)};
}

// Takes "OPERATOR NUMBER" off the front of an nft expression.
std::optional<std::uint32_t> take_operand(std::string_view& expression,
                                          std::string_view operation) {
  if (!expression.starts_with(operation)) return std::nullopt;
  const std::string_view rest = expression.substr(operation.size());
  const std::size_t end = std::min(rest.find(' '), rest.size());
  const auto number = mark_number(rest.substr(0, end));
  if (number) expression = rest.substr(end);
  return number;
}

// "ct mark set ...": with what stands behind "set".
std::uint32_t bits_assigned(std::string_view expression) {
  constexpr std::string_view itself = " ct mark";
  if (!expression.starts_with(itself)) return all_bits;
  expression.remove_prefix(itself.size());
  const auto kept = take_operand(expression, " & ");
  std::uint32_t bits = kept ? ~*kept : 0;
  bits |= take_operand(expression, " | ").value_or(0);
  bits |= take_operand(expression, " ^ ").value_or(0);
  const bool is_shifted = expression.starts_with(" <<") || expression.starts_with(" >>");
  return is_shifted ? all_bits : bits;
}

}  // namespace

std::uint32_t mark_bits_used(const IptablesRule& rule) {
  std::uint32_t bits = 0;
  // "--mark" belongs to the match named last, which may be "mark" too.
  std::string_view match;
  for (std::size_t at = 0; at + 1 < rule.words.size(); ++at) {
    const std::string_view option = rule.words[at];
    const std::string_view value = rule.words[at + 1];
    if (option == "-m") match = value;
    if (option == "--mark" && match == "connmark") bits |= value_and_mask(value).second;
    if (option == "--ctmask") bits |= mark_number(value).value_or(all_bits);
    if (option == "--set-xmark" && rule.target() == "CONNMARK") {
      const auto [set, cleared] = value_and_mask(value);
      bits |= set | cleared;
    }
  }
  return bits;
}

std::uint32_t mark_bits_used(std::string_view rule) {
  constexpr std::string_view mark = "ct mark";
  std::uint32_t bits = 0;
  for (std::size_t at = rule.find(mark); at != rule.npos; at = rule.find(mark)) {
    rule.remove_prefix(at + mark.size());
    if (rule.starts_with(" set")) {
      rule.remove_prefix(4);
      bits |= bits_assigned(rule);
      if (rule.starts_with(" ct mark")) rule.remove_prefix(8);
    } else {
      bits |= take_operand(rule, " & ").value_or(all_bits);
    }
  }
  return bits;
}

}  // namespace ftpalg::rules
