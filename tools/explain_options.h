// SPDX-License-Identifier: GPL-2.0-or-later
// The options that say between whom a conversation takes place, and what NAT is in between.
#pragma once

#include <string>
#include <tl/expected.hpp>
#include <vector>

#include "conntrack/master.h"

namespace CLI {
class App;
}

namespace ftpalg::tools {

/// Addresses that are not given are examples of the family of those that are.
struct ExplainOptions {
  std::string nat = "snat";
  std::string client;          ///< as it knows itself
  std::string server;          ///< as it knows itself
  std::string public_address;  ///< the gateway's: of the client with snat, of the server with dnat

  /// The control connection, or which option is wrong and what would be right.
  tl::expected<Master, std::string> master() const;
};

/// The addresses that must be the gateway's own, since it answers to them for one end of `master`.
std::vector<Address> gateway_addresses(const Master& master);

/// Registers --nat, --client, --server and --public on `app`, to be stored in `options`.
void add_explain_options(CLI::App& app, ExplainOptions& options);

}  // namespace ftpalg::tools
