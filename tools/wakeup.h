// SPDX-License-Identifier: GPL-2.0-or-later
// A bell between two threads: one rings, the other has it among the descriptors that it polls.
#pragma once

#include <string>
#include <tl/expected.hpp>

#include "rules/descriptor.h"

namespace ftpalg::tools {

class Wakeup {
 public:
  static tl::expected<Wakeup, std::string> open();

  void ring() const;
  /// Readable once it was rung.
  int descriptor() const { return descriptor_.number(); }
  /// Makes it silent again.
  void silence() const;

 private:
  explicit Wakeup(Descriptor descriptor) : descriptor_(std::move(descriptor)) {}

  Descriptor descriptor_;
};

}  // namespace ftpalg::tools
