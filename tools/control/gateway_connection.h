// SPDX-License-Identifier: GPL-2.0-or-later
// A command's connection to the running gateway: asks, and reads the answers line by line.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <tl/expected.hpp>

#include "rules/descriptor.h"

namespace ftpalg::tools {

class GatewayConnection {
 public:
  /// Connects, and makes sure that the gateway speaks a protocol that is known here.
  static tl::expected<GatewayConnection, std::string> open(const std::string& socket);

  tl::expected<void, std::string> send(const nlohmann::ordered_json& request);
  /// Waits for the next line. What the gateway has to complain of is an error.
  tl::expected<nlohmann::ordered_json, std::string> receive();
  /// Both in one, of what is answered in a line.
  tl::expected<nlohmann::ordered_json, std::string> ask(const nlohmann::ordered_json& request);

  /// Readable when there is something to receive(), but for what was read already.
  int descriptor() const { return channel_.number(); }
  bool has_line() const { return received_.find('\n') != std::string::npos; }

 private:
  explicit GatewayConnection(Descriptor channel) : channel_(std::move(channel)) {}

  Descriptor channel_;
  std::string received_;
};

}  // namespace ftpalg::tools
