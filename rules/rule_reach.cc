// SPDX-License-Identifier: GPL-2.0-or-later
#include "rules/rule_reach.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

namespace ftpalg::rules {
namespace {

std::optional<std::uint16_t> port_number(std::string_view text) {
  std::uint16_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

// One port or a range, with the separator that the language has: "21", "20:30", "20-30". What is no
// number (a named set, say) may hold anything.
bool item_holds(std::string_view item, char range_mark, std::span<const std::uint16_t> ports) {
  const std::size_t mark = item.find(range_mark);
  const auto first = port_number(item.substr(0, mark));
  const auto last = mark == item.npos ? first : port_number(item.substr(mark + 1));
  if (!first || !last) return true;
  return std::ranges::any_of(ports,
                             [&](std::uint16_t port) { return *first <= port && port <= *last; });
}

bool list_holds(std::string_view list, char range_mark, std::span<const std::uint16_t> ports) {
  while (!list.empty()) {
    const std::size_t end = std::min(list.find(','), list.size());
    std::string_view item = list.substr(0, end);
    list.remove_prefix(std::min(end + 1, list.size()));
    while (item.starts_with(' ')) item.remove_prefix(1);
    // An element of a map: "21 : \"ftp\"".
    item = item.substr(0, item.find(' '));
    if (item_holds(item, range_mark, ports)) return true;
  }
  return false;
}

}  // namespace

bool may_reach(const IptablesRule& rule, std::span<const std::uint16_t> ports) {
  for (std::size_t at = 0; at + 1 < rule.words.size(); ++at) {
    if (at > 0 && rule.words[at - 1] == "!") continue;
    const std::string_view option = rule.words[at];
    const std::string_view value = rule.words[at + 1];
    if (option == "-p" && value != "tcp" && value != "6" && value != "all") return false;
    if ((option == "-i" || option == "-o") && value == "lo") return false;
    if ((option == "--dport" || option == "--dports" || option == "--ctorigdstport") &&
        !list_holds(value, ':', ports)) {
      return false;
    }
  }
  return true;
}

bool may_reach(std::string_view rule, std::span<const std::uint16_t> ports) {
  for (const std::string_view other : {"udp ", "sctp ", "icmp ", "icmpv6 ", "iif \"lo\"",
                                       "oif \"lo\"", "iifname \"lo\"", "oifname \"lo\""}) {
    if (rule.starts_with(other) || rule.find(std::string{" "}.append(other)) != rule.npos) {
      return false;
    }
  }
  for (const std::string_view field : {"tcp dport ", "th dport ", "ct original proto-dst "}) {
    const std::size_t at = rule.find(field);
    if (at == rule.npos) continue;
    std::string_view value = rule.substr(at + field.size());
    if (value.starts_with("map ") || value.starts_with("vmap ")) {
      value.remove_prefix(value.find(' ') + 1);
    }
    if (value.starts_with("{ ")) {
      value = value.substr(2, std::min(value.find(" }"), value.size()) - 2);
    } else {
      value = value.substr(0, value.find(' '));
    }
    if (!list_holds(value, '-', ports)) return false;
  }
  return true;
}

}  // namespace ftpalg::rules
