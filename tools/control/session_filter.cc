// SPDX-License-Identifier: GPL-2.0-or-later
#include "tools/control/session_filter.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace ftpalg::tools {

tl::expected<SessionFilter, std::string> SessionFilter::parse(const nlohmann::json& filter) {
  SessionFilter result;
  if (filter.is_null()) return result;
  if (!filter.is_object()) return tl::make_unexpected("filter: not an object");
  if (const auto address = filter.find("address"); address != filter.end() && !address->is_null()) {
    if (address->is_string()) result.address = Network::parse(address->get<std::string>());
    if (!result.address) {
      return tl::make_unexpected(
          fmt::format("the address {} is none; write 10.0.0.2, 10.0.0.0/8 or 2001:db8::/32",
                      address->dump(-1, ' ', true, nlohmann::json::error_handler_t::replace)));
    }
  }
  if (const auto user = filter.find("user"); user != filter.end() && !user->is_null()) {
    if (!user->is_string()) return tl::make_unexpected("filter.user: not a text");
    result.user = user->get<std::string>();
  }
  return result;
}

bool SessionFilter::admits(const Master& master, const std::optional<std::string>& its_user) const {
  if (user && its_user != user) return false;
  return !address || address->contains(master.client()) ||
         address->contains(master.client_as_server_sees_it()) ||
         address->contains(master.server()) ||
         address->contains(master.server_as_client_dials_it());
}

}  // namespace ftpalg::tools
