// SPDX-License-Identifier: GPL-2.0-or-later
#include "tools/config_file.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <fstream>
#include <functional>
#include <sstream>

#include "tools/notation.h"
#include "tools/spelling.h"

namespace ftpalg::tools {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

Config config_of(std::string_view text) {
  const auto config = parse_config(text, "f.toml");
  CAPTURE(text);
  if (!config) FAIL(config.error().front());
  return *config;
}

ConfigErrors errors_of(std::string_view text) {
  const auto config = parse_config(text, "f.toml");
  return config ? ConfigErrors{} : config.error();
}

// ---- what is right

TEST_CASE("a file that says nothing is the defaults") {
  CHECK(config_of("") == Config{});
  CHECK(config_of("[control]\n[data]\n[limits]\n[firewall]\n[http]\n") == Config{});
  CHECK(config_of("\xef\xbb\xbf# written on Windows\r\n[control]\r\n") == Config{});
}

TEST_CASE("every key has its effect and no other") {
  struct Row {
    const char* text;
    std::function<void(Config&)> effect;
  };
  const auto network = [](std::string_view text) { return *Network::parse(text); };
  const Network all_ipv4 = network("0.0.0.0/0");
  const Network all_ipv6 = network("::/0");
  for (const auto& [text, effect] : {
           Row{"[control]\nports = [21, 2121]",
               [](Config& config) {
                 config.ruleset.control_ports = {21, 2121};
               }},
           Row{"[control]\nclients = [\"10.0.0.0/8\", \"2001:db8::/32\"]",
               [&](Config& config) {
                 config.policy.client_networks = {network("10.0.0.0/8"), network("2001:db8::/32")};
               }},
           Row{"[control]\nservers = [\"192.0.2.1\"]",
               [&](Config& config) { config.policy.server_networks = {network("192.0.2.1/32")}; }},
           Row{"[control]\nlogin_required = false",
               [](Config& config) { config.policy.login_required = false; }},
           Row{"[control]\ntls = \"require\"",
               [](Config& config) { config.policy.tls_mode = TlsMode::require; }},
           Row{"[control]\ntls = \"clear-only\"",
               [](Config& config) { config.policy.tls_mode = TlsMode::clear_only; }},
           Row{"[control]\nresume_after_ccc = true",
               [](Config& config) { config.policy.resume_after_ccc = true; }},
           Row{"[control]\nhold_time = \"5s\"",
               [](Config& config) { config.policy.hold_time_max = seconds{5}; }},
           Row{"[data]\nactive = false",
               [](Config& config) { config.policy.active_allowed = false; }},
           Row{"[data]\nactive_pipelined = true",
               [](Config& config) { config.policy.active_needs_quiet = false; }},
           Row{"[data]\nlowest_port = 5000",
               [](Config& config) { config.policy.lowest_port = Port{5000}; }},
           Row{"[data]\ndenied_ports = [8080, \"6000-6002\"]",
               [](Config& config) {
                 config.policy.denied_ports = {Port{8080}, Port{6000}, Port{6001}, Port{6002}};
               }},
           Row{"[data]\ndenied_ports = []",
               [](Config& config) { config.policy.denied_ports = {}; }},
           Row{"[data]\npublic_ports = \"50000-50999\"",
               [](Config& config) {
                 config.policy.data_ports = {Port{50000}, Port{50999}};
               }},
           Row{"[data]\npublic_port_choice = \"random\"",
               [](Config& config) { config.policy.port_choice = PortChoice::random; }},
           Row{"[data]\nexternal_addresses = [\"10.0.0.5=203.0.113.5\"]",
               [](Config& config) {
                 config.policy.external_addresses = {
                     {Address::ipv4(10, 0, 0, 5), Address::ipv4(203, 0, 113, 5)}};
                 // Then the gateway has to shift acknowledgements itself.
                 config.ruleset.queue_acknowledgements = true;
               }},
           Row{"[data]\nexpectation_life = \"10 min\"",
               [](Config& config) { config.policy.expectation_life = minutes{10}; }},
           Row{"[limits]\nsessions = 5000",
               [](Config& config) { config.policy.sessions_max = 5000; }},
           Row{"[limits]\nsessions_per_client = 3",
               [](Config& config) { config.policy.sessions_per_client_max = 3; }},
           Row{"[limits]\nexpectations = 1600",
               [](Config& config) { config.policy.expectations_max = 1600; }},
           Row{"[limits]\nexpectations_per_client = 2",
               [](Config& config) { config.policy.expectations_per_client_max = 2; }},
           Row{"[limits]\nkept_memory = \"8MiB\"",
               [](Config& config) { config.policy.kept_bytes_max = 8 * 1024 * 1024; }},
           Row{"[limits]\nclient_prefix_ipv4 = 24",
               [](Config& config) { config.policy.client_bits_ipv4 = 24; }},
           Row{"[limits]\nclient_prefix_ipv6 = 56",
               [](Config& config) { config.policy.client_bits_ipv6 = 56; }},
           Row{"[transfers]\nlog = \"stderr\"",
               [](Config& config) {
                 config.transfers.place = TransferLogSettings::Place::standard_error;
               }},
           Row{"[transfers]\nlog = \"journal\"",
               [](Config& config) {
                 config.transfers.place = TransferLogSettings::Place::journal;
               }},
           Row{"[transfers]\nlog = \"/var/log/ftpalg/transfers.log\"",
               [](Config& config) {
                 config.transfers.place = TransferLogSettings::Place::file;
                 config.transfers.file = "/var/log/ftpalg/transfers.log";
               }},
           Row{"[transfers]\nformat = \"json\"",
               [](Config& config) { config.transfers.format = TransferLogSettings::Format::json; }},
           Row{"[http]\nlisten = \"127.0.0.1:9121\"",
               [](Config& config) {
                 config.http_listen = Endpoint{Address::ipv4(127, 0, 0, 1), Port{9121}};
               }},
           Row{"[http]\nlisten = \"[2001:db8::1]:80\"",
               [](Config& config) {
                 config.http_listen = Endpoint{*Address::parse("2001:db8::1"), Port{80}};
               }},
           Row{"[firewall]\nqueue = 0", [](Config& config) { config.ruleset.queue = 0; }},
           Row{"[firewall]\ncarrier = \"Q.931\"",
               [](Config& config) { config.ruleset.carrier = "Q.931"; }},
           Row{"[firewall]\ndone_mark = 0x80000000",
               [](Config& config) {
                 config.policy.done_mark = 0x80000000;
                 config.ruleset.done_mark = 0x80000000;
               }},
           Row{"[[refused_commands]]\nclients = [\"10.0.0.0/24\", \"10.1.0.0/24\"]\n"
               "commands = [\"stor\", \"DELE\"]\n[[refused_commands]]\ncommands = [\"SITE\"]",
               [&](Config& config) {
                 config.policy.refused_commands = {{network("10.0.0.0/24"), {"STOR", "DELE"}},
                                                   {network("10.1.0.0/24"), {"STOR", "DELE"}},
                                                   {all_ipv4, {"SITE"}},
                                                   {all_ipv6, {"SITE"}}};
               }},
           Row{"[[foreign_addresses]]\nannouncer = \"192.0.2.0/24\"\nannounced = \"198.51.100.7\"",
               [&](Config& config) {
                 config.policy.foreign_addresses = {
                     {network("192.0.2.0/24"), network("198.51.100.7/32")}};
               }},
       }) {
    Config expected;
    effect(expected);
    CAPTURE(text);
    CHECK(config_of(text) == expected);
    CHECK_FALSE(expected == Config{});
  }
}

TEST_CASE("a command is refused in the form of RFC 775 too") {
  const auto verbs = [](std::string_view commands) {
    return config_of("[[refused_commands]]\nclients = [\"10.0.0.1\"]\ncommands = " +
                     std::string{commands})
        .policy.refused_commands.at(0)
        .verbs;
  };
  using Verbs = std::vector<std::string>;
  CHECK(verbs("[\"RMD\"]") == Verbs{"RMD", "XRMD"});
  CHECK(verbs("[\"MKD\"]") == Verbs{"MKD", "XMKD"});
  CHECK(verbs("[\"CWD\"]") == Verbs{"CWD", "XCWD"});
  CHECK(verbs("[\"CDUP\"]") == Verbs{"CDUP", "XCUP"});
  CHECK(verbs("[\"PWD\"]") == Verbs{"PWD", "XPWD"});
  CHECK(verbs("[\"XRMD\", \"RMD\"]") == Verbs{"XRMD", "RMD"});
  CHECK(verbs("[\"XRMD\"]") == Verbs{"XRMD"});
}

TEST_CASE("it is warned of that encryption gets by refused commands, where it is allowed") {
  const std::string refused = "[[refused_commands]]\ncommands = [\"STOR\"]\n";
  for (const std::string mode : {"allow", "require"}) {
    const auto warned = warnings(config_of("[control]\ntls = \"" + mode + "\"\n" + refused).policy);
    REQUIRE(warned.size() == 1);
    CHECK_THAT(warned[0], Catch::Contains("AUTH"));
  }
  const auto warned = warnings(config_of("[control]\ntls = \"clear-only\"\n" + refused).policy);
  REQUIRE(warned.size() == 1);
  CHECK_THAT(warned[0], Catch::Contains("passes unencrypted"));
  CHECK(warnings(config_of("[[refused_commands]]\ncommands = [\"STOR\", \"AUTH\"]\n").policy)
            .empty());
}

TEST_CASE("clear-only is warned of, and nothing else") {
  const auto warned = warnings(config_of("[control]\ntls = \"clear-only\"").policy);
  REQUIRE(warned.size() == 1);
  CHECK_THAT(warned[0], Catch::Contains("passes unencrypted"));
  CHECK(warnings(config_of("[control]\ntls = \"require\"").policy).empty());
  CHECK(warnings(Policy{}).empty());
}

// ---- the example file

/// The example file without the comment sign of the lines for which `is_wanted`.
std::string example(const std::function<bool(std::string_view)>& is_wanted) {
  std::ifstream file{FTPALG_TEST_SOURCE_DIR "/../tools/ftpalg.toml"};
  REQUIRE(file);
  std::string text;
  for (std::string line; std::getline(file, line);) {
    text += (is_wanted(line) ? line.substr(1) : line) + "\n";
  }
  return text;
}

bool shows_default(std::string_view line) {
  return line.size() > 1 && line[0] == '#' && line[1] != ' ';
}

Config sorted(Config config) {
  std::ranges::sort(config.policy.denied_ports);
  return config;
}

TEST_CASE("the example file is the defaults, as it is and with every default uncommented") {
  const auto unchanged = example([](std::string_view) { return false; });
  const auto spelled_out = example(shows_default);
  CHECK(config_of(unchanged) == Config{});
  CHECK(sorted(config_of(spelled_out)) == sorted(Config{}));
}

TEST_CASE("the example file shows every key once") {
  const auto text = example([](std::string_view) { return false; });
  for (const std::string table :
       {"control", "data", "limits", "firewall", "service", "transfers", "http"}) {
    // The error about a key that is like no other names them all.
    const auto error =
        errors_of("[" + table + "]\nqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq = 1").at(0);
    const std::string before = "; " + table + " has ";
    REQUIRE(error.find(before) != std::string::npos);
    std::istringstream keys{error.substr(error.find(before) + before.size())};
    for (std::string key; keys >> key;) {
      if (key.back() == ',') key.pop_back();
      const std::string line = "\n#" + key + " = ";
      CAPTURE(key);
      REQUIRE(text.find(line) != std::string::npos);
      CHECK(text.find(line, text.find(line) + 1) == std::string::npos);
    }
  }
}

TEST_CASE("the examples in the example file are right") {
  const auto config =
      config_of(example([](std::string_view line) { return line.starts_with("#   "); }));
  CHECK(config.policy.external_addresses.size() == 2);
  CHECK(config.policy.foreign_addresses.size() == 1);
  REQUIRE(config.policy.refused_commands.size() == 2);
  CHECK(std::ranges::count(config.policy.refused_commands[0].verbs, "XRMD") == 1);
}

// ---- what is wrong

TEST_CASE("an error names line, column, key, what is wrong and what would be right") {
  struct Row {
    const char* text;
    const char* error;
  };
  for (
      const auto& [text, error] : {
          // The wrong type.
          Row{"[control]\nlogin_required = \"yes\"",
              "2:18: control.login_required: \"yes\" is neither true nor false; write one of "
              "them, without quotes"},
          Row{"[control]\nlogin_required = 1",
              "2:18: control.login_required: 1 is neither true nor false; write one of them"},
          Row{"[control]\ntls = true",
              "2:7: control.tls: true is none of \"allow\", \"require\", \"clear-only\"; write "
              "one of them"},
          Row{"[control]\nports = 21",
              "2:9: control.ports: 21 is no list; write one in brackets, such as [21]"},
          Row{"[control]\nports = [\"21\"]",
              "2:10: control.ports: \"21\" is no port; write a number from 1 to 65535, without "
              "quotes"},
          Row{"[control]\nports = [21.0]",
              "2:10: control.ports: 21.0 is no port; write a number from 1 to 65535"},
          Row{"[control]\nclients = \"10.0.0.0/8\"",
              "2:11: control.clients: \"10.0.0.0/8\" is no list; write one in brackets, such as "
              "[\"10.0.0.0/8\"]"},
          Row{"[control]\nhold_time = 10",
              "2:13: control.hold_time: 10 is no duration; write a whole number and s, min or h, "
              "such as \"60s\""},
          Row{"[control]\nhold_time = 10:00:00",
              "2:13: control.hold_time: a date or time is no duration; write a whole number and "
              "s, min or h, such as \"60s\""},
          Row{"[data]\ndenied_ports = [[1, 2]]",
              "2:17: data.denied_ports: a list is neither a port nor a range of ports; write 8080 "
              "or \"6000-6063\", all from 1 to 65535, the lower end first"},
          Row{"[data]\ndenied_ports = [{}]",
              "2:17: data.denied_ports: a table is neither a port nor a range of ports; write "
              "8080 or \"6000-6063\", all from 1 to 65535, the lower end first"},
          Row{"[limits]\nsessions = \"many\"",
              "2:12: limits.sessions: \"many\" is no whole number from 1 to 10000000; write one, "
              "without quotes"},
          Row{"[firewall]\ncarrier = 3",
              "2:11: firewall.carrier: 3 is no text; write one, in quotes"},
          Row{"control = 3",
              "1:11: control: 3 is no table; write [control] on a line of its own, and its keys "
              "below it"},
          Row{"[[control]]\nports = [21]",
              "1:1: control: [[control]] is for what there may be several of; write [control]"},
          Row{"[refused_commands]\ncommands = [\"STOR\"]",
              "1:1: refused_commands: [refused_commands] is for what there is one of; write "
              "[[refused_commands]]"},
          Row{"refused_commands = \"STOR\"",
              "1:20: refused_commands: \"STOR\" is no table; write [[refused_commands]] on a line "
              "of its own, and its keys below it"},
          Row{"refused_commands = [\"STOR\"]",
              "1:21: refused_commands: \"STOR\" is no table; write [[refused_commands]] on a line "
              "of its own, and its keys below it"},
          Row{"[data]\npublic_ports = 50000",
              "2:16: data.public_ports: 50000 is no text; write one, in quotes"},
          Row{"[[refused_commands]]\ncommands = \"STOR\"",
              "2:12: refused_commands.commands: \"STOR\" is no list; write one in brackets, such "
              "as [\"STOR\", \"DELE\"]"},
          // Out of range.
          Row{"[control]\nports = [0]",
              "2:10: control.ports: 0 is no port; write a number from 1 to 65535"},
          Row{"[control]\nports = [21, 70000]",
              "2:14: control.ports: 70000 is no port; write a number from 1 to 65535"},
          Row{"[data]\nlowest_port = 0",
              "2:15: data.lowest_port: 0 is no port; write a number from 1 to 65535"},
          Row{"[data]\nlowest_port = -1",
              "2:15: data.lowest_port: -1 is no port; write a number from 1 to 65535"},
          Row{"[limits]\nsessions = 0",
              "2:12: limits.sessions: 0 is no whole number from 1 to 10000000; write one"},
          Row{"[limits]\nsessions_per_client = 10000000000",
              "2:23: limits.sessions_per_client: 10000000000 is no whole number from 1 to "
              "10000000; write one"},
          Row{"[limits]\nclient_prefix_ipv4 = 33",
              "2:22: limits.client_prefix_ipv4: 33 is no whole number from 1 to 32; write one"},
          Row{"[firewall]\nqueue = 65536",
              "2:9: firewall.queue: 65536 is no whole number from 0 to 65535; write one"},
          Row{"[firewall]\ndone_mark = 0x100000000",
              "2:13: firewall.done_mark: 4294967296 is no whole number from 0 to 4294967295; "
              "write one"},
          Row{"[control]\nhold_time = \"1h\"",
              "2:13: control.hold_time: \"1h\" is out of range; write \"1s\" to \"1min\""},
          Row{"[data]\nexpectation_life = \"0s\"",
              "2:20: data.expectation_life: \"0s\" is out of range; write \"1s\" to \"1h\""},
          Row{"[limits]\nkept_memory = \"1KiB\"",
              "2:15: limits.kept_memory: \"1KiB\" is out of range; write \"1MiB\" to \"16GiB\""},
          // Not in the form that it must have.
          Row{"[data]\nexpectation_life = \"60\"",
              "2:20: data.expectation_life: \"60\" is no duration; write a whole number and s, "
              "min or h, such as \"60s\""},
          Row{"[data]\nexpectation_life = \"60 seconds\"",
              "2:20: data.expectation_life: \"60 seconds\" is no duration; write a whole number "
              "and s, min or h, such as \"60s\""},
          Row{"[data]\nexpectation_life = \"1.5min\"",
              "2:20: data.expectation_life: \"1.5min\" is no duration; write a whole number and "
              "s, min or h, such as \"60s\""},
          Row{"[limits]\nkept_memory = 67108864",
              "2:15: limits.kept_memory: 67108864 is no size; write a whole number and KiB, MiB or "
              "GiB, such as \"64MiB\""},
          Row{"[limits]\nkept_memory = \"64MB\"",
              "2:15: limits.kept_memory: \"64MB\" is no size; write a whole number and KiB, MiB or "
              "GiB, such as \"64MiB\""},
          Row{"[data]\ndenied_ports = [\"6063-6000\"]",
              "2:17: data.denied_ports: \"6063-6000\" is neither a port nor a range of ports; "
              "write 8080 or \"6000-6063\", all from 1 to 65535, the lower end first"},
          Row{"[data]\ndenied_ports = [\"6000\"]",
              "2:17: data.denied_ports: \"6000\" is neither a port nor a range of ports; write "
              "8080 or \"6000-6063\", all from 1 to 65535, the lower end first"},
          Row{"[data]\npublic_ports = \"50000\"",
              "2:16: data.public_ports: \"50000\" is no range of ports; write one such as "
              "\"50000-50999\", from 1 to 65535 and the lower end first, or \"any\""},
          Row{"[data]\npublic_ports = \"50000-70000\"",
              "2:16: data.public_ports: \"50000-70000\" is no range of ports; write one such as "
              "\"50000-50999\", from 1 to 65535 and the lower end first, or \"any\""},
          Row{"[data]\npublic_ports = \"\"",
              "2:16: data.public_ports: \"\" is no text; write one, in quotes"},
          Row{"[data]\npublic_port_choice = \"next\"",
              "2:22: data.public_port_choice: \"next\" is none of \"kept\", \"random\"; write one "
              "of them"},
          Row{"[control]\ntls = \"required\"",
              "2:7: control.tls: \"required\" is none of \"allow\", \"require\", \"clear-only\"; "
              "write one of them"},
          Row{"[data]\nexternal_addresses = [\"10.0.0.5\"]",
              "2:23: data.external_addresses: \"10.0.0.5\" is no pair of addresses of one family; "
              "write \"INSIDE=OUTSIDE\", such as \"10.0.0.5=203.0.113.5\""},
          Row{"[data]\nexternal_addresses = [\"10.0.0.5=2001:db8::5\"]",
              "2:23: data.external_addresses: \"10.0.0.5=2001:db8::5\" is no pair of addresses of "
              "one family; write \"INSIDE=OUTSIDE\", such as \"10.0.0.5=203.0.113.5\""},
          Row{"[http]\nlisten = \"localhost:9121\"",
              "2:10: http.listen: \"localhost:9121\" is no address with a port; write one such as "
              "\"127.0.0.1:9121\" or \"[::1]:9121\", or \"off\""},
          Row{"[http]\nlisten = \"127.0.0.1\"",
              "2:10: http.listen: \"127.0.0.1\" is no address with a port; write one such as "
              "\"127.0.0.1:9121\" or \"[::1]:9121\", or \"off\""},
          Row{"[http]\nlisten = \"127.0.0.1:0\"",
              "2:10: http.listen: \"127.0.0.1:0\" is no address with a port; write one such as "
              "\"127.0.0.1:9121\" or \"[::1]:9121\", or \"off\""},
          Row{"[http]\nlisten = \"::1:9121\"",
              "2:10: http.listen: \"::1:9121\" is no address with a port; write one such as "
              "\"127.0.0.1:9121\" or \"[::1]:9121\", or \"off\""},
          Row{"[http]\nlisten = 9121", "2:10: http.listen: 9121 is no text; write one, in quotes"},
          Row{"[firewall]\ncarrier = \"ftp\"",
              "2:11: firewall.carrier: carrier 'ftp' is the kernel's own FTP helper, which would "
              "rewrite the same lines a second time; choose one that is inert on FTP, as in "
              "--carrier sane"},
          Row{"[firewall]\ncarrier = \"sane; reboot\"",
              "2:11: firewall.carrier: carrier 'sane; reboot' is no name of a conntrack helper; "
              "give 1 to 15 letters, digits, '-', '_' or '.', as in --carrier sane"},
          Row{"[firewall]\ncarrier = \"\"",
              "2:11: firewall.carrier: \"\" is no text; write one, in quotes"},
          Row{"[control]\ntls = \"\\u001b[2J\"",
              "2:7: control.tls: \"\\x1b[2J\" is none of \"allow\", \"require\", \"clear-only\"; "
              "write one of them"},
          // Networks.
          Row{"[control]\nclients = [\"10.0.0.1/8\"]",
              "2:12: control.clients: \"10.0.0.1/8\" has bits set behind its prefix; write "
              "\"10.0.0.0/8\" for the network or \"10.0.0.1\" for the host alone"},
          Row{"[control]\nclients = [\"2001:db8::1/32\"]",
              "2:12: control.clients: \"2001:db8::1/32\" has bits set behind its prefix; write "
              "\"2001:db8::/32\" for the network or \"2001:db8::1\" for the host alone"},
          Row{"[control]\nclients = [\"10.0.0.0/33\"]",
              "2:12: control.clients: \"10.0.0.0/33\" is no network; its prefix may have up to 32 "
              "bits"},
          Row{"[control]\nclients = [\"10.0.0.0/255.0.0.0\"]",
              "2:12: control.clients: \"10.0.0.0/255.0.0.0\" is no network; write one such as "
              "\"10.0.0.0/8\" or \"2001:db8::/32\""},
          Row{"[control]\nclients = [\"lan\"]",
              "2:12: control.clients: \"lan\" is no network; write one such as \"10.0.0.0/8\" or "
              "\"2001:db8::/32\""},
          Row{"[control]\nclients = [10]",
              "2:12: control.clients: 10 is no network; write one such as \"10.0.0.0/8\" or "
              "\"2001:db8::/32\""},
          // Said twice, or not at all.
          Row{"[control]\nports = [21, 2121, 21]",
              "2:20: control.ports: 21 is named twice; name it once"},
          Row{"[control]\nports = []",
              "2:9: control.ports: an empty list will not do; write one with something in it, "
              "such as [21]"},
          Row{"[data]\ndenied_ports = [6001, \"6000-6063\"]",
              "2:23: data.denied_ports: \"6000-6063\" denies port 6001 a second time; name each "
              "port once"},
          Row{"[data]\ndenied_ports = [8080, 8080]",
              "2:23: data.denied_ports: 8080 denies port 8080 a second time; name each port once"},
          Row{"[[refused_commands]]\ncommands = []",
              "2:12: refused_commands.commands: an empty list will not do; write one with "
              "something in it, such as [\"STOR\", \"DELE\"]"},
          Row{"[[refused_commands]]\ncommands = [\"STOR\", \"stor\"]",
              "2:21: refused_commands.commands: \"stor\" is named twice; name it once"},
          Row{"[[refused_commands]]\nclients = []\ncommands = [\"STOR\"]",
              "2:11: refused_commands.clients: an empty list will not do; leave the key out to "
              "mean all clients"},
          Row{"[[refused_commands]]\nclients = [\"10.0.0.0/8\"]",
              "1:1: refused_commands: commands is missing; add commands = [\"STOR\"] or such"},
          Row{"[[foreign_addresses]]\nannouncer = \"10.0.0.0/8\"",
              "1:1: foreign_addresses: announced is missing; add announced = \"10.0.0.0/24\" or "
              "such"},
          Row{"[[foreign_addresses]]\nannounced = \"10.0.0.0/8\"",
              "1:1: foreign_addresses: announcer is missing; add announcer = \"10.0.0.0/24\" or "
              "such"},
          Row{"[[foreign_addresses]]\nannounced = \"10.0.0.0/8\"\nannouncer = \"::/0\"",
              "1:1: foreign_addresses: ::/0 and 10.0.0.0/8 are of two families, but a data "
              "connection has one; write a pair for each family"},
          // Words that are not known.
          Row{"[[refused_commands]]\ncommands = [\"STORE\"]",
              "2:13: refused_commands.commands: \"STORE\" is no FTP command; did you mean "
              "\"STOR\"?"},
          Row{"[[refused_commands]]\ncommands = [\"delete\"]",
              "2:13: refused_commands.commands: \"delete\" is no FTP command; did you mean "
              "\"DELE\"?"},
          Row{"[[refused_commands]]\ncommands = [\"UPLOAD\"]",
              "2:13: refused_commands.commands: \"UPLOAD\" is no FTP command; write one as it is "
              "on the wire, such as \"STOR\" or \"DELE\""},
          Row{"[[refused_commands]]\ncommands = [\"SITE CHMOD\"]",
              "2:13: refused_commands.commands: \"SITE CHMOD\" has more than one word; a command "
              "is refused by its first word alone"},
          Row{"[[refused_commands]]\ncomands = [\"STOR\"]\ncommands = [\"STOR\"]",
              "2:1: refused_commands.comands: there is no such key; did you mean commands?"},
          Row{"[[refused_commands]]\nservers = []\ncommands = [\"STOR\"]",
              "2:1: refused_commands.servers: there is no such key; it belongs in [control]"},
          Row{"[control]\nlogin_requird = true",
              "2:1: control.login_requird: there is no such key; did you mean login_required?"},
          Row{"[control]\nsessions = 3",
              "2:1: control.sessions: there is no such key; it belongs in [limits]"},
          Row{"[control]\ntls_mode = \"allow\"",
              "2:1: control.tls_mode: there is no such key; control has ports, clients, servers, "
              "login_required, tls, resume_after_ccc, hold_time"},
          Row{"[controll]\nports = [21]",
              "1:2: controll: there is no such table; did you mean control?"},
          Row{"[service]\nsocket = \"ftpalg.sock\"",
              "2:10: service.socket: \"ftpalg.sock\" is no absolute path; write one that begins "
              "with "
              "/, or \"none\""},
          Row{"[transfers]\nlog = \"transfers.log\"",
              "2:7: transfers.log: \"transfers.log\" is no place for a log; write \"off\", "
              "\"journal\", \"stderr\", or the path of a file from the root on, such as "
              "\"/var/log/ftpalg/transfers.log\""},
          Row{"[transfers]\nlog = true",
              "2:7: transfers.log: true is no text; write one, in quotes"},
          Row{"[mailserver]\nlisten = 25",
              "1:2: mailserver: there is no such table; there are control, data, limits, firewall, "
              "service, transfers, http, refused_commands, foreign_addresses"},
          Row{"login_required = true",
              "1:1: login_required: there is no such key; it belongs in [control]"},
          Row{"\"\" = true",
              "1:1: \"\": there is no such key; there are control, data, limits, firewall, "
              "service, transfers, http, refused_commands, foreign_addresses"},
          Row{"[data]\n\"\\u001b[2J\" = true",
              "2:1: data.\"\\x1b[2J\": there is no such key; data has active, active_pipelined, "
              "lowest_port, denied_ports, public_ports, public_port_choice, external_addresses, "
              "expectation_life"},
          Row{"[refused_command]\n",
              "1:2: refused_command: there is no such table; did you mean refused_commands?"},
          // What does not go together.
          Row{"[data]\npublic_ports = \"500-600\"",
              "2:16: data.public_ports: the public ports \"500-600\" begin below the lowest port, "
              "1024; raise them, or lower data.lowest_port"},
          Row{"[data]\nlowest_port = 60000\npublic_ports = \"50000-50999\"",
              "3:16: data.public_ports: the public ports \"50000-50999\" begin below the lowest "
              "port, 60000; raise them, or lower data.lowest_port"},
          Row{"[data]\npublic_ports = \"5000-8000\"",
              "2:16: data.public_ports: the public ports \"5000-8000\" contain port 5432, which "
              "is denied; write \"6380-8000\""},
          Row{"[data]\npublic_ports = \"8080-8080\"",
              "2:16: data.public_ports: the public ports \"8080-8080\" contain port 8080, which "
              "is denied; choose others"},
          Row{"[control]\nports = [21, 2121]\n[data]\npublic_ports = \"2100-2999\"",
              "4:16: data.public_ports: the public ports \"2100-2999\" contain port 2121, which "
              "is a control port; write \"2122-2999\""},
          Row{"[limits]\nsessions = 500",
              "2:12: limits.sessions: a client may have 1000 sessions, but there may be 500 in "
              "all; lower limits.sessions_per_client to 500 or less, or raise limits.sessions"},
          Row{"[limits]\nsessions = 500\nsessions_per_client = 501",
              "3:23: limits.sessions_per_client: a client may have 501 sessions, but there may be "
              "500 in all; lower limits.sessions_per_client to 500 or less, or raise "
              "limits.sessions"},
          Row{"[limits]\nexpectations_per_client = 30000",
              "2:27: limits.expectations_per_client: a client may have 30000 expectations, but "
              "there may be 20000 in all; lower limits.expectations_per_client to 20000 or less, "
              "or raise limits.expectations"},
          Row{"[control]\ntls = \"require\"\n[[refused_commands]]\ncommands = [\"AUTH\"]",
              "2:7: control.tls: \"require\" lets nobody in 0.0.0.0/0 log in, whose AUTH is "
              "refused; take AUTH out of refused_commands, or write tls = \"allow\""},
          Row{"[data]\nexternal_addresses = [\"10.0.0.5=203.0.113.5\", \"10.0.0.6=203.0.113.5\"]",
              "2:22: data.external_addresses: \"10.0.0.5=203.0.113.5\" and "
              "\"10.0.0.6=203.0.113.5\" have an address in common, but addresses are mapped one "
              "to one; take one out"},
          Row{"[data]\nexternal_addresses = [\"10.0.0.5=203.0.113.5\", \"10.0.0.5=203.0.113.6\"]",
              "2:22: data.external_addresses: \"10.0.0.5=203.0.113.5\" and "
              "\"10.0.0.5=203.0.113.6\" have an address in common, but addresses are mapped one "
              "to one; take one out"},
      }) {
    CAPTURE(text);
    CHECK(errors_of(text) == ConfigErrors{std::string{"f.toml:"} + error});
  }
}

TEST_CASE("what is no TOML is told with its place") {
  struct Row {
    const char* text;
    const char* place;
  };
  for (const auto& [text, place] : {
           Row{"[control]\ntls = clear-only", "f.toml:2:7: "},
           Row{"[control\nports = [21]", "f.toml:1:9: "},
           Row{"[data]\nactive = true\nactive = false", "f.toml:3:10: "},
           Row{"[data]\n[data]", "f.toml:2:1: "},
           Row{"ports 21", "f.toml:1:7: "},
           Row{"\xff\xfe", "f.toml:1:1: "},
       }) {
    CAPTURE(text);
    const auto errors = errors_of(text);
    REQUIRE(errors.size() == 1);
    CHECK_THAT(errors[0], Catch::StartsWith(place));
    CHECK_THAT(errors[0], Catch::Contains("this is not TOML: ") && Catch::Contains("in quotes"));
  }
}

TEST_CASE("all errors of a file are told at once, in its order") {
  const auto errors = errors_of(
      "[limits]\nsessions = 0\n"
      "[control]\nports = [0, 70000]\nclients = [\"10.0.0.1/8\"]\nsevers = []\n"
      "[[refused_commands]]\ncommands = [\"STORE\"]\n");
  const std::vector<std::string> places{"f.toml:2:12: ", "f.toml:4:10: ", "f.toml:4:13: ",
                                        "f.toml:5:12: ", "f.toml:6:1: ",  "f.toml:8:13: "};
  REQUIRE(errors.size() == places.size());
  for (std::size_t at = 0; at < places.size(); ++at) {
    CHECK_THAT(errors[at], Catch::StartsWith(places[at]));
  }
}

TEST_CASE("a file that cannot be read is named, with the cause") {
  CHECK(
      read_config("/nonexistent/ftpalg.toml").error() ==
      ConfigErrors{"cannot read '/nonexistent/ftpalg.toml': No such file or directory; name a file "
                   "that can be read with --config, or none"});
  CHECK(read_config("/").error() ==
        ConfigErrors{"cannot read '/': Is a directory; name a file that can be read with --config, "
                     "or none"});
  CHECK(
      read_config("/dev/zero").error() ==
      ConfigErrors{"cannot read '/dev/zero': it has more than 1048576 bytes; name a file that can "
                   "be read with --config, or none"});
  CHECK(read_config("/dev/null") == Config{});
}

// ---- notation

TEST_CASE("durations are a whole number and a unit") {
  struct Row {
    const char* text;
    std::optional<Time> duration;
  };
  for (const auto& [text, duration] : {
           Row{"0s", seconds{0}},
           Row{"60s", seconds{60}},
           Row{"60 s", seconds{60}},
           Row{"10min", minutes{10}},
           Row{"24h", hours{24}},
           Row{"", std::nullopt},
           Row{"60", std::nullopt},
           Row{"s", std::nullopt},
           Row{"-1s", std::nullopt},
           Row{"60  s", std::nullopt},
           Row{" 60s", std::nullopt},
           Row{"60s ", std::nullopt},
           Row{"60S", std::nullopt},
           Row{"1h30min", std::nullopt},
           Row{"4294967295h", std::nullopt},
           Row{"99999999999s", std::nullopt},
       }) {
    CAPTURE(text);
    CHECK(parse_duration(text) == duration);
  }
  CHECK(duration_text(seconds{60}) == "1min");
  CHECK(duration_text(seconds{90}) == "90s");
  CHECK(duration_text(hours{24}) == "24h");
}

TEST_CASE("sizes are a whole number and a unit") {
  CHECK(parse_size("512KiB") == std::size_t{512} * 1024);
  CHECK(parse_size("64 MiB") == std::size_t{64} * 1024 * 1024);
  CHECK(parse_size("16GiB") == std::size_t{16} * 1024 * 1024 * 1024);
  for (const char* text : {"", "64", "MiB", "64MB", "64mib", "1.5GiB", "-1GiB"}) {
    CAPTURE(text);
    CHECK(parse_size(text) == std::nullopt);
  }
  CHECK(size_text(std::size_t{64} * 1024 * 1024) == "64MiB");
  CHECK(size_text(std::size_t{1025} * 1024) == "1025KiB");
}

TEST_CASE("an endpoint is an address and a port, IPv6 in brackets") {
  CHECK(parse_endpoint("192.0.2.1:1") == Endpoint{Address::ipv4(192, 0, 2, 1), Port{1}});
  CHECK(parse_endpoint("[::]:65535") == Endpoint{*Address::parse("::"), Port{65535}});
  for (const std::string_view text :
       {"", ":", ":80", "192.0.2.1", "192.0.2.1:", "192.0.2.1:0", "192.0.2.1:65536", "192.0.2.1:8x",
        "192.0.2.1: 80", "[192.0.2.1]:80", "[::1]", "[::1]:", "::1:80", "[]:80", "[:80", "[::1:80",
        "host:80", "192.0.2.1:-80"}) {
    CAPTURE(text);
    CHECK(parse_endpoint(text) == std::nullopt);
  }
}

TEST_CASE("ranges of ports have both ends, the lower one first") {
  CHECK(parse_port_range("1-65535") == PortRange{Port{1}, Port{65535}});
  CHECK(parse_port_range("8080-8080") == PortRange{Port{8080}, Port{8080}});
  for (const char* text : {"", "-", "8080", "8080-", "-8080", "0-80", "81-80", "80-65536",
                           "80 - 81", "80-81-82", "80-81 ", "0x50-0x51"}) {
    CAPTURE(text);
    CHECK(parse_port_range(text) == std::nullopt);
  }
}

TEST_CASE("the nearest word is one that somebody may have meant") {
  const std::vector<std::string_view> known{"ports", "clients", "servers", "tls"};
  CHECK(nearest("port", known) == "ports");
  CHECK(nearest("prots", known) == "ports");
  CHECK(nearest("client", known) == "clients");
  CHECK(nearest("sevrer", known) == "servers");
  CHECK(nearest("TLS", known) == std::nullopt);
  CHECK(nearest("x", known) == std::nullopt);
  CHECK(nearest("", known) == std::nullopt);
  CHECK(nearest("ports", {}) == std::nullopt);
}

}  // namespace
}  // namespace ftpalg::tools
