// SPDX-License-Identifier: GPL-2.0-or-later
// Two witnesses in the place of one, or one where the other is none.
#pragma once

#include <vector>

#include "alg/witness.h"

namespace ftpalg::tools {

class Witnesses final : public Witness {
 public:
  /// They outlive this, and are told in this order.
  Witnesses(Witness& first, Witness* second) : witnesses_{&first} {
    if (second != nullptr) witnesses_.push_back(second);
  }

  void on_answered(const Master& master, Beginning beginning, Time now) override {
    for (Witness* witness : witnesses_) witness->on_answered(master, beginning, now);
  }
  void on_begin(const Tuple& control, Time now) override {
    for (Witness* witness : witnesses_) witness->on_begin(control, now);
  }
  void on_line(const WitnessedLine& line, Time now) override {
    for (Witness* witness : witnesses_) witness->on_line(line, now);
  }
  void on_decision(const Decision& decision, Time now) override {
    for (Witness* witness : witnesses_) witness->on_decision(decision, now);
  }
  void on_left(const Tuple& control, Time now) override {
    for (Witness* witness : witnesses_) witness->on_left(control, now);
  }
  void on_end(const Tuple& control, Time now) override {
    for (Witness* witness : witnesses_) witness->on_end(control, now);
  }

 private:
  std::vector<Witness*> witnesses_;
};

}  // namespace ftpalg::tools
