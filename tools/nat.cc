// SPDX-License-Identifier: GPL-2.0-or-later
#include "tools/nat.h"

#include <fmt/format.h>

namespace ftpalg::tools {

tl::expected<Nat, std::string> Nat::parse(std::string_view text) {
  if (text == "none") return Nat{};
  const auto wrong = [&](std::string_view what) {
    return tl::unexpected(
        fmt::format("'{}': {}; write snat:PUBLIC, snat:PUBLIC=INSIDE, dnat:PUBLIC=INSIDE or none, "
                    "with IP addresses for PUBLIC and INSIDE",
                    text, what));
  };

  Nat nat;
  if (text.starts_with("snat:")) {
    nat.kind = Kind::source;
  } else if (text.starts_with("dnat:")) {
    nat.kind = Kind::destination;
  } else {
    return wrong("this is no kind of NAT");
  }
  const std::string_view addresses = text.substr(5);
  const std::size_t equals = addresses.find('=');
  const auto public_address = Address::parse(addresses.substr(0, equals));
  if (!public_address) return wrong("PUBLIC is no IP address");
  nat.public_address = *public_address;
  if (equals != std::string_view::npos) {
    nat.inside = Address::parse(addresses.substr(equals + 1));
    if (!nat.inside) return wrong("INSIDE is no IP address");
    if (nat.inside->family() != nat.public_address.family()) {
      return wrong("one address is IPv4 and the other IPv6");
    }
  } else if (nat.kind == Kind::destination) {
    return wrong("the inside address of the server is missing");
  }
  return nat;
}

Master translated(const Nat& nat, const Tuple& seen) {
  Master master;
  master.has_carrier = true;
  master.original = seen;
  master.reply = seen.reversed();
  switch (nat.kind) {
    case Nat::Kind::none:
      break;
    case Nat::Kind::source:
      master.original.source.address = nat.inside.value_or(seen.source.address);
      master.reply.destination.address = nat.public_address;
      break;
    case Nat::Kind::destination:
      master.original.destination.address = nat.public_address;
      master.reply.source.address = nat.inside.value_or(seen.destination.address);
      break;
  }
  return master;
}

}  // namespace ftpalg::tools
