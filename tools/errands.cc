// SPDX-License-Identifier: GPL-2.0-or-later
#include "tools/errands.h"

#include <string>
#include <utility>

#include "tools/privileges.h"

namespace ftpalg::tools {

Keeper::Errands errands(RunningConfig config, bool applies_rules) {
  return [config = std::move(config), applies_rules](std::string_view errand) mutable -> Answer {
    const auto nothing_to_say = [] { return std::string{}; };
    if (errand == begin_errand) {
      // With all the rights that the daemon was started with: programs may have to load modules.
      if (applies_rules) {
        if (auto applied = config.apply_rules(); !applied) return tl::unexpected(applied.error());
      } else {
        config.tell_what_rules_lack();
      }
      return drop_capabilities(Role::keeper).map(nothing_to_say);
    }
    if (errand == reload_errand) {
      if (auto text = config.read_anew()) return std::move(*text);
      return tl::unexpected(std::string{});
    }
    if (errand == end_errand) return config.remove_rules().map(nothing_to_say);
    return tl::unexpected(std::string{"there is no such errand"});
  };
}

}  // namespace ftpalg::tools
