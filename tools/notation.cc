// SPDX-License-Identifier: GPL-2.0-or-later
#include "tools/notation.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <utility>

namespace ftpalg::tools {
namespace {

constexpr std::array duration_units{
    std::pair{std::string_view{"h"}, std::chrono::seconds{std::chrono::hours{1}}},
    std::pair{std::string_view{"min"}, std::chrono::seconds{std::chrono::minutes{1}}},
    std::pair{std::string_view{"s"}, std::chrono::seconds{1}},
};

/// Some hundred years: what is longer would overflow Time.
constexpr std::int64_t duration_hours_max = 1'000'000;

constexpr std::array size_units{
    std::pair{std::string_view{"GiB"}, std::size_t{1} << 30},
    std::pair{std::string_view{"MiB"}, std::size_t{1} << 20},
    std::pair{std::string_view{"KiB"}, std::size_t{1} << 10},
};

/// All of `digits` as a number, or nothing.
template <class Number>
std::optional<Number> parse_number(std::string_view digits) {
  Number number{};
  const char* const end = digits.data() + digits.size();
  const auto [after, error] = std::from_chars(digits.data(), end, number);
  if (error != std::errc{} || after != end) return std::nullopt;
  return number;
}

/// The unit of each pair is its second member.
template <class Unit, std::size_t count>
std::optional<Unit> parse_quantity(
    std::string_view text, const std::array<std::pair<std::string_view, Unit>, count>& units) {
  const std::size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
  const auto number = parse_number<std::uint32_t>(text.substr(0, digits));
  std::string_view name = text.substr(digits);
  if (name.starts_with(' ')) name.remove_prefix(1);
  const auto unit =
      std::ranges::find_if(units, [&](const auto& each) { return each.first == name; });
  if (!number || unit == units.end()) return std::nullopt;
  return *number * unit->second;
}

template <class Unit, std::size_t count>
std::string quantity_text(Unit quantity,
                          const std::array<std::pair<std::string_view, Unit>, count>& units) {
  const auto unit = std::ranges::find_if(
      units, [&](const auto& each) { return quantity % each.second == Unit{}; });
  return std::to_string(quantity / unit->second).append(unit->first);
}

}  // namespace

std::optional<PortRange> parse_port_range(std::string_view text) {
  const std::size_t hyphen = text.find('-');
  if (hyphen == std::string_view::npos) return std::nullopt;
  const auto first = parse_number<std::uint16_t>(text.substr(0, hyphen));
  const auto last = parse_number<std::uint16_t>(text.substr(hyphen + 1));
  if (!first || !last || *first == 0 || *last < *first) return std::nullopt;
  return PortRange{Port{*first}, Port{*last}};
}

std::optional<ExternalAddress> parse_external_address(std::string_view text) {
  const std::size_t equals = text.find('=');
  if (equals == std::string_view::npos) return std::nullopt;
  const auto inside = Address::parse(text.substr(0, equals));
  const auto outside = Address::parse(text.substr(equals + 1));
  if (!inside || !outside || inside->family() != outside->family()) return std::nullopt;
  return ExternalAddress{*inside, *outside};
}

std::optional<Endpoint> parse_endpoint(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  std::string_view host = text.substr(0, colon);
  const bool is_bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (is_bracketed) host = host.substr(1, host.size() - 2);
  const auto address = Address::parse(host);
  const auto port = parse_number<std::uint16_t>(text.substr(colon + 1));
  if (!address || !port || *port == 0) return std::nullopt;
  if (is_bracketed != (address->family() == Family::ipv6)) return std::nullopt;
  return Endpoint{*address, Port{*port}};
}

std::optional<Time> parse_duration(std::string_view text) {
  const auto duration = parse_quantity(text, duration_units);
  if (!duration || *duration > std::chrono::hours{duration_hours_max}) return std::nullopt;
  return *duration;
}

std::string duration_text(Time duration) {
  return quantity_text(std::chrono::duration_cast<std::chrono::seconds>(duration), duration_units);
}

std::optional<std::size_t> parse_size(std::string_view text) {
  return parse_quantity(text, size_units);
}

std::string size_text(std::size_t bytes) {
  return quantity_text(bytes, size_units);
}

}  // namespace ftpalg::tools
