// SPDX-License-Identifier: GPL-2.0-or-later
// The SACK option: what a receiver holds out of order, told in the numbering of the side that it
// goes to.
#pragma once

#include <optional>

#include "alg/seq_map.h"
#include "alg/wire.h"

namespace ftpalg {

/// Maps every block of a SACK option in `options` (RFC 2018) from the receiver's numbering to the
/// sender's, in place. A block that has no whole byte there is dropped; what is left over is filled
/// with no-operation options.
void shift_sack_blocks(wire::MutableBytes options, const SeqMap& map);

/// How far the blocks of the SACK options in `options` reach, in the receiver's numbering; nothing
/// when there are none.
std::optional<Seq> sacked_end(wire::Bytes options);

}  // namespace ftpalg
