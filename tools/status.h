// SPDX-License-Identifier: GPL-2.0-or-later
// The status of a running gateway, as the control protocol tells it: one object with what a person
// looks for first.
#pragma once

#include <sys/types.h>

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "alg/time.h"
#include "rules/ruleset.h"
#include "tools/last_warnings.h"
#include "tools/records.h"
#include "tools/rules_report.h"

namespace ftpalg::tools {

class Status {
 public:
  /// Looks at the kernel; to be made while files may be read. `records`, one for each queue from
  /// `ruleset.queue` on, and `warnings` outlive this.
  Status(std::vector<const Records*> records, const LastWarnings& warnings,
         std::uint16_t first_queue);

  /// What the rules were found to be at `unix_time`.
  void note_rules(const RulesReport& report, double unix_time);

  nlohmann::ordered_json json() const;

 private:
  std::vector<const Records*> records_;
  const LastWarnings& warnings_;
  std::uint16_t first_queue_;
  std::string kernel_release_;
  pid_t process_;
  double since_;
  std::optional<RulesReport> rules_;
  double looked_ = 0;
};

/// Unix time now, in seconds.
double unix_now();

}  // namespace ftpalg::tools
