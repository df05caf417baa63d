// SPDX-License-Identifier: GPL-2.0-or-later
// What will happen, in the order of time. Simulated time costs nothing: it leaps to the next event.
#pragma once

#include <algorithm>
#include <vector>

#include "alg/policy.h"

namespace ftpalg::simulator {

struct Event {
  enum class Kind : std::uint8_t { arrival, timer, writing, tick };
  Time at;
  std::uint64_t serial;  ///< events of the same time happen in the order they were planned
  Kind kind;
  std::uint8_t place;    ///< which link, endpoint or script
  std::uint32_t packet;  ///< of an arrival
};

class Agenda {
 public:
  void plan(Time at, Event::Kind kind, std::uint8_t place, std::uint32_t packet = 0) {
    events_.push_back({at, serial_++, kind, place, packet});
    std::push_heap(events_.begin(), events_.end(), is_later);
  }
  bool empty() const { return events_.empty(); }
  Event take() {
    std::pop_heap(events_.begin(), events_.end(), is_later);
    const Event event = events_.back();
    events_.pop_back();
    return event;
  }
  void clear() {
    events_.clear();
    serial_ = 0;
  }

 private:
  static bool is_later(const Event& a, const Event& b) {
    return a.at != b.at ? a.at > b.at : a.serial > b.serial;
  }
  std::vector<Event> events_;  // a heap
  std::uint64_t serial_ = 0;
};

}  // namespace ftpalg::simulator
