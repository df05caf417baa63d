// SPDX-License-Identifier: GPL-2.0-or-later
#include "alg/tls_records.h"

#include <algorithm>

namespace ftpalg {
namespace {

constexpr std::uint8_t change_cipher_spec = 20;
constexpr std::uint8_t handshake = 22;
constexpr std::uint8_t application_data = 23;
constexpr std::uint8_t major_version = 3;

}  // namespace

bool begins_tls_record(wire::Bytes bytes) {
  return bytes[0] >= change_cipher_spec && bytes[0] <= application_data &&
         (bytes.size() < 2 || bytes[1] == major_version);
}

bool begins_tls_handshake(wire::Bytes bytes) {
  return begins_tls_record(bytes) && bytes[0] == handshake;
}

std::optional<std::size_t> TlsRecords::pass(wire::Bytes bytes) {
  if (lost_) return std::nullopt;
  std::size_t at = 0;
  while (at < bytes.size()) {
    const std::size_t body_bytes = std::min(body_bytes_left_, bytes.size() - at);
    at += body_bytes;
    body_bytes_left_ -= body_bytes;
    if (at == bytes.size()) break;

    header_[header_bytes_++] = bytes[at];
    if (!begins_tls_record(wire::Bytes{header_}.first(header_bytes_))) {
      // The first byte alone tells plain text. Behind it a record has begun, and broken off.
      lost_ = header_bytes_ > 1;
      header_bytes_ = 0;
      return lost_ ? std::nullopt : std::optional{at};
    }
    ++at;
    if (header_bytes_ == header_bytes_max) {
      body_bytes_left_ = wire::read16(header_, 3);
      header_bytes_ = 0;
    }
  }
  return bytes.size();
}

}  // namespace ftpalg
