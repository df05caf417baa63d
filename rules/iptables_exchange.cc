// SPDX-License-Identifier: GPL-2.0-or-later
#include "rules/iptables_exchange.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <fstream>
#include <iterator>

#include "rules/iptables_text.h"
#include "rules/nft_transaction.h"
#include "rules/program.h"

namespace ftpalg::rules {
namespace {

// How long iptables-legacy waits for its lock; iptables-nft takes the option and needs no lock.
constexpr std::string_view lock_wait_seconds = "5";

std::optional<std::string> program_path(Format format, Family family, std::string_view verb) {
  auto path = find_program(iptables_program(format, family, verb));
  // Before iptables 1.8 there was one variant, under the plain name.
  if (!path && format == Format::iptables) {
    path =
        find_program(fmt::format("{}-{}", family == Family::ipv4 ? "iptables" : "ip6tables", verb));
  }
  return path;
}

tl::expected<std::string, std::string> run(Format format, Family family, std::string_view verb,
                                           std::vector<std::string> options,
                                           std::string_view input) {
  const auto path = program_path(format, family, verb);
  if (!path) {
    return tl::make_unexpected(fmt::format("{} is not installed; mend: apt-get install iptables",
                                           iptables_program(format, family, verb)));
  }
  options.insert(options.begin(), *path);
  auto result = run_program(options, input);
  if (!result) return tl::make_unexpected(result.error());
  if (result->exit_status != 0) {
    std::string message = result->err;
    message.erase(message.find_last_not_of('\n') + 1);
    return tl::make_unexpected(
        fmt::format("{} failed (exit status {}): {}", *path, result->exit_status, message));
  }
  return std::move(result->out);
}

// iptables-restore names a line by its number ("line 6: ...", "line 9 failed"); a person wants the
// line itself. COMMIT, which iptables-legacy blames, says nothing.
std::string quoted_line(std::string_view text, std::string_view message) {
  constexpr std::string_view mark = "line ";
  const std::size_t at = message.find(mark);
  if (at == message.npos) return {};
  std::size_t number = 0;
  const char* const digits = message.data() + at + mark.size();
  std::from_chars(digits, message.data() + message.size(), number);
  while (number > 1 && !text.empty()) {
    text.remove_prefix(std::min(text.find('\n') + 1, text.size()));
    --number;
  }
  const std::string_view line = text.substr(0, text.find('\n'));
  if (number != 1 || line == "COMMIT") return {};
  return fmt::format(": '{}'", line);
}

// The tables of the older x_tables that exist in this network namespace. To list one that does not
// would make it.
bool has_legacy_tables(Family family) {
  std::ifstream names(family == Family::ipv4 ? "/proc/thread-self/net/ip_tables_names"
                                             : "/proc/thread-self/net/ip6_tables_names");
  std::string name;
  return static_cast<bool>(names >> name);
}

struct EmptyChains {
  std::vector<std::string> names;
  bool are_all = true;  ///< the table holds nothing else
};

// The empty base chains with policy accept of an nft table, named as iptables names those that our
// jumps stand in.
EmptyChains empty_chains(std::string_view listing) {
  EmptyChains empty;
  std::string chain;  // the one being read, as long as it may count
  while (!listing.empty()) {
    const std::size_t end = std::min(listing.find('\n'), listing.size());
    std::string_view line = listing.substr(0, end);
    listing.remove_prefix(std::min(end + 1, listing.size()));
    line.remove_prefix(std::min(line.find_first_not_of('\t'), line.size()));

    if (line == "chain PREROUTING {" || line == "chain OUTPUT {") {
      line.remove_prefix(6);
      chain = line.substr(0, line.find(' '));
    } else if (line == "}") {
      if (!chain.empty()) empty.names.push_back(std::exchange(chain, {}));
    } else if (!line.empty() && !line.starts_with("table ") && !line.starts_with('#') &&
               !(line.starts_with("type ") && line.ends_with("policy accept;"))) {
      chain.clear();
      empty.are_all = false;
    }
  }
  return empty;
}

}  // namespace

bool has_iptables(Format format, Family family) {
  return program_path(format, family, "save") && program_path(format, family, "restore");
}

tl::expected<IptablesListing, std::string> read_iptables(Format format, Family family) {
  if (format == Format::iptables_legacy && has_iptables(format, family) &&
      !has_legacy_tables(family)) {
    return IptablesListing{};
  }
  return run(format, family, "save", {}, {}).map([](const std::string& text) {
    return parse_iptables_listing(text);
  });
}

tl::expected<void, std::string> write_iptables(Format format, Family family,
                                               const std::string& text) {
  if (text.empty()) return {};
  const auto with_line = [&](const std::string& message) {
    return message + quoted_line(text, message);
  };
  return run(format, family, "restore", {"--noflush", "-w", std::string{lock_wait_seconds}}, text)
      .map([](const std::string&) {})
      .map_error(with_line);
}

bool kernel_has_ipv6() {
  return ::access("/proc/thread-self/net/if_inet6", F_OK) == 0;
}

bool legacy_tables_hold_rules() {
  return std::ranges::any_of(std::array{Family::ipv4, Family::ipv6}, [](Family family) {
    if (!has_legacy_tables(family)) return false;
    const auto listing = read_iptables(Format::iptables_legacy, family);
    return listing && std::ranges::any_of(listing->tables, [](const IptablesTable& table) {
             return !table.rules.empty();
           });
  });
}

void delete_empty_chains(Family family) {
  const std::string_view nft_family = family == Family::ipv4 ? "ip" : "ip6";
  for (const std::string_view table : {"raw", "mangle"}) {
    const auto listing = run_nft(fmt::format("list table {} {}", nft_family, table));
    if (!listing) continue;
    const EmptyChains empty = empty_chains(*listing);
    // The chains go by name, and the kernel refuses that, and with it the whole transaction, when
    // somebody has put a rule into one of them since.
    std::string commands;
    for (const std::string& chain : empty.names) {
      commands += fmt::format("delete chain {} {} {}\n", nft_family, table, chain);
    }
    if (empty.are_all) commands += fmt::format("delete table {} {}\n", nft_family, table);
    if (commands.empty()) continue;
    // To fail here is no failure: an empty chain does nothing.
    static_cast<void>(run_nft(commands));
  }
}

}  // namespace ftpalg::rules
