// SPDX-License-Identifier: GPL-2.0-or-later
// One simulated session: script, endpoints, weather and gateway, all chosen by one seed.
#pragma once

#include <functional>
#include <string>

#include "gateway.h"
#include "link.h"
#include "oracle.h"
#include "script.h"
#include "tcp_endpoint.h"

namespace ftpalg::simulator {

/// What is the same for all sessions of a run.
struct Setting {
  bool gateway_is_present = true;
  bool traces = false;
};

struct Result {
  std::string finding;  ///< nothing when all went well
  std::string setup;    ///< what was chosen, in a line
  Time took{};
  bool seams_failed = false;
  Oracle::Figures lines;
  Gateway::Figures gateway;
  TcpEndpoint::Figures endpoints;
  Link::Figures links;
};

/// Storage that sessions share, one after the other.
struct Workspace {
  Agenda agenda;
  PacketPool pool;
};

Result simulate(std::uint64_t seed, const Setting& setting, Workspace& workspace);

}  // namespace ftpalg::simulator
