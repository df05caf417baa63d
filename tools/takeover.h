// SPDX-License-Identifier: GPL-2.0-or-later
// Takeover: this gateway takes the place of the one that runs (handover.h), with its queues, its
// sessions and its control socket.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <tl/expected.hpp>

#include "rules/ruleset.h"
#include "tools/control/control_socket.h"
#include "tools/control/gateway_connection.h"
#include "tools/worker.h"

namespace ftpalg::tools {

/// What was left of each queue.
using Legacies = std::map<std::uint16_t, Legacy>;

class Takeover {
 public:
  /// Asks the gateway that answers on `socket`, which stands still from then on. On an error it
  /// serves on; and so it does when this one ends, or is gone, before complete().
  static tl::expected<Takeover, std::string> ask(const std::string& socket,
                                                 const rules::Ruleset& ruleset);

  Legacies take_queues() { return std::move(queues_); }
  ControlSocket take_socket() { return std::move(socket_); }
  const ControlSocketFile& socket_file() const { return socket_file_; }
  /// The format of the rules that were the other's to remove, and are this one's from now on; or
  /// nothing when they were somebody else's.
  const std::optional<std::string>& rules_format() const { return rules_format_; }

  /// Everything is in its place: the other ends, and this one may read the queues. With an error it
  /// may not.
  tl::expected<void, std::string> complete();

 private:
  explicit Takeover(GatewayConnection connection) : connection_(std::move(connection)) {}
  tl::expected<void, std::string> take_descriptors(std::size_t count);

  GatewayConnection connection_;
  pid_t pid_ = 0;
  Legacies queues_;
  ControlSocket socket_;
  ControlSocketFile socket_file_;
  std::optional<std::string> rules_format_;
};

}  // namespace ftpalg::tools
