// SPDX-License-Identifier: GPL-2.0-or-later
#include "tools/control_options.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "tools/config_file.h"

namespace ftpalg::tools {

std::string ControlOptions::path() const {
  if (!socket.empty()) return socket;
  // Somebody who may use the socket need not be able to read the file.
  const auto config = read_config({});
  return config && !config->service.socket.empty() ? config->service.socket
                                                   : std::string{default_control_socket};
}

nlohmann::ordered_json FilterOptions::filter() const {
  nlohmann::ordered_json filter = nlohmann::ordered_json::object();
  if (address) filter["address"] = *address;
  if (user) filter["user"] = *user;
  return filter;
}

void add_control_options(CLI::App& app, ControlOptions& options) {
  app.add_option("--socket", options.socket,
                 fmt::format("Unix socket of the gateway (default: what service.socket says in {}, "
                             "else {})",
                             default_config_file, default_control_socket));
  app.add_flag("--json", options.json, "print JSON, as tools/control/PROTOCOL.md describes it");
}

void add_filter_options(CLI::App& app, FilterOptions& options) {
  app.add_option(
      "--address", options.address,
      "only sessions of this address or network, as in 10.0.0.2 or 10.0.0.0/8: that of the "
      "client or the server, inside or outside");
  app.add_option("--user", options.user, "only sessions of this user of the server");
}

}  // namespace ftpalg::tools
