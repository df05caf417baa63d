// SPDX-License-Identifier: GPL-2.0-or-later
// Handover: this gateway gives way to another (`ftpalg run --takeover`), which asks for it on the
// control socket, in three questions (control/PROTOCOL.md). No packet is lost: from the first
// question on they wait in the kernel, until the other reads the queues, or until this one goes on
// because the other has not come to the end.
#pragma once

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "rules/ruleset.h"
#include "tools/control/control_server.h"
#include "tools/control/control_socket.h"
#include "tools/keeper.h"
#include "tools/reloads.h"
#include "tools/worker.h"

namespace ftpalg::tools {

/// A ruleset as two gateways compare theirs.
nlohmann::ordered_json rules_json(const rules::Ruleset& ruleset);

class Handover {
 public:
  /// How long the other may take from the first question to the last.
  static constexpr Time time_max = std::chrono::seconds{10};

  struct Parts {
    ControlServer& server;
    const std::vector<std::unique_ptr<Worker>>& workers;
    Reloads& reloads;
    Keeper& keeper;
    const ControlSocketFile& socket;
  };
  /// What it is made of outlives it.
  explicit Handover(const Parts& parts);
  Handover(const Handover&) = delete;
  Handover& operator=(const Handover&) = delete;

  /// The workers stand still for the other.
  bool is_under_way() const { return asker_.has_value(); }
  /// The other has everything, and this one is to end without a trace.
  bool is_complete() const { return is_complete_; }
  /// Goes on serving when the other is gone, or takes too long. To be called often while
  /// is_under_way().
  void look_after(Time now);

 private:
  using Asker = ControlServer::Asker;
  using Answer = std::optional<nlohmann::ordered_json>;
  Answer begin(const Asker& asker, const nlohmann::json& request);
  Answer send_descriptors(const Asker& asker);
  Answer complete(const Asker& asker);
  std::string refusal(const Asker& asker, const nlohmann::json& request) const;
  void go_on(std::string_view why);

  Parts parts_;
  std::optional<ControlServer::ClientId> asker_;
  bool has_descriptors_ = false;
  bool is_complete_ = false;
  Time ends_{};
};

/// Has all workers stand still. When one has not in time, all go on, and the error says so.
tl::expected<void, std::string> stand_still(const std::vector<std::unique_ptr<Worker>>& workers,
                                            Worker::Standstill when);
/// Has each write what the next gateway goes on with.
tl::expected<void, std::string> write_states(const std::vector<std::unique_ptr<Worker>>& workers);

}  // namespace ftpalg::tools
