// SPDX-License-Identifier: GPL-2.0-or-later
#include "tools/gateway_options.h"

#include <CLI/CLI.hpp>

namespace ftpalg::tools {

tl::expected<rules::Ruleset, std::string> GatewayOptions::ruleset() const {
  rules::Ruleset ruleset;
  ruleset.control_ports = control_ports;
  ruleset.queue = queue;
  ruleset.carrier = carrier;
  return rules::validated(std::move(ruleset));
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
  app.add_option("--format", options.format,
                 "firewall to use: nft, iptables (over nf_tables) or iptables-legacy; default is "
                 "nft where the kernel has 'queue' for it, else the iptables in use")
      ->check(CLI::IsMember({"nft", "iptables", "iptables-legacy"}));
}

}  // namespace ftpalg::tools
