// SPDX-License-Identifier: GPL-2.0-or-later
#include "tools/reload.h"

#include <fmt/format.h>

#include <algorithm>

namespace ftpalg::tools {

Reload reload(const Config& running, Config next) {
  std::vector<std::string> notes;
  const rules::Ruleset& was = running.ruleset;
  rules::Ruleset& becomes = next.ruleset;
  if (becomes.queue != was.queue) {
    notes.push_back(fmt::format("firewall.queue stays {} until the next start, and becomes {} then",
                                was.queue, becomes.queue));
    becomes.queue = was.queue;
  }
  if (becomes.queues != was.queues) {
    notes.push_back(
        fmt::format("firewall.queues stays {} until the next start, and becomes {} then",
                    was.queues, becomes.queues));
    becomes.queues = was.queues;
  }
  if (next.service != running.service) {
    notes.emplace_back("[service] stays as it was until the next start");
    next.service = running.service;
  }
  if (next.transfers != running.transfers) {
    notes.emplace_back("[transfers] stays as it was until the next start");
    next.transfers = running.transfers;
  }
  if (next.http_listen != running.http_listen) {
    const auto written = [](const std::optional<Endpoint>& listen) {
      return listen ? listen->text() : "off";
    };
    notes.push_back(fmt::format("http.listen stays {} until the next start, and becomes {} then",
                                written(running.http_listen), written(next.http_listen)));
    next.http_listen = running.http_listen;
  }
  // Sessions without NAT that an external address has edited live by what the gateway does to each
  // of their packets, which must therefore go on coming.
  if (was.queue_acknowledgements) {
    if (!becomes.queue_acknowledgements) {
      notes.emplace_back(
          "acknowledgements go on being queued until the next start, for the sessions that an "
          "external address has edited");
      becomes.queue_acknowledgements = true;
    }
    for (const std::uint16_t port : was.control_ports) {
      if (std::ranges::count(becomes.control_ports, port) > 0) continue;
      notes.push_back(
          fmt::format("port {} stays a control port until the next start, for the sessions that an "
                      "external address has edited",
                      port));
      becomes.control_ports.push_back(port);
    }
  }
  return {std::move(next), std::move(notes)};
}

}  // namespace ftpalg::tools
