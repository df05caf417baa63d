// SPDX-License-Identifier: GPL-2.0-or-later
#include "tools/decision_log.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <chrono>
#include <cstring>
#include <string>
#include <vector>

#include "tools/decision_text.h"
#include "tools/journal.h"
#include "tools/record_json.h"
#include "tools/redaction.h"

namespace ftpalg::tools {
namespace {

/// For the journal (journal.h).
std::vector<std::string> fields_of(const Decision& decision) {
  std::vector<std::string> fields{
      fmt::format("FTPALG_CLIENT={}", decision.control.source.address.text()),
      fmt::format("FTPALG_SERVER={}", decision.control.destination.address.text()),
      fmt::format("FTPALG_CONTROL={}", decision.control.text()),
      fmt::format("FTPALG_ACTION={}", name(decision.action)),
      fmt::format("FTPALG_REASON={}", name(decision.reason)),
  };
  if (!decision.before.empty()) {
    fields.push_back(fmt::format("FTPALG_LINE={}",
                                 escaped(without_secret(decision.direction, decision.before))));
  }
  return fields;
}

void tell_one(const Decision& decision, int kernel_error) {
  const LogFields fields(fields_of(decision));
  const bool kernel_refused =
      decision.reason == Reason::expectation_failed || decision.reason == Reason::offsets_failed;
  if (kernel_refused) {
    spdlog::warn("{}: {}", decision_text(decision), std::strerror(kernel_error));
  } else if (is_cap(decision.reason)) {
    spdlog::warn("{}", decision_text(decision));
  } else if (decision.action == Action::wait) {
    spdlog::debug("{}", decision_text(decision));
  } else {
    spdlog::info("{}", decision_text(decision));
  }
}

}  // namespace

void DecisionLog::tell(std::span<const Decision> decisions, const Policy& policy, int kernel_error,
                       Time now) {
  for (const Decision& decision : decisions) {
    const Network client = policy.client_network(decision.control.source.address);
    if (limit_.admits(client, now)) tell_one(decision, kernel_error);
  }
}

void DecisionLog::tell_left_out(Time now) {
  for (const auto& [client, lines] : limit_.take_left_out(now)) {
    spdlog::warn("{}: {} more lines within {} s are left out",
                 client ? client->text() : "other clients", lines,
                 std::chrono::duration_cast<std::chrono::seconds>(LogLimit::window).count());
  }
}

}  // namespace ftpalg::tools
