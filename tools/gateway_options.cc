// SPDX-License-Identifier: GPL-2.0-or-later
#include "tools/gateway_options.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "tools/config_option.h"
#include "tools/notation.h"

namespace ftpalg::tools {
namespace {

tl::expected<std::vector<ExternalAddress>, std::string> parse_external_addresses(
    const std::vector<std::string>& texts) {
  std::vector<ExternalAddress> result;
  for (const std::string& text : texts) {
    const auto external = parse_external_address(text);
    if (!external) {
      return tl::unexpected(fmt::format(
          "--external-address {}: not two addresses of one family; write INSIDE=OUTSIDE, as in "
          "10.0.0.5=203.0.113.5",
          text));
    }
    result.push_back(*external);
  }
  return result;
}

}  // namespace

tl::expected<Config, ConfigErrors> GatewayOptions::config() const {
  return config_text(config_file).and_then([&](const std::string& text) {
    return config_of(text);
  });
}

tl::expected<Config, ConfigErrors> GatewayOptions::config_of(std::string_view file_text) const {
  auto read = parse_config(file_text, config_file_or_default(config_file));
  if (!read) return read;
  Config config = std::move(*read);

  if (!control_ports.empty()) config.ruleset.control_ports = control_ports;
  config.ruleset.queue = queue.value_or(config.ruleset.queue);
  config.ruleset.queues = queues.value_or(config.ruleset.queues);
  config.ruleset.carrier = carrier.value_or(config.ruleset.carrier);
  config.policy.done_mark = done_mark.value_or(config.policy.done_mark);
  config.ruleset.done_mark = config.policy.done_mark;
  if (!external_addresses.empty()) {
    auto parsed = parse_external_addresses(external_addresses);
    if (!parsed) return tl::unexpected(ConfigErrors{parsed.error()});
    config.policy.external_addresses = std::move(*parsed);
    config.ruleset.queue_acknowledgements = true;
  }
  if (public_ports) {
    config.policy.data_ports = parse_port_range(*public_ports);
    if (!config.policy.data_ports) {
      return tl::unexpected(ConfigErrors{
          fmt::format("--data-ports {}: not a range of ports; write it as 50000-50999, both ends "
                      "from 1 to 65535, the lower one first",
                      *public_ports)});
    }
  }

  config.service.socket = socket.value_or(config.service.socket);
  if (config.service.socket == "none") config.service.socket.clear();

  auto ruleset = rules::validated(config.ruleset);
  if (!ruleset) return tl::unexpected(ConfigErrors{ruleset.error()});
  // Those within the file have been told; these are between it and the options.
  ConfigErrors errors;
  for (const auto& [keys, text] : contradictions(config)) {
    errors.push_back(fmt::format("{}: {}", keys.front(), text));
  }
  if (!errors.empty()) return tl::unexpected(errors);
  return config;
}

void add_gateway_options(CLI::App& app, GatewayOptions& options) {
  add_config_option(app, options.config_file);
  app.add_option("--port", options.control_ports,
                 "TCP port of control connections, as clients dial it; may be given several times "
                 "(default: 21)")
      ->allow_extra_args(false);
  app.add_option("--queue", options.queue, "NFQUEUE number, the first of --queues (default: 21)");
  app.add_option(
      "--queues", options.queues,
      fmt::format("how many queues, each served by a thread of its own (default: one for "
                  "each processor up to 4, here {})",
                  rules::default_queues()));
  app.add_option("--carrier", options.carrier,
                 "conntrack helper that makes expectations possible and is inert on FTP (default: "
                 "sane)");
  app.add_option("--done-mark", options.done_mark,
                 fmt::format("bits of the connection mark of connections that the gateway has done "
                             "with (encrypted ones); 0: they are not marked, and their packets go "
                             "on being queued (default: 0x{:08x})",
                             Policy{}.done_mark));
  app.add_option(
         "--external-address", options.external_addresses,
         "INSIDE=OUTSIDE: the address INSIDE of this machine or network is mapped one to one "
         "to OUTSIDE by somebody else, such as a cloud; may be given several times")
      ->allow_extra_args(false);
  app.add_option("--format", options.format,
                 "firewall to use: nft, iptables (over nf_tables) or iptables-legacy; default is "
                 "nft where the kernel has 'queue' for it, else the iptables in use")
      ->check(CLI::IsMember({"nft", "iptables", "iptables-legacy"}));
}

}  // namespace ftpalg::tools
