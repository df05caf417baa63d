// SPDX-License-Identifier: GPL-2.0-or-later
#include "tools/config_value.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <tuple>

#include "tools/notation.h"

namespace ftpalg::tools {
namespace {

constexpr std::int64_t port_max = 65535;

/// The value as a person who sees the file recognises it.
std::string shown(const toml::node& node) {
  switch (node.type()) {
    case toml::node_type::string:
      return fmt::format("{:?}", std::string_view{**node.as_string()});
    case toml::node_type::integer:
      return fmt::to_string(**node.as_integer());
    case toml::node_type::floating_point:
      return fmt::format("{:#}", **node.as_floating_point());
    case toml::node_type::boolean:
      return fmt::to_string(**node.as_boolean());
    case toml::node_type::array:
      return node.as_array()->empty() ? "an empty list" : "a list";
    case toml::node_type::table:
      return "a table";
    default:
      return "a date or time";
  }
}

/// "; write 10.0.0.0/8 for ..." where an address and a prefix were given that are no network, or
/// an example.
std::string network_mend(std::string_view text) {
  const std::size_t slash = std::min(text.find('/'), text.size());
  const auto address = Address::parse(text.substr(0, slash));
  const std::string_view digits = text.substr(std::min(slash + 1, text.size()));
  const char* const end = digits.data() + digits.size();
  unsigned prefix_bits = 0;
  const auto [after, error] = std::from_chars(digits.data(), end, prefix_bits);
  if (!address || error != std::errc{} || after != end) {
    return "is no network; write one such as \"10.0.0.0/8\" or \"2001:db8::/32\"";
  }
  const auto bits = static_cast<unsigned>(address->size()) * 8;
  if (prefix_bits > bits) {
    return fmt::format("is no network; its prefix may have up to {} bits", bits);
  }
  return fmt::format(
      "has bits set behind its prefix; write \"{}\" for the network or \"{}\" for the host alone",
      Network(*address, prefix_bits).text(), address->text());
}

}  // namespace

void Complaints::add(toml::source_position place, std::string text) {
  complaints_.push_back({place, std::move(text)});
}

std::vector<std::string> Complaints::lines(std::string_view file) const {
  auto sorted = complaints_;
  std::ranges::stable_sort(sorted, {}, [](const Complaint& complaint) {
    return std::tuple{complaint.place.line, complaint.place.column};
  });
  std::vector<std::string> result;
  for (const auto& [place, text] : sorted) {
    result.push_back(fmt::format("{}:{}:{}: {}", file, place.line, place.column, text));
  }
  return result;
}

std::string key_text(std::string_view key) {
  const auto is_bare = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
  };
  if (!key.empty() && std::ranges::all_of(key, is_bare)) return std::string{key};
  return fmt::format("{:?}", key);
}

void ConfigValue::complain(std::string_view text) const {
  complaints_->add(place(), fmt::format("{}: {}", key_, text));
}

void ConfigValue::wrong(std::string_view text) const {
  complain(fmt::format("{} {}", shown(*node_), text));
}

bool ConfigValue::boolean() const {
  if (const auto* value = node_->as_boolean()) return **value;
  wrong(fmt::format("is neither true nor false; write one of them{}", unquoted()));
  return {};
}

std::uint32_t ConfigValue::integer(std::uint32_t min, std::uint32_t max) const {
  if (const auto* value = node_->as_integer();
      value != nullptr && **value >= min && **value <= max) {
    return static_cast<std::uint32_t>(**value);
  }
  wrong(fmt::format("is no whole number from {} to {}; write one{}", min, max, unquoted()));
  return {};
}

std::string ConfigValue::text() const {
  if (const auto* value = node_->as_string(); value != nullptr && !(*value)->empty()) {
    return **value;
  }
  wrong("is no text; write one, in quotes");
  return {};
}

Time ConfigValue::duration(Time min, Time max) const {
  const auto* const text = node_->as_string();
  const auto value = text != nullptr ? parse_duration(**text) : std::nullopt;
  if (!value) {
    wrong("is no duration; write a whole number and s, min or h, such as \"60s\"");
    return {};
  }
  if (*value < min || *value > max) {
    wrong(fmt::format("is out of range; write \"{}\" to \"{}\"", duration_text(min),
                      duration_text(max)));
  }
  return *value;
}

std::size_t ConfigValue::size(std::size_t min, std::size_t max) const {
  const auto* const text = node_->as_string();
  const auto value = text != nullptr ? parse_size(**text) : std::nullopt;
  if (!value) {
    wrong("is no size; write a whole number and KiB, MiB or GiB, such as \"64MiB\"");
    return {};
  }
  if (*value < min || *value > max) {
    wrong(fmt::format("is out of range; write \"{}\" to \"{}\"", size_text(min), size_text(max)));
  }
  return *value;
}

Port ConfigValue::port() const {
  if (const auto* value = node_->as_integer();
      value != nullptr && **value >= 1 && **value <= port_max) {
    return Port{static_cast<std::uint16_t>(**value)};
  }
  wrong(fmt::format("is no port; write a number from 1 to {}{}", port_max, unquoted()));
  return {};
}

PortRange ConfigValue::port_or_range() const {
  if (node_->is_integer()) {
    const Port only = port();
    return {only, only};
  }
  const auto* const text = node_->as_string();
  const auto range = text != nullptr ? parse_port_range(**text) : std::nullopt;
  if (range) return *range;
  wrong(
      "is neither a port nor a range of ports; write 8080 or \"6000-6063\", all from 1 to 65535, "
      "the lower end first");
  return {};
}

Network ConfigValue::network() const {
  const auto* const text = node_->as_string();
  const auto value = text != nullptr ? Network::parse(**text) : std::nullopt;
  if (value) return *value;
  wrong(network_mend(text != nullptr ? std::string_view{**text} : std::string_view{}));
  return {Address{}, 0};
}

std::vector<ConfigValue> ConfigValue::elements(std::string_view example) const {
  std::vector<ConfigValue> result;
  const auto* const array = node_->as_array();
  if (array == nullptr) {
    wrong(fmt::format("is no list; write one in brackets, such as [{}]", example));
    return result;
  }
  for (const toml::node& element : *array) result.emplace_back(key_, element, *complaints_);
  return result;
}

std::vector<ConfigValue> ConfigValue::some_elements(std::string_view example) const {
  if (is_list() && node_->as_array()->empty()) {
    wrong(fmt::format("will not do; write one with something in it, such as [{}]", example));
  }
  return elements(example);
}

std::size_t ConfigValue::index_of(std::span<const std::string_view> names) const {
  const auto* const text = node_->as_string();
  const auto found = text != nullptr ? std::ranges::find(names, **text) : names.end();
  if (found != names.end()) return static_cast<std::size_t>(found - names.begin());
  wrong(fmt::format("is none of \"{}\"; write one of them", fmt::join(names, "\", \"")));
  return 0;
}

}  // namespace ftpalg::tools
