// SPDX-License-Identifier: GPL-2.0-or-later
#include "tools/reload.h"

#include <catch2/catch.hpp>

namespace ftpalg::tools {
namespace {

using Notes = std::vector<std::string>;

Config config_of(std::string_view text) {
  const auto config = parse_config(text, "f.toml");
  if (!config) FAIL(config.error().front());
  return *config;
}

TEST_CASE("a reload takes everything from the new configuration") {
  const Config next = config_of(
      "[control]\nports = [2121]\ntls = \"require\"\n[data]\nactive = false\n"
      "external_addresses = [\"10.0.0.5=203.0.113.5\"]\n[firewall]\ncarrier = \"Q.931\"\n"
      "done_mark = 0\n");
  const auto [config, notes] = reload(Config{}, next);
  CHECK(config == next);
  CHECK(notes == Notes{});
}

TEST_CASE("a reload keeps the queue") {
  const auto [config, notes] =
      reload(Config{}, config_of("[control]\nports = [2121]\n[firewall]\nqueue = 22"));
  CHECK(config == config_of("[control]\nports = [2121]"));
  CHECK(notes == Notes{"firewall.queue stays 21 until the next start, and becomes 22 then"});
}

TEST_CASE("a reload keeps the transfer log") {
  const auto [config, notes] = reload(Config{}, config_of("[transfers]\nlog = \"stderr\""));
  CHECK(config == Config{});
  CHECK(notes == Notes{"[transfers] stays as it was until the next start"});
}

TEST_CASE("a reload keeps the page where it is") {
  const Config running = config_of("[http]\nlisten = \"127.0.0.1:9121\"");
  const auto [config, notes] = reload(running, config_of("[http]\nlisten = \"[::1]:9121\""));
  CHECK(config == running);
  CHECK(notes == Notes{"http.listen stays 127.0.0.1:9121 until the next start, and becomes "
                       "[::1]:9121 then"});
  CHECK(reload(running, Config{}).notes ==
        Notes{"http.listen stays 127.0.0.1:9121 until the next start, and becomes off then"});
  CHECK(reload(Config{}, Config{}).notes == Notes{});
}

TEST_CASE("a reload goes on queueing what sessions with an external address need") {
  const Config running = config_of(
      "[control]\nports = [21, 2121]\n[data]\nexternal_addresses = [\"10.0.0.5=203.0.113.5\"]");
  const auto [config, notes] = reload(running, config_of("[control]\nports = [8021, 21]"));
  Config expected = config_of("[control]\nports = [8021, 21, 2121]");
  expected.ruleset.queue_acknowledgements = true;
  CHECK(config == expected);
  CHECK(notes == Notes{"acknowledgements go on being queued until the next start, for the sessions "
                       "that an external address has edited",
                       "port 2121 stays a control port until the next start, for the sessions that "
                       "an external address has edited"});
}

}  // namespace
}  // namespace ftpalg::tools
