// SPDX-License-Identifier: GPL-2.0-or-later
#include "tools/config_file.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <toml++/toml.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <limits>
#include <memory>
#include <optional>

#include "alg/ftp_line.h"
#include "tools/config_value.h"
#include "tools/notation.h"
#include "tools/spelling.h"

namespace ftpalg::tools {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

/// More than this is no file that a person has written.
constexpr std::size_t file_bytes_max = 1 << 20;
constexpr std::uint32_t sessions_max = 10'000'000;
constexpr std::uint32_t expectations_max = 1'000'000;
constexpr std::size_t kept_memory_min = std::size_t{1} << 20;
constexpr std::size_t kept_memory_max = std::size_t{16} << 30;
constexpr unsigned ipv4_bits = 32;
constexpr unsigned ipv6_bits = 128;

/// A key that a table may have, and how its value becomes a part of `Target`.
template <class Target>
struct Key {
  std::string_view name;
  void (*read)(const ConfigValue& value, Target& target);
};

template <class Target>
using Keys = std::span<const Key<Target>>;

template <class Target>
std::vector<std::string_view> names(Keys<Target> keys) {
  std::vector<std::string_view> result;
  for (const auto& key : keys) result.push_back(key.name);
  return result;
}

// ---- values that are more than one number or word

std::vector<Network> networks(const ConfigValue& value) {
  std::vector<Network> result;
  for (const ConfigValue& each : value.elements("\"10.0.0.0/8\"")) {
    result.push_back(each.network());
  }
  return result;
}

std::vector<std::uint16_t> control_ports(const ConfigValue& value) {
  std::vector<std::uint16_t> result;
  for (const ConfigValue& each : value.some_elements("21")) {
    const std::uint16_t port = each.port().number;
    if (std::ranges::count(result, port) > 0 && port != 0)
      each.wrong("is named twice; name it once");
    result.push_back(port);
  }
  return result;
}

std::vector<Port> denied_ports(const ConfigValue& value) {
  std::vector<Port> result;
  for (const ConfigValue& each : value.elements("8080, \"6000-6063\"")) {
    const PortRange range = each.port_or_range();
    const auto twice =
        std::ranges::find_if(result, [&](Port port) { return range.contains(port); });
    if (twice != result.end() && range.first.number != 0) {
      each.wrong(fmt::format("denies port {} a second time; name each port once", twice->number));
    }
    for (std::uint32_t number = range.first.number; number <= range.last.number; ++number) {
      result.push_back(Port{static_cast<std::uint16_t>(number)});
    }
  }
  return result;
}

std::optional<PortRange> public_ports(const ConfigValue& value) {
  const std::string text = value.text();
  if (text == "any") return std::nullopt;
  const auto range = parse_port_range(text);
  if (!range && !text.empty()) {
    value.wrong(
        "is no range of ports; write one such as \"50000-50999\", from 1 to 65535 and the lower "
        "end first, or \"any\"");
  }
  return range;
}

std::vector<ExternalAddress> external_addresses(const ConfigValue& value) {
  std::vector<ExternalAddress> result;
  for (const ConfigValue& each : value.elements("\"10.0.0.5=203.0.113.5\"")) {
    const std::string text = each.text();
    if (const auto external = parse_external_address(text)) {
      result.push_back(*external);
    } else if (!text.empty()) {
      each.wrong(
          "is no pair of addresses of one family; write \"INSIDE=OUTSIDE\", such as "
          "\"10.0.0.5=203.0.113.5\"");
    }
  }
  return result;
}

std::optional<Endpoint> http_listen(const ConfigValue& value) {
  const std::string text = value.text();
  if (text == "off") return std::nullopt;
  const auto endpoint = parse_endpoint(text);
  if (!endpoint && !text.empty()) {
    value.wrong(
        "is no address with a port; write one such as \"127.0.0.1:9121\" or \"[::1]:9121\", or "
        "\"off\"");
  }
  return endpoint;
}

std::string carrier(const ConfigValue& value) {
  rules::Ruleset ruleset;
  ruleset.carrier = value.text();
  const auto validated = rules::validated(ruleset);
  if (!validated && !ruleset.carrier.empty()) {
    value.complain(validated.error());
  }
  return ruleset.carrier;
}

/// An absolute path, or nothing for "none".
std::string socket_path(const ConfigValue& value) {
  std::string path = value.text();
  if (path == "none") return {};
  if (!path.empty() && !path.starts_with('/')) {
    value.wrong("is no absolute path; write one that begins with /, or \"none\"");
  }
  return path;
}

std::uint16_t queues(const ConfigValue& value) {
  if (!value.is_text()) return static_cast<std::uint16_t>(value.integer(1, rules::queues_max));
  if (value.text() != "auto") {
    value.wrong(fmt::format("is no number of queues; write \"auto\", or 1 to {} without quotes",
                            rules::queues_max));
  }
  return rules::default_queues();
}

void read_log_place(const ConfigValue& value, TransferLogSettings& settings) {
  using Place = TransferLogSettings::Place;
  const std::string text = value.text();
  settings.file.clear();
  if (text == "off") {
    settings.place = Place::off;
  } else if (text == "journal") {
    settings.place = Place::journal;
  } else if (text == "stderr") {
    settings.place = Place::standard_error;
  } else if (text.starts_with('/')) {
    settings.place = Place::file;
    settings.file = text;
  } else if (!text.empty()) {
    value.wrong(
        "is no place for a log; write \"off\", \"journal\", \"stderr\", or the path of a file from "
        "the root on, such as \"/var/log/ftpalg/transfers.log\"");
  }
}

// ---- [[refused_commands]]

/// RFC 775: commands that older clients say in place of those of RFC 959, and servers take alike.
constexpr std::array experimental_forms{
    std::pair{std::string_view{"CDUP"}, std::string_view{"XCUP"}},
    std::pair{std::string_view{"CWD"}, std::string_view{"XCWD"}},
    std::pair{std::string_view{"MKD"}, std::string_view{"XMKD"}},
    std::pair{std::string_view{"PWD"}, std::string_view{"XPWD"}},
    std::pair{std::string_view{"RMD"}, std::string_view{"XRMD"}},
};

std::string in_capitals(std::string text) {
  std::ranges::transform(text, text.begin(), [](char c) {
    return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  });
  return text;
}

std::string verb(const ConfigValue& value) {
  std::string verb = in_capitals(value.text());
  if (verb.empty() || is_known_verb(verb)) return verb;
  const auto known = known_verbs();
  const auto meant = nearest(verb, known);
  if (is_known_verb(verb.substr(0, verb.find(' ')))) {
    value.wrong("has more than one word; a command is refused by its first word alone");
  } else if (meant) {
    value.wrong(fmt::format("is no FTP command; did you mean \"{}\"?", *meant));
  } else {
    value.wrong("is no FTP command; write one as it is on the wire, such as \"STOR\" or \"DELE\"");
  }
  return verb;
}

std::vector<std::string> verbs(const ConfigValue& value) {
  std::vector<std::string> result;
  for (const ConfigValue& each : value.some_elements("\"STOR\", \"DELE\"")) {
    std::string name = verb(each);
    if (std::ranges::count(result, name) > 0) each.wrong("is named twice; name it once");
    result.push_back(std::move(name));
  }
  for (const auto& [name, experimental] : experimental_forms) {
    if (std::ranges::count(result, name) > 0 && std::ranges::count(result, experimental) == 0) {
      result.emplace_back(experimental);
    }
  }
  return result;
}

struct Refusal {
  std::vector<Network> clients{{Address::ipv4(0, 0, 0, 0), 0}, *Network::parse("::/0")};
  std::vector<std::string> verbs;
};

constexpr std::array refusal_keys{
    Key<Refusal>{"clients",
                 [](const ConfigValue& value, Refusal& refusal) {
                   refusal.clients = networks(value);
                   if (value.is_list() && refusal.clients.empty()) {
                     value.wrong("will not do; leave the key out to mean all clients");
                   }
                 }},
    Key<Refusal>{"commands",
                 [](const ConfigValue& value, Refusal& refusal) { refusal.verbs = verbs(value); }},
};

// ---- [[foreign_addresses]]

struct ForeignPair {
  std::optional<Network> announcer;
  std::optional<Network> announced;
};

constexpr std::array foreign_keys{
    Key<ForeignPair>{"announcer", [](const ConfigValue& value,
                                     ForeignPair& pair) { pair.announcer = value.network(); }},
    Key<ForeignPair>{"announced", [](const ConfigValue& value,
                                     ForeignPair& pair) { pair.announced = value.network(); }},
};

// ---- the tables

constexpr std::array tls_modes{
    std::pair{std::string_view{"allow"}, TlsMode::allow},
    std::pair{std::string_view{"require"}, TlsMode::require},
    std::pair{std::string_view{"clear-only"}, TlsMode::clear_only},
};

constexpr std::array port_choices{
    std::pair{std::string_view{"kept"}, PortChoice::kept},
    std::pair{std::string_view{"random"}, PortChoice::random},
};

constexpr std::array control_keys{
    Key<Config>{"ports",
                [](const ConfigValue& value, Config& config) {
                  config.ruleset.control_ports = control_ports(value);
                }},
    Key<Config>{"clients", [](const ConfigValue& value,
                              Config& config) { config.policy.client_networks = networks(value); }},
    Key<Config>{"servers", [](const ConfigValue& value,
                              Config& config) { config.policy.server_networks = networks(value); }},
    Key<Config>{"login_required",
                [](const ConfigValue& value, Config& config) {
                  config.policy.login_required = value.boolean();
                }},
    Key<Config>{"tls", [](const ConfigValue& value,
                          Config& config) { config.policy.tls_mode = value.choice(tls_modes); }},
    Key<Config>{"resume_after_ccc",
                [](const ConfigValue& value, Config& config) {
                  config.policy.resume_after_ccc = value.boolean();
                }},
    Key<Config>{"hold_time",
                [](const ConfigValue& value, Config& config) {
                  config.policy.hold_time_max = value.duration(seconds{1}, minutes{1});
                }},
};

constexpr std::array data_keys{
    Key<Config>{"active", [](const ConfigValue& value,
                             Config& config) { config.policy.active_allowed = value.boolean(); }},
    Key<Config>{"active_pipelined",
                [](const ConfigValue& value, Config& config) {
                  config.policy.active_needs_quiet = !value.boolean();
                }},
    Key<Config>{"lowest_port", [](const ConfigValue& value,
                                  Config& config) { config.policy.lowest_port = value.port(); }},
    Key<Config>{"denied_ports",
                [](const ConfigValue& value, Config& config) {
                  config.policy.denied_ports = denied_ports(value);
                }},
    Key<Config>{"public_ports",
                [](const ConfigValue& value, Config& config) {
                  config.policy.data_ports = public_ports(value);
                }},
    Key<Config>{"public_port_choice",
                [](const ConfigValue& value, Config& config) {
                  config.policy.port_choice = value.choice(port_choices);
                }},
    Key<Config>{"external_addresses",
                [](const ConfigValue& value, Config& config) {
                  config.policy.external_addresses = external_addresses(value);
                }},
    Key<Config>{"expectation_life",
                [](const ConfigValue& value, Config& config) {
                  config.policy.expectation_life = value.duration(seconds{1}, hours{1});
                }},
};

constexpr std::array limits_keys{
    Key<Config>{"sessions",
                [](const ConfigValue& value, Config& config) {
                  config.policy.sessions_max = value.integer(1, sessions_max);
                }},
    Key<Config>{"sessions_per_client",
                [](const ConfigValue& value, Config& config) {
                  config.policy.sessions_per_client_max = value.integer(1, sessions_max);
                }},
    Key<Config>{"expectations",
                [](const ConfigValue& value, Config& config) {
                  config.policy.expectations_max = value.integer(1, expectations_max);
                }},
    Key<Config>{"expectations_per_client",
                [](const ConfigValue& value, Config& config) {
                  config.policy.expectations_per_client_max = value.integer(1, expectations_max);
                }},
    Key<Config>{"kept_memory",
                [](const ConfigValue& value, Config& config) {
                  config.policy.kept_bytes_max = value.size(kept_memory_min, kept_memory_max);
                }},
    Key<Config>{"client_prefix_ipv4",
                [](const ConfigValue& value, Config& config) {
                  config.policy.client_bits_ipv4 = value.integer(1, ipv4_bits);
                }},
    Key<Config>{"client_prefix_ipv6",
                [](const ConfigValue& value, Config& config) {
                  config.policy.client_bits_ipv6 = value.integer(1, ipv6_bits);
                }},
};

constexpr std::array firewall_keys{
    Key<Config>{"queue",
                [](const ConfigValue& value, Config& config) {
                  config.ruleset.queue = static_cast<std::uint16_t>(
                      value.integer(0, std::numeric_limits<std::uint16_t>::max()));
                }},
    Key<Config>{"queues", [](const ConfigValue& value,
                             Config& config) { config.ruleset.queues = queues(value); }},
    Key<Config>{"carrier", [](const ConfigValue& value,
                              Config& config) { config.ruleset.carrier = carrier(value); }},
    Key<Config>{"done_mark",
                [](const ConfigValue& value, Config& config) {
                  config.policy.done_mark =
                      value.integer(0, std::numeric_limits<std::uint32_t>::max());
                }},
};

constexpr std::array service_keys{
    Key<Config>{"socket", [](const ConfigValue& value,
                             Config& config) { config.service.socket = socket_path(value); }},
    Key<Config>{"group",
                [](const ConfigValue& value, Config& config) {
                  const std::string group = value.text();
                  config.service.group = group == "root" ? std::string{} : group;
                }},
};

constexpr std::array log_formats{
    std::pair{std::string_view{"text"}, TransferLogSettings::Format::text},
    std::pair{std::string_view{"json"}, TransferLogSettings::Format::json},
};

constexpr std::array transfers_keys{
    Key<Config>{"log", [](const ConfigValue& value,
                          Config& config) { read_log_place(value, config.transfers); }},
    Key<Config>{"format",
                [](const ConfigValue& value, Config& config) {
                  config.transfers.format = value.choice(log_formats);
                }},
};

constexpr std::array http_keys{
    Key<Config>{"listen", [](const ConfigValue& value,
                             Config& config) { config.http_listen = http_listen(value); }},
};

struct Table {
  std::string_view name;
  Keys<Config> keys;
};

constexpr std::array tables{
    Table{"control", control_keys}, Table{"data", data_keys},
    Table{"limits", limits_keys},   Table{"firewall", firewall_keys},
    Table{"service", service_keys}, Table{"transfers", transfers_keys},
    Table{"http", http_keys},
};

constexpr std::string_view refusals_name = "refused_commands";
constexpr std::string_view foreign_name = "foreign_addresses";

/// One file, while it is read.
class Reader {
 public:
  explicit Reader(const toml::table& root) : root_(root) {}

  tl::expected<Config, Complaints> read() {
    for (const auto& [key, node] : root_) read_top_level(key, node);
    config_.ruleset.done_mark = config_.policy.done_mark;
    config_.ruleset.queue_acknowledgements = !config_.policy.external_addresses.empty();
    // Of values that are wrong by themselves nothing can be said together.
    if (complaints_.empty()) complain_of_contradictions();
    if (!complaints_.empty()) return tl::unexpected(std::move(complaints_));
    return std::move(config_);
  }

 private:
  void read_top_level(const toml::key& key, const toml::node& node) {
    const ConfigValue value{std::string{key.str()}, node, complaints_};
    if (key == refusals_name) return read_refusals(value);
    if (key == foreign_name) return read_foreign_addresses(value);
    const auto table = std::ranges::find(tables, key.str(), &Table::name);
    if (table == tables.end()) {
      unknown_top_level(key, node);
    } else if (value.is_list()) {
      value.complain(
          fmt::format("[[{0}]] is for what there may be several of; write [{0}]", table->name));
    } else if (value.table() == nullptr) {
      value.wrong(fmt::format("is no table; write [{}] on a line of its own, and its keys below it",
                              table->name));
    } else {
      read_table(value, table->keys, config_);
    }
  }

  void read_refusals(const ConfigValue& value) {
    for_each_table<Refusal>(
        value, refusal_keys, [this](const ConfigValue& each, const Refusal& refusal) {
          if (each.table()->get("commands") == nullptr) {
            return each.complain("commands is missing; add commands = [\"STOR\"] or such");
          }
          for (const Network& clients : refusal.clients) {
            config_.policy.refused_commands.push_back({clients, refusal.verbs});
          }
        });
  }

  void read_foreign_addresses(const ConfigValue& value) {
    for_each_table<ForeignPair>(
        value, foreign_keys, [this](const ConfigValue& each, ForeignPair pair) {
          if (!pair.announcer || !pair.announced) {
            return each.complain(fmt::format("{0} is missing; add {0} = \"10.0.0.0/24\" or such",
                                             pair.announcer ? "announced" : "announcer"));
          }
          if (pair.announcer->family() != pair.announced->family()) {
            return each.complain(fmt::format(
                "{} and {} are of two families, but a data connection has one; write a pair "
                "for each family",
                pair.announcer->text(), pair.announced->text()));
          }
          config_.policy.foreign_addresses.push_back({*pair.announcer, *pair.announced});
        });
  }

  /// Reads each table of the list `value` as a `Target`, and gives it to `take`.
  template <class Target, class Take>
  void for_each_table(const ConfigValue& value, Keys<Target> keys, Take take) {
    if (value.table() != nullptr) {
      return value.complain(
          fmt::format("[{0}] is for what there is one of; write [[{0}]]", value.key()));
    }
    const auto complain_of = [&](const ConfigValue& wrong) {
      wrong.wrong(fmt::format(
          "is no table; write [[{}]] on a line of its own, and its keys below it", value.key()));
    };
    if (!value.is_list()) return complain_of(value);
    for (const ConfigValue& each : value.elements({})) {
      if (each.table() == nullptr) {
        complain_of(each);
        continue;
      }
      Target target;
      read_table(each, keys, target);
      take(each, std::move(target));
    }
  }

  template <class Target>
  void read_table(const ConfigValue& table, Keys<Target> keys, Target& target) {
    for (const auto& [name, node] : *table.table()) {
      const auto known = std::ranges::find(keys, name.str(), &Key<Target>::name);
      const std::string key = fmt::format("{}.{}", table.key(), key_text(name.str()));
      if (known != keys.end()) {
        known->read(ConfigValue{key, node, complaints_}, target);
      } else {
        unknown(name, key, names(keys));
      }
    }
  }

  void unknown(const toml::key& name, const std::string& key,
               const std::vector<std::string_view>& known) {
    std::string mend;
    if (const auto meant = nearest(name.str(), known)) {
      mend = fmt::format("did you mean {}?", *meant);
    } else if (const auto home = table_with(name.str())) {
      mend = fmt::format("it belongs in [{}]", *home);
    } else {
      mend = fmt::format("{} has {}", key.substr(0, key.find('.')), fmt::join(known, ", "));
    }
    complaints_.add(name.source().begin, fmt::format("{}: there is no such key; {}", key, mend));
  }

  void unknown_top_level(const toml::key& key, const toml::node& node) {
    std::vector<std::string_view> known;
    for (const Table& table : tables) known.push_back(table.name);
    known.insert(known.end(), {refusals_name, foreign_name});
    std::string mend;
    if (const auto home = table_with(key.str())) {
      mend = fmt::format("it belongs in [{}]", *home);
    } else if (const auto meant = nearest(key.str(), known)) {
      mend = fmt::format("did you mean {}?", *meant);
    } else {
      mend = fmt::format("there are {}", fmt::join(known, ", "));
    }
    complaints_.add(key.source().begin,
                    fmt::format("{}: there is no such {}; {}", key_text(key.str()),
                                node.is_value() ? "key" : "table", mend));
  }

  static std::optional<std::string_view> table_with(std::string_view name) {
    const auto has_it = [&](const Table& table) {
      return std::ranges::count(table.keys, name, &Key<Config>::name) > 0;
    };
    const auto found = std::ranges::find_if(tables, has_it);
    if (found == tables.end()) return std::nullopt;
    return found->name;
  }

  void complain_of_contradictions() {
    for (const auto& [keys, text] : contradictions(config_)) {
      // No default contradicts another, so one of the keys is in the file.
      for (const std::string_view key : keys) {
        const toml::node* const node = root_.at_path(key).node();
        if (node == nullptr) continue;
        complaints_.add(node->source().begin, fmt::format("{}: {}", key, text));
        break;
      }
    }
  }

  const toml::table& root_;
  Config config_;
  Complaints complaints_;
};

// ---- contradictions

/// The longest part of `range` without any of `ports`, if there is one.
std::optional<PortRange> longest_without(const std::vector<Port>& ports, PortRange range) {
  auto sorted = ports;
  std::ranges::sort(sorted);
  std::optional<PortRange> longest;
  std::uint32_t begin = range.first.number;
  const auto end_before = [&](std::uint32_t end) {
    if (begin < end && (!longest || end - begin > longest->size())) {
      longest = {Port{static_cast<std::uint16_t>(begin)},
                 Port{static_cast<std::uint16_t>(end - 1)}};
    }
    begin = end + 1;
  };
  for (const Port port : sorted) {
    if (range.contains(port)) end_before(port.number);
  }
  end_before(range.last.number + 1U);
  return longest;
}

/// Public ports with which the gateway would let in what it must not, or could not tell data from
/// control connections.
void check_public_ports(const Config& config, std::vector<Contradiction>& found) {
  if (!config.policy.data_ports) return;
  const PortRange range = *config.policy.data_ports;
  const Port lowest = config.policy.lowest_port;
  const auto written = [](PortRange ports) {
    return fmt::format("\"{}-{}\"", ports.first.number, ports.last.number);
  };
  if (range.first < lowest) {
    found.push_back({{"data.public_ports", "data.lowest_port"},
                     fmt::format("the public ports {} begin below the lowest port, {}; raise them, "
                                 "or lower data.lowest_port",
                                 written(range), lowest.number)});
    return;
  }
  std::vector<Port> taken = config.policy.denied_ports;
  for (const std::uint16_t port : config.ruleset.control_ports) taken.push_back(Port{port});
  const auto inside = std::ranges::find_if(taken, [&](Port port) { return range.contains(port); });
  if (inside == taken.end()) return;
  const bool is_control_port = std::ranges::count(config.ruleset.control_ports, inside->number) > 0;
  const auto rest = longest_without(taken, range);
  found.push_back(
      {{"data.public_ports", is_control_port ? "control.ports" : "data.denied_ports"},
       fmt::format("the public ports {} contain port {}, which is {}; {}", written(range),
                   inside->number, is_control_port ? "a control port" : "denied",
                   rest ? "write " + written(*rest) : "choose others")});
}

void check_limits(const Policy& policy, std::vector<Contradiction>& found) {
  const auto check = [&](std::string_view noun, std::uint32_t per_client, std::uint32_t in_all,
                         std::string_view per_client_key, std::string_view in_all_key) {
    if (per_client <= in_all) return;
    found.push_back({{per_client_key, in_all_key},
                     fmt::format("a client may have {} {}, but there may be {} in all; lower {} to "
                                 "{} or less, or raise {}",
                                 per_client, noun, in_all, per_client_key, in_all, in_all_key)});
  };
  check("sessions", policy.sessions_per_client_max, policy.sessions_max,
        "limits.sessions_per_client", "limits.sessions");
  check("expectations", policy.expectations_per_client_max, policy.expectations_max,
        "limits.expectations_per_client", "limits.expectations");
}

void check_tls(const Policy& policy, std::vector<Contradiction>& found) {
  if (policy.tls_mode != TlsMode::require) return;
  for (const RefusedCommands& refused : policy.refused_commands) {
    if (std::ranges::count(refused.verbs, "AUTH") == 0) continue;
    found.push_back(
        {{"control.tls"},
         fmt::format("\"require\" lets nobody in {} log in, whose AUTH is refused; take "
                     "AUTH out of refused_commands, or write tls = \"allow\"",
                     refused.clients.text())});
    return;
  }
}

void check_external_addresses(const Policy& policy, std::vector<Contradiction>& found) {
  const auto& all = policy.external_addresses;
  for (auto each = all.begin(); each != all.end(); ++each) {
    const auto is_like = [&](const ExternalAddress& other) {
      return other.inside == each->inside || other.outside == each->outside;
    };
    const auto twin = std::find_if(all.begin(), each, is_like);
    if (twin == each) continue;
    found.push_back(
        {{"data.external_addresses"},
         fmt::format("\"{}={}\" and \"{}={}\" have an address in common, but addresses are mapped "
                     "one to one; take one out",
                     twin->inside.text(), twin->outside.text(), each->inside.text(),
                     each->outside.text())});
  }
}

// ---- the file

struct CloseFile {
  void operator()(std::FILE* file) const { std::fclose(file); }
};

ConfigErrors cannot_read(const std::string& path, std::string_view why) {
  return {fmt::format("cannot read '{}': {}; name a file that can be read with --config, or none",
                      path, why)};
}

tl::expected<std::string, ConfigErrors> content_of(const std::string& path) {
  const std::unique_ptr<std::FILE, CloseFile> file{std::fopen(path.c_str(), "rbe")};
  if (file == nullptr) return tl::unexpected(cannot_read(path, std::strerror(errno)));
  std::string content(file_bytes_max + 1, '\0');
  content.resize(std::fread(content.data(), 1, content.size(), file.get()));
  if (std::ferror(file.get()) != 0) return tl::unexpected(cannot_read(path, std::strerror(errno)));
  if (content.size() > file_bytes_max) {
    return tl::unexpected(
        cannot_read(path, fmt::format("it has more than {} bytes", file_bytes_max)));
  }
  return content;
}

}  // namespace

std::vector<Contradiction> contradictions(const Config& config) {
  std::vector<Contradiction> found;
  check_public_ports(config, found);
  check_limits(config.policy, found);
  check_tls(config.policy, found);
  check_external_addresses(config.policy, found);
  return found;
}

std::vector<std::string> warnings(const Policy& policy) {
  std::vector<std::string> result;
  if (policy.tls_mode == TlsMode::clear_only) {
    result.emplace_back(
        "control.tls is \"clear-only\": AUTH is refused, so every password and file passes "
        "unencrypted, and clients that insist on TLS cannot log in; \"allow\" is the default");
  } else if (std::ranges::any_of(policy.refused_commands, [](const RefusedCommands& refused) {
               return std::ranges::count(refused.verbs, "AUTH") == 0;
             })) {
    result.emplace_back(
        "refused_commands do not hold where a client encrypts, because what is encrypted cannot be "
        "read; mend: refuse these clients AUTH too, which has them pass everything unencrypted");
  }
  return result;
}

tl::expected<Config, ConfigErrors> parse_config(std::string_view text, std::string_view file) {
  try {
    const toml::table root = toml::parse(text);
    return Reader{root}.read().map_error(
        [&](const Complaints& complaints) { return complaints.lines(file); });
  } catch (const toml::parse_error& error) {
    Complaints complaints;
    complaints.add(
        error.source().begin,
        fmt::format("this is not TOML: {}; a key stands on a line of its own, and texts, "
                    "networks and durations in quotes",
                    error.description()));
    return tl::unexpected(complaints.lines(file));
  }
}

std::string config_file_or_default(const std::string& path) {
  std::error_code ignored;
  const bool is_default = path.empty() && std::filesystem::exists(default_config_file, ignored);
  return is_default ? std::string{default_config_file} : path;
}

tl::expected<std::string, ConfigErrors> config_text(const std::string& path) {
  const std::string file = config_file_or_default(path);
  if (file.empty()) return std::string{};
  return content_of(file);
}

tl::expected<Config, ConfigErrors> read_config(const std::string& path) {
  return config_text(path).and_then(
      [&](const std::string& text) { return parse_config(text, config_file_or_default(path)); });
}

}  // namespace ftpalg::tools
