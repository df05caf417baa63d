// SPDX-License-Identifier: GPL-2.0-or-later
#include "rules/privilege.h"

#include <cap-ng.h>

namespace ftpalg::rules {

Privileges effective_privileges() {
  if (capng_get_caps_process() != 0) return {};
  return {capng_have_capability(CAPNG_EFFECTIVE, CAP_NET_ADMIN) != 0,
          capng_have_capability(CAPNG_EFFECTIVE, CAP_NET_RAW) != 0};
}

}  // namespace ftpalg::rules
