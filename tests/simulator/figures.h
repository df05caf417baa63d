// SPDX-License-Identifier: GPL-2.0-or-later
// What was counted, over all sessions of a run.
#pragma once

#include <cstdint>

namespace ftpalg::simulator {

struct Figures {
  // The network.
  std::uint64_t packets = 0;
  std::uint64_t lost = 0;
  std::uint64_t repeated = 0;
  std::uint64_t reordered = 0;
  std::uint64_t cut = 0;
  std::uint64_t joined = 0;
  std::uint64_t too_large = 0;
  std::uint64_t forged = 0;          ///< repeated with other bytes
  std::uint64_t largest_packet = 0;  ///< joined, in bytes

  // The endpoints.
  std::uint64_t segments = 0;
  std::uint64_t data_in_syn = 0;
  std::uint64_t repetitions = 0;
  std::uint64_t differing_copies = 0;  ///< an old byte came again as another: harmless, not nice
  std::uint64_t senseless_sack = 0;    ///< blocks that end before they begin
  std::uint64_t above_mss = 0;         ///< received with more payload than was announced

  // The gateway.
  std::uint64_t queued = 0;
  std::uint64_t edits = 0;
  std::uint64_t waits = 0;
  std::uint64_t bytes_missing = 0;
  std::uint64_t holds = 0;     ///< acknowledgements injected for bytes that are held
  std::uint64_t payments = 0;  ///< held bytes injected on their own
  std::uint64_t moves = 0;     ///< to another engine, with the state of the one before

  // The oracle.
  std::uint64_t lines = 0;
  std::uint64_t rewritten = 0;
  std::uint64_t rewritten_late = 0;  ///< by a gateway that came when the session was under way
  std::uint64_t opened = 0;
  std::uint64_t urgent = 0;         ///< urgent pointers, all right
  std::uint64_t superseded = 0;     ///< announced, but a later announcement had taken its place
  std::uint64_t excused = 0;        ///< not edited because a seam was told to fail
  std::uint64_t held_too_long = 0;  ///< not edited because the rest did not come in time
};

}  // namespace ftpalg::simulator
