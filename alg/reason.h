// SPDX-License-Identifier: GPL-2.0-or-later
// Why the gateway did what it did with a line.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace ftpalg {

enum class Reason : std::uint8_t {
  none,

  // It acts.
  rewritten,  ///< another host-port is advertised, and expected
  expected,   ///< what is advertised is right as it is, and expected

  // The talk does not allow it.
  not_ftp,
  opaque,
  plain_again,
  too_much_unanswered,
  reply_too_long,
  not_logged_in,
  command_unanswered,
  unsolicited_reply,
  epsv_all,

  // The line does not allow it.
  unfit_line,
  unparsable,
  start_unknown,
  start_has_left,

  // The policy does not allow it.
  client_not_served,
  server_not_served,
  active_refused,
  command_refused,
  tls_required,
  tls_refused,
  foreign_address,
  unusable_address,
  gateway_address,
  refused_port,
  sessions_full,
  client_sessions_full,
  expectations_full,
  client_expectations_full,

  // The kernel does not allow it.
  expectation_failed,
  no_port_free,
  offsets_unsupported,
  offsets_failed,
  too_many_edits,

  // It has to come again.
  edit_waits,
  bytes_missing,

  held_too_long,
};

inline constexpr std::size_t reason_count = static_cast<std::size_t>(Reason::held_too_long) + 1;

/// Something was refused because there is too much of it, and who asks for so much matters.
constexpr bool is_cap(Reason reason) {
  return reason >= Reason::sessions_full && reason <= Reason::client_expectations_full;
}

/// A sentence without its full stop, for people who look for the cause of a failed transfer.
std::string_view text(Reason reason);

}  // namespace ftpalg
