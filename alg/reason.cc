// SPDX-License-Identifier: GPL-2.0-or-later
#include "alg/reason.h"

namespace ftpalg {

std::string_view text(Reason reason) {
  switch (reason) {
    case Reason::none:
      return "nothing to do";
    case Reason::rewritten:
      return "rewritten, and the data connection is expected";
    case Reason::expected:
      return "right as it is, and the data connection is expected";
    case Reason::not_ftp:
      return "this connection does not look like FTP, so it is left alone for good";
    case Reason::opaque:
      return "the connection is encrypted from here on, so it is left alone";
    case Reason::plain_again:
      return "the connection is plain again, so its lines are read";
    case Reason::too_much_unanswered:
      return "too many commands are unanswered, so the connection is left alone for good";
    case Reason::reply_too_long:
      return "a reply in several lines did not end in time, so the connection is left alone for "
             "good";
    case Reason::not_logged_in:
      return "nobody has logged in yet";
    case Reason::command_unanswered:
      return "an earlier command is still unanswered";
    case Reason::unsolicited_reply:
      return "no PASV, EPSV, LPSV or CPSV is unanswered";
    case Reason::epsv_all:
      return "after EPSV ALL only EPSV may open a data connection";
    case Reason::unfit_line:
      return "the line is too long, or holds a NUL or a stray CR";
    case Reason::unparsable:
      return "the line announces no host-port that can be read without doubt";
    case Reason::start_unknown:
      return "the gateway came in the middle of this connection and cannot be sure that a line "
             "starts here";
    case Reason::start_has_left:
      return "the start of the line has already been sent on";
    case Reason::client_not_served:
      return "the client is in none of the networks that are served, so it is left alone";
    case Reason::server_not_served:
      return "the server is in none of the networks that are served, so it is left alone";
    case Reason::active_refused:
      return "active mode is switched off";
    case Reason::command_refused:
      return "this client may not use the command, so the server is given a word it does not know";
    case Reason::tls_required:
      return "TLS is required, so nobody may log in before AUTH";
    case Reason::tls_refused:
      return "TLS is refused, so the server is given a word it does not know";
    case Reason::foreign_address:
      return "the address is not that of the control connection's own end";
    case Reason::unusable_address:
      return "loopback, multicast, broadcast, link-local and unspecified addresses are refused";
    case Reason::gateway_address:
      return "the address is the gateway's own";
    case Reason::refused_port:
      return "the port is below the lowest allowed, or on the list of denied ports";
    case Reason::sessions_full:
      return "as many sessions as are allowed in all are under way, so this one is left alone";
    case Reason::client_sessions_full:
      return "the client's network has as many sessions as it may, so this one is left alone";
    case Reason::expectations_full:
      return "as many data connections as are allowed in all are announced";
    case Reason::client_expectations_full:
      return "the client's network has announced as many data connections as it may";
    case Reason::expectation_failed:
      return "the kernel did not take the expectation (has the connection a carrier?)";
    case Reason::no_port_free:
      return "every port that was tried is announced by somebody else";
    case Reason::offsets_unsupported:
      return "the kernel keeps no sequence offsets for this connection (has it a carrier and NAT?)";
    case Reason::offsets_failed:
      return "the kernel did not take the sequence offset";
    case Reason::too_many_edits:
      return "too many edits are not acknowledged yet";
    case Reason::edit_waits:
      return "what came before this line is not acknowledged yet, so it has to come again";
    case Reason::bytes_missing:
      return "earlier bytes have not come yet, so these have to come again";
    case Reason::held_too_long:
      return "the rest of the line did not come in time, so its start leaves as it is";
  }
  return "";
}

}  // namespace ftpalg
