// SPDX-License-Identifier: GPL-2.0-or-later
// The log of decisions: each in a line, of one client not more than LogLimit admits.
#pragma once

#include <span>

#include "alg/decision.h"
#include "alg/policy.h"
#include "alg/time.h"
#include "tools/log_limit.h"

namespace ftpalg::tools {

class DecisionLog {
 public:
  /// `policy` says which addresses are one client. `kernel_error` is the errno of what the kernel
  /// refused last, if it has refused anything.
  void tell(std::span<const Decision> decisions, const Policy& policy, int kernel_error, Time now);
  /// Tells how much was left out. To be called now and then.
  void tell_left_out(Time now);

 private:
  LogLimit limit_;
};

}  // namespace ftpalg::tools
