// SPDX-License-Identifier: GPL-2.0-or-later
// The transfer log: a line for each transfer that is over.
//
// A line has, in this order, as text ("key=value" each, "-" where nothing is known) or as one JSON
// object (null):
//   time               when it was over, UTC
//   result             done, aborted, refused, never_connected, unanswered
//   code               of the reply that ended it
//   direction          download, upload, listing
//   client             as it knows itself
//   dialled            whom the client has dialled
//   server             as it knows itself
//   user               by the last USER
//   command, path      as the client said them; the path may be relative
//   restart_at         where in the file it was to begin (REST)
//   mode               PORT, EPRT, LPRT, PASV, EPSV, LPSV, CPSV
//   ip_bytes           that went in the direction of the file, as conntrack counts: whole IP
//   packets,
//                      headers and what was sent again included
//   ip_packets         how many these were
//   payload_bytes_max  ip_bytes less the smallest headers of so many packets: the file cannot have
//                      been larger. It was smaller by TCP's options, 12 bytes a packet mostly, and
//                      by what was sent again
//   duration           in seconds, of the data connection, or else of the talk about it
// What peers say has everything but printable ASCII as \xNN, and \\ for a backslash. In the journal
// each is a field of its own besides: FTPALG_RESULT and so on.
#pragma once

#include <string>
#include <tl/expected.hpp>

#include "rules/descriptor.h"
#include "tools/transfer.h"
#include "tools/transfer_log_settings.h"

namespace ftpalg::tools {

/// Opens the file to append to, and makes it where there is none. An error names the file, the
/// cause and the mend.
tl::expected<Descriptor, std::string> open_log_file(const std::string& path);

class TransferLog {
 public:
  /// Opens what it writes to; later it needs no right but to write and to send. Not for
  /// Place::off. An error names the cause and the mend.
  static tl::expected<TransferLog, std::string> open(const TransferLogSettings& settings);

  const TransferLogSettings& settings() const { return settings_; }

  /// Goes on in this file, which stands in the place of the one before.
  void go_on_in(Descriptor file) { file_ = std::move(file); }

  /// `ended` is the wall clock's, in milliseconds since 1970. An error names the place and the
  /// cause; the line is lost.
  tl::expected<void, std::string> write(const FinishedTransfer& finished, std::int64_t ended);

 private:
  TransferLog(TransferLogSettings settings, Descriptor file)
      : settings_(std::move(settings)), file_(std::move(file)) {}

  TransferLogSettings settings_;
  Descriptor file_;
};

}  // namespace ftpalg::tools
