// SPDX-License-Identifier: GPL-2.0-or-later
// One simulated session: script, endpoints, weather and gateway, all chosen by one seed.
#pragma once

#include <string>

#include "link.h"
#include "talk.h"

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
};

/// What sessions share, one after the other: storage, and what is counted.
struct Workspace {
  Agenda agenda;
  PacketPool pool;
  Figures figures;
};

Result simulate(std::uint64_t seed, const Setting& setting, Workspace& workspace);

}  // namespace ftpalg::simulator
