// SPDX-License-Identifier: GPL-2.0-or-later
#include "tools/explain_options.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "tools/decision_text.h"
#include "tools/nat.h"

namespace ftpalg::tools {
namespace {

/// An address for each part, where none is given.
struct Examples {
  std::string_view inside;
  std::string_view outside;
  std::string_view gateway;
};
constexpr Examples ipv4_examples{"10.0.0.2", "198.51.100.7", "203.0.113.1"};
constexpr Examples ipv6_examples{"fd00::2", "2001:db8:7::7", "2001:db8:1::1"};

constexpr Port client_port{40000};
constexpr Port server_port{21};

bool is_ipv6(std::string_view text) {
  return text.find(':') != std::string_view::npos;
}

}  // namespace

tl::expected<Master, std::string> ExplainOptions::master() const {
  const bool any_ipv6 = is_ipv6(client) || is_ipv6(server) || is_ipv6(public_address);
  const Examples& examples = any_ipv6 ? ipv6_examples : ipv4_examples;
  const bool server_is_inside = nat == "dnat";

  struct Part {
    std::string_view option;
    std::string_view given;
    std::string_view example;
    Address address;
  };
  Part client_part{"--client", client, server_is_inside ? examples.outside : examples.inside, {}};
  Part server_part{"--server", server, server_is_inside ? examples.inside : examples.outside, {}};
  Part public_part{"--public", public_address, examples.gateway, {}};
  for (Part* const part : {&client_part, &server_part, &public_part}) {
    const auto address = Address::parse(part->given.empty() ? part->example : part->given);
    if (!address) {
      return tl::unexpected(fmt::format(
          "{} '{}' is no IP address; write one without port, prefix and zone, such as {}",
          part->option, escaped(part->given), part->example));
    }
    if (any_ipv6 && address->family() == Family::ipv4) {
      return tl::unexpected(
          fmt::format("{} {} is IPv4 and another address is IPv6; give addresses of one family",
                      part->option, address->text()));
    }
    part->address = *address;
  }

  Nat translation;
  translation.public_address = public_part.address;
  if (nat == "snat") {
    translation.kind = Nat::Kind::source;
  } else if (nat == "dnat") {
    translation.kind = Nat::Kind::destination;
  } else if (nat != "none") {
    return tl::unexpected(fmt::format("--nat '{}' is none of snat, dnat, none", escaped(nat)));
  }
  return translated(translation,
                    {{client_part.address, client_port}, {server_part.address, server_port}});
}

std::vector<Address> gateway_addresses(const Master& master) {
  std::vector<Address> addresses;
  if (master.client_as_server_sees_it() != master.client()) {
    addresses.push_back(master.client_as_server_sees_it());
  }
  if (master.server_as_client_dials_it() != master.server()) {
    addresses.push_back(master.server_as_client_dials_it());
  }
  return addresses;
}

void add_explain_options(CLI::App& app, ExplainOptions& options) {
  app.add_option("--nat", options.nat,
                 "snat: the client is behind the gateway, and the server sees it as PUBLIC; dnat: "
                 "the server is, and the client dials PUBLIC; none: nothing is translated")
      ->capture_default_str()
      ->check(CLI::IsMember({"snat", "dnat", "none"}));
  app.add_option("--client", options.client, "the client's own address; default is an example");
  app.add_option("--server", options.server, "the server's own address; default is an example");
  app.add_option("--public", options.public_address,
                 "PUBLIC, the address that the gateway translates to; default is an example");
}

}  // namespace ftpalg::tools
