// SPDX-License-Identifier: GPL-2.0-or-later
#include "tools/gateway_options.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>

namespace ftpalg::tools {

tl::expected<rules::Ruleset, std::string> GatewayOptions::ruleset() const {
  rules::Ruleset ruleset;
  ruleset.control_ports = control_ports;
  ruleset.queue = queue;
  ruleset.carrier = carrier;
  ruleset.done_mark = done_mark;
  const auto external_addresses_read = external();
  if (!external_addresses_read) return tl::unexpected(external_addresses_read.error());
  ruleset.queue_acknowledgements = !external_addresses_read->empty();
  return rules::validated(std::move(ruleset));
}

tl::expected<std::vector<ExternalAddress>, std::string> GatewayOptions::external() const {
  std::vector<ExternalAddress> result;
  for (const std::string& text : external_addresses) {
    const std::size_t equals = std::min(text.find('='), text.size());
    const auto inside = Address::parse(text.substr(0, equals));
    const auto outside = Address::parse(text.substr(std::min(equals + 1, text.size())));
    if (!inside || !outside || inside->family() != outside->family()) {
      return tl::unexpected(fmt::format(
          "--external-address {}: not two addresses of one family; write INSIDE=OUTSIDE, as in "
          "10.0.0.5=203.0.113.5",
          text));
    }
    result.push_back({*inside, *outside});
  }
  return result;
}

void add_gateway_options(CLI::App& app, GatewayOptions& options) {
  app.add_option("--port", options.control_ports,
                 "TCP port of control connections, as clients dial it; may be given several times")
      ->capture_default_str()
      ->allow_extra_args(false);
  app.add_option("--queue", options.queue, "NFQUEUE number")->capture_default_str();
  app.add_option("--carrier", options.carrier,
                 "conntrack helper that makes expectations possible and is inert on FTP")
      ->capture_default_str();
  app.add_option("--done-mark", options.done_mark,
                 "bits of the connection mark of connections that the gateway has done with "
                 "(encrypted ones); 0: they are not marked, and their packets go on being queued")
      ->default_str(fmt::format("0x{:08x}", options.done_mark));
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
