// SPDX-License-Identifier: GPL-2.0-or-later
// An edit: bytes of a stream that are replaced on their way.
#pragma once

#include "alg/host_port.h"
#include "alg/tcp_seq.h"

namespace ftpalg {

struct Edit {
  Seq position;              ///< of the first replaced byte, in the sender's numbering
  std::uint32_t length = 0;  ///< bytes replaced
  AnnouncementText text;     ///< what takes their place

  Seq end() const { return position + length; }
  template <typename Fields, typename Self>
  static void visit(Fields& fields, Self& self) {
    fields(self.position, self.length, self.text);
  }
  std::int32_t growth() const {
    return static_cast<std::int32_t>(text.view().size()) - static_cast<std::int32_t>(length);
  }
};

}  // namespace ftpalg
