// SPDX-License-Identifier: GPL-2.0-or-later
// One value of a configuration file, read as what it has to be.
//
// What is wrong with it is noted, with its place and what would be right, and what is returned then
// stands for nothing: whoever has read all values asks the Complaints whether they hold.
#pragma once

#include <toml++/toml.h>

#include <algorithm>
#include <array>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "alg/policy.h"
#include "conntrack/network.h"

namespace ftpalg::tools {

/// What is wrong with a file.
class Complaints {
 public:
  void add(toml::source_position place, std::string text);
  bool empty() const { return complaints_.empty(); }
  /// "FILE:LINE:COLUMN: text" each, in the order of the file.
  std::vector<std::string> lines(std::string_view file) const;

 private:
  struct Complaint {
    toml::source_position place;
    std::string text;
  };
  std::vector<Complaint> complaints_;
};

/// A key as it is written in a file.
std::string key_text(std::string_view key);

class ConfigValue {
 public:
  /// `key` with the tables that it stands in, as in "data.active". The referents outlive the value.
  ConfigValue(std::string key, const toml::node& node, Complaints& complaints)
      : key_(std::move(key)), node_(&node), complaints_(&complaints) {}

  const std::string& key() const { return key_; }
  toml::source_position place() const { return node_->source().begin; }

  bool boolean() const;
  std::uint32_t integer(std::uint32_t min, std::uint32_t max) const;
  /// Not empty, but when it is wrong.
  std::string text() const;
  /// A duration of whole seconds.
  Time duration(Time min, Time max) const;
  /// A size in bytes, of whole KiB.
  std::size_t size(std::size_t min, std::size_t max) const;
  Port port() const;
  /// 8080, or "6000-6063".
  PortRange port_or_range() const;
  Network network() const;

  /// The choice with the name that the value is.
  template <class Choice, std::size_t count>
  Choice choice(const std::array<std::pair<std::string_view, Choice>, count>& choices) const {
    std::array<std::string_view, count> names;
    std::ranges::transform(choices, names.begin(), [](const auto& each) { return each.first; });
    return choices[index_of(names)].second;
  }

  /// The values of a list. `example` is what they may look like.
  std::vector<ConfigValue> elements(std::string_view example) const;
  /// As elements(), of which there must be one.
  std::vector<ConfigValue> some_elements(std::string_view example) const;

  bool is_text() const { return node_->is_string(); }
  bool is_list() const { return node_->is_array(); }
  /// None when the value is something else.
  const toml::table* table() const { return node_->as_table(); }

  /// Notes that the value is wrong: "KEY: TEXT", or "KEY: VALUE TEXT".
  void complain(std::string_view text) const;
  void wrong(std::string_view text) const;

 private:
  std::size_t index_of(std::span<const std::string_view> names) const;
  /// A reminder for somebody who has put quotes where none belong.
  std::string_view unquoted() const { return node_->is_string() ? ", without quotes" : ""; }

  std::string key_;
  const toml::node* node_;
  Complaints* complaints_;
};

}  // namespace ftpalg::tools
