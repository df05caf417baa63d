// SPDX-License-Identifier: GPL-2.0-or-later
// Departure: which bytes of a stream leave in one packet, and how they look.
#pragma once

#include "alg/segment.h"
#include "alg/stream.h"

namespace ftpalg {

/// What every path takes: the least that its family asks of a host or a link (RFC 791, section 3.1;
/// RFC 8200, section 5).
std::size_t safe_packet_bytes(const Tuple& tuple);

/// How many payload bytes may leave in the place of `segment`: its sender's path took it as it
/// came.
std::size_t payload_room(const Segment& segment);

/// The last end up to `to` for which the bytes from `from` on, with their edits, fit into `room`.
/// What is cut off is sent again by its sender, since nobody acknowledges it. An edit that
/// changes a length is not cut: one that comes first leaves whole.
Seq fitting_end(const Stream& stream, Seq from, Seq to, std::size_t room);

/// Appends the stream's bytes [from, to) with their edits. An edit that changes a length leaves
/// complete or not at all. `segment` brings what is not kept; it may be null when all is.
void append_range(PacketBuilder& builder, const Stream& stream, const Segment* segment, Seq from,
                  Seq to);

}  // namespace ftpalg
