// SPDX-License-Identifier: GPL-2.0-or-later
// The master: the conntrack entry of a control connection, and the two things the gateway asks of
// it.
#pragma once

#include <array>
#include <chrono>
#include <optional>

#include "conntrack/tuple.h"

namespace ftpalg {

/// The one sequence correction that conntrack keeps for a direction (struct nf_ct_seqadj). A
/// segment is shifted by `after` when its sequence number is above `position`, else by `before`.
/// All three count in the sender's own numbering; the shifts are in bytes.
struct SequenceOffset {
  std::uint32_t position = 0;
  std::int32_t before = 0;
  std::int32_t after = 0;
  auto operator<=>(const SequenceOffset&) const = default;
};

/// A control connection as conntrack sees it. The original tuple is client to dialled address, the
/// reply tuple is server, as it knows itself, to client, as the server sees it.
struct Master {
  Tuple original;
  Tuple reply;
  /// By Direction; what an earlier gateway may have left there, or zero.
  std::array<SequenceOffset, 2> offsets{};
  /// A helper is assigned, so conntrack takes expectations for it.
  bool has_carrier = false;
  std::uint32_t mark = 0;  ///< the connection mark (connmark)
  std::uint16_t zone = 0;  ///< where conntrack keeps both directions; 0 where nobody has set any

  const Address& client() const { return original.source.address; }
  const Address& client_as_server_sees_it() const { return reply.destination.address; }
  const Address& server() const { return reply.source.address; }
  const Address& server_as_client_dials_it() const { return original.destination.address; }
  const SequenceOffset& offset(Direction direction) const {
    return offsets[static_cast<std::size_t>(direction)];
  }
  bool is_nated() const { return original != reply.reversed(); }
};

enum class OffsetResult {
  done,
  unsupported,  ///< conntrack took the request, but keeps no offsets for this connection (no seqadj
                ///< extension)
  failed,       ///< the connection is gone, or the kernel refused; nothing was changed
};

enum class MarkResult { done, failed };

/// Seam: the conntrack entries of control connections. Live it is ctnetlink; MemoryMasters is its
/// twin.
class Masters {
 public:
  virtual ~Masters() = default;

  /// The master that `tuple` belongs to, in either direction. Nothing when conntrack knows none.
  virtual std::optional<Master> find(const Tuple& tuple) = 0;

  /// Replaces the sequence correction of one direction. When `done` is returned the kernel shifts
  /// every later packet by it; otherwise nothing has changed.
  virtual OffsetResult set_offset(const Master& master, Direction direction,
                                  const SequenceOffset& offset) = 0;

  /// Sets the bits of `bits` in the connection mark and leaves the others. On failure nothing has
  /// changed.
  virtual MarkResult set_mark(const Master& master, std::uint32_t bits) = 0;

  /// Sees to it that conntrack remembers the connection for `at_least`, though no packet comes.
  /// Returns for how long it does, or nothing when the connection is gone or the kernel refused.
  virtual std::optional<std::chrono::seconds> keep(const Master& master,
                                                   std::chrono::seconds at_least) = 0;
};

}  // namespace ftpalg
