// SPDX-License-Identifier: GPL-2.0-or-later
// TLS records: followed through a stream by their lengths alone, to see where plain text begins
// again behind them (CCC, RFC 4217, section 12.3).
#pragma once

#include <array>
#include <optional>

#include "alg/wire.h"

namespace ftpalg {

class TlsRecords {
 public:
  /// Reads on, in the order of the stream. Returns how many of `bytes` belong to records: fewer
  /// than all when plain text follows. Nothing when what follows can be neither, now and for good.
  std::optional<std::size_t> pass(wire::Bytes bytes);

  /// For alg/state_bytes.h.
  template <typename Fields, typename Self>
  static void visit(Fields& fields, Self& self) {
    fields(self.header_);
    fields.number(self.header_bytes_, header_bytes_max - 1);
    fields.number(self.body_bytes_left_, 0xffff);
    fields(self.lost_);
  }

 private:
  /// Content type, version and length (RFC 8446, section 5.1).
  static constexpr std::size_t header_bytes_max = 5;

  std::array<std::uint8_t, header_bytes_max> header_{};
  std::size_t header_bytes_ = 0;
  std::size_t body_bytes_left_ = 0;
  bool lost_ = false;
};

/// Whether `bytes`, one at least, may be the beginning of a record that carries this. Records of
/// every kind begin a byte that no line of FTP begins with.
bool begins_tls_record(wire::Bytes bytes);
bool begins_tls_handshake(wire::Bytes bytes);

}  // namespace ftpalg
