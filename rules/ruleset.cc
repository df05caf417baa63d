// SPDX-License-Identifier: GPL-2.0-or-later
#include "rules/ruleset.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <utility>

namespace ftpalg::rules {
namespace {

// NF_CT_HELPER_NAME_LEN is 16 with the terminating zero.
constexpr std::size_t carrier_name_bytes_max = 15;

constexpr std::array format_names{
    std::pair{Format::nft, std::string_view{"nft"}},
    std::pair{Format::iptables, std::string_view{"iptables"}},
    std::pair{Format::iptables_legacy, std::string_view{"iptables-legacy"}},
};

bool is_name_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '_' || c == '.';
}

constexpr std::uint16_t default_queues_max = 4;

}  // namespace

std::uint16_t default_queues() {
  // Those that are online, and not those that this process may use: the rules are often put in
  // place by another.
  static const auto queues = static_cast<std::uint16_t>(
      std::clamp<long>(sysconf(_SC_NPROCESSORS_ONLN), 1, default_queues_max));
  return queues;
}

std::string queues_text(const Ruleset& ruleset) {
  return ruleset.queues == 1 ? fmt::format("queue {}", ruleset.queue)
                             : fmt::format("queues {}-{}", ruleset.queue, ruleset.last_queue());
}

tl::expected<Ruleset, std::string> validated(Ruleset ruleset) {
  const auto wrong = [](std::string reason) { return tl::make_unexpected(std::move(reason)); };

  if (ruleset.control_ports.empty()) {
    return wrong("no control port is given; name at least one, as in --port 21");
  }
  auto ports = ruleset.control_ports;
  std::ranges::sort(ports);
  if (ports.front() == 0) {
    return wrong("control port 0 does not exist; give a port from 1 to 65535");
  }
  if (const auto twice = std::ranges::adjacent_find(ports); twice != ports.end()) {
    return wrong(fmt::format("control port {} is given twice; name it once", *twice));
  }

  constexpr int last_queue_max = 65535;
  if (ruleset.queues == 0 || ruleset.queues > queues_max) {
    return wrong(fmt::format("{} queues cannot be had; give 1 to {}, as in --queues 2",
                             ruleset.queues, queues_max));
  }
  if (ruleset.queue + ruleset.queues - 1 > last_queue_max) {
    return wrong(fmt::format(
        "{} queues from {} on go beyond {}, the last there is; give a lower "
        "one, as in --queue {}",
        ruleset.queues, ruleset.queue, last_queue_max, last_queue_max - ruleset.queues + 1));
  }

  if (ruleset.carrier.empty() || ruleset.carrier.size() > carrier_name_bytes_max ||
      !std::ranges::all_of(ruleset.carrier, is_name_character)) {
    return wrong(
        fmt::format("carrier '{}' is no name of a conntrack helper; give 1 to {} letters, digits, "
                    "'-', '_' or '.', as in --carrier sane",
                    ruleset.carrier, carrier_name_bytes_max));
  }
  if (ruleset.carrier == "ftp") {
    return wrong(
        "carrier 'ftp' is the kernel's own FTP helper, which would rewrite the same lines a second "
        "time; choose one that is inert on FTP, as in --carrier sane");
  }
  if (ruleset.untracked_mark == 0 || ruleset.unqueued_mark == 0) {
    return wrong("a mark of injected packets is 0, which every unmarked packet bears too");
  }
  return ruleset;
}

std::optional<std::string> obstacle(const Ruleset& ruleset, Format format) {
  if (format == Format::nft || ruleset.queues <= iptables_queues_max) return std::nullopt;
  return fmt::format(
      "iptables tells no more than {0} queues apart; give --queues {0} or less, or use "
      "--format nft",
      iptables_queues_max);
}

std::string_view name(Format format) {
  return std::ranges::find(format_names, format, &decltype(format_names)::value_type::first)
      ->second;
}

std::optional<Format> format_named(std::string_view name) {
  const auto found =
      std::ranges::find(format_names, name, &decltype(format_names)::value_type::second);
  if (found == format_names.end()) return std::nullopt;
  return found->first;
}

}  // namespace ftpalg::rules
