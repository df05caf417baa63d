// SPDX-License-Identifier: GPL-2.0-or-later
// A way for open files from the keeper's process (keeper.h) to the worker's, which may open none.
#pragma once

#include <string>
#include <tl/expected.hpp>

#include "rules/descriptor.h"

namespace ftpalg::tools {

/// Both ends in one; to be made before the keeper is started, so that each process has it.
class DescriptorPost {
 public:
  static tl::expected<DescriptorPost, std::string> open();

  /// False when it cannot be sent.
  bool send(const Descriptor& file) const;
  /// What was sent; a closed one when nothing has been.
  Descriptor receive() const;

 private:
  DescriptorPost(Descriptor from, Descriptor to) : from_(std::move(from)), to_(std::move(to)) {}

  Descriptor from_;
  Descriptor to_;
};

}  // namespace ftpalg::tools
