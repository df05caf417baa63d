// SPDX-License-Identifier: GPL-2.0-or-later
#include "tools/control/session_list.h"

#include <utility>

namespace ftpalg::tools {

tl::expected<SessionList, std::string> ask_for_sessions(GatewayConnection& gateway,
                                                        const nlohmann::ordered_json& request) {
  if (auto sent = gateway.send(request); !sent) return tl::make_unexpected(std::move(sent.error()));
  SessionList list;
  for (;;) {
    auto line = gateway.receive();
    if (!line) return tl::make_unexpected(std::move(line.error()));
    if (const auto end = line->find("end"); end != line->end()) {
      list.of = end->value("sessions", list.sessions.size());
      return list;
    }
    if (const auto session = line->find("session"); session != line->end()) {
      list.sessions.push_back(std::move(*session));
    }
  }
}

}  // namespace ftpalg::tools
