// SPDX-License-Identifier: GPL-2.0-or-later
// A transfer: what became of one file or listing, from its command to its end.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "alg/time.h"
#include "conntrack/tuple.h"

namespace ftpalg::tools {

/// What the control connection tells of it.
struct Transfer {
  enum class Kind : std::uint8_t { download, upload, listing };

  Tuple control;    ///< client to dialled address
  Endpoint server;  ///< as it knows itself
  std::string user{};
  std::string command;  ///< in capitals: "RETR"
  std::string path;     ///< as the client said it, or empty
  Kind kind = Kind::download;
  /// Where it was to begin, by REST.
  std::optional<std::uint64_t> restart_at{};
  /// The command that announced its data connection, "PASV" or "PORT", as the client said it; or
  /// empty, where nobody has seen any.
  std::string mode;
  /// Where that was to go, as conntrack sees its first packet. Nothing where it was not let
  /// through.
  std::optional<Endpoint> data_destination{};
  Time asked{};           ///< when the command came
  bool begun = false;     ///< the server said that it opens the data connection (1xx)
  bool to_abort = false;  ///< the client took it back (ABOR)
  /// The reply that ended it. Nothing where the control connection ended before.
  std::optional<std::uint16_t> code{};
  Time answered{};  ///< when that came, or the control connection's end
};

/// What conntrack tells of its data connection.
struct TransferData {
  bool was_open = false;
  /// IP packets of the direction in which the file goes, and their bytes with headers and what was
  /// sent again. Nothing where conntrack did not count.
  std::optional<std::uint64_t> packets{};
  std::optional<std::uint64_t> ip_bytes{};
  Time begun{};
  Time ended{};
};

enum class TransferResult : std::uint8_t {
  done,             ///< the server says so
  aborted,          ///< it had begun
  refused,          ///< it never began
  never_connected,  ///< there was no data connection for it
  unanswered,       ///< the control connection ended first
};

/// "download"; "never_connected".
std::string_view name(Transfer::Kind kind);
std::string_view name(TransferResult result);

/// A transfer that is over. `data` is nothing where nobody has seen a data connection; where
/// `data_is_known` is false, nobody looked.
struct FinishedTransfer {
  Transfer transfer;
  std::optional<TransferData> data;
  bool data_is_known = true;

  TransferResult result() const;
  /// From the beginning of the data connection to its end, or from command to reply.
  Time duration() const;
  Time ended() const;
  /// How much of it can be the file's bytes at most, without the smallest headers that packets
  /// have.
  std::optional<std::uint64_t> payload_bytes_max() const;
};

/// {time, client, ... }: what tools/transfer_log.h says. `ended` is the wall clock's, in
/// milliseconds since 1970.
nlohmann::ordered_json transfer_json(const FinishedTransfer& finished, std::int64_t ended);

/// The same as words, "key=value" each; texts stand in quotes, and "-" for what is not known.
std::string transfer_text(const FinishedTransfer& finished, std::int64_t ended);

}  // namespace ftpalg::tools
