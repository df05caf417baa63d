// SPDX-License-Identifier: GPL-2.0-or-later
#include "tools/hint.h"

#include <fmt/format.h>

#include <chrono>

#include "tools/decision_text.h"

namespace ftpalg::tools {
namespace {

using State = DataConnection::State;
using Mode = DataConnection::Mode;

std::int64_t whole_seconds(Time time) {
  return std::chrono::duration_cast<std::chrono::seconds>(time).count();
}

std::string ago(Time since, const Viewpoint& view) {
  return fmt::format("{} s", whole_seconds(view.now - since));
}

std::string endpoint_text(const std::optional<Endpoint>& endpoint) {
  return endpoint ? endpoint->text() : "an address";
}

std::string hint_of_encrypted(const Record::Shown& session) {
  return fmt::format(
      "the connection is encrypted, so the gateway cannot read which ports are announced, and "
      "opens "
      "none: have the client use passive mode, and server {} announce its public address with "
      "ports that its firewall lets in",
      session.master.server().text());
}

/// Why something that was announced was not opened, and what to do.
std::string hint_of_refused(const DataConnection& data) {
  const std::string_view who = data.mode == Mode::active ? "client" : "server";
  std::string_view mend;
  switch (data.reason) {
    case Reason::foreign_address:
      mend =
          "; where the client or server knows itself by an old address, or is behind a NAT of its "
          "own, correct that; for transfers between two servers see [[foreign_addresses]]";
      break;
    case Reason::refused_port:
      mend = "; see data.lowest_port and data.denied_ports";
      break;
    case Reason::active_refused:
      mend = "; use passive mode, or see data.active";
      break;
    case Reason::not_logged_in:
      mend = "; log in first, or see control.login_required";
      break;
    case Reason::command_unanswered:
      mend = "; see data.active_pipelined";
      break;
    case Reason::expectation_failed:
    case Reason::offsets_unsupported:
    case Reason::offsets_failed:
      mend = "; see ftpalg status for what the rules lack, and ftpalg check";
      break;
    case Reason::expectations_full:
    case Reason::client_expectations_full:
      mend = "; see [limits]";
      break;
    case Reason::no_port_free:
      mend = "; see data.public_ports";
      break;
    default:
      break;
  }
  return fmt::format("what the {} announced last was not opened: {}{}", who, text(data.reason),
                     mend);
}

/// Who was told to connect where, and has not.
std::string hint_of_missing(const DataConnection& data, State state, const Viewpoint& view) {
  const std::string where = endpoint_text(data.advertised);
  const std::string who = data.who ? data.who->text() : "nobody";
  const std::string how_long =
      state == State::expired
          ? fmt::format("and did not within {} s, so that the way is closed again",
                        whole_seconds(view.expectation_life))
          : fmt::format("and has not for {}", ago(data.announced_at, view));
  if (data.mode == Mode::active) {
    return fmt::format(
        "the server {} was told to connect to {}, {}: look whether a firewall on its side keeps it "
        "from connecting, and whether this machine forwards related connections to {}",
        who, where, how_long, endpoint_text(data.announced));
  }
  return fmt::format(
      "the client {} was told to connect to {}, {}: look whether a firewall on its side keeps it "
      "from that port, and whether this machine forwards related connections to {}",
      who, where, how_long, endpoint_text(data.announced));
}

}  // namespace

State state_of(const DataConnection& data, const Record::Shown& session, const Viewpoint& view) {
  if (data.state != State::expected) return data.state;
  // Where nobody watches, the server says that a transfer has begun, and only that.
  const bool may_be_open = !view.data_is_watched && session.state == SessionState::transfer;
  const bool is_late = view.now - data.announced_at > view.expectation_life;
  return is_late && !may_be_open ? State::expired : State::expected;
}

std::optional<std::string> hint(const Record::Shown& session, const Viewpoint& view) {
  switch (session.state) {
    case SessionState::ended:
      return std::nullopt;
    case SessionState::encrypted:
      return hint_of_encrypted(session);
    case SessionState::left_alone:
      return session.left_for == Reason::none ? "the session is left alone"
                                              : std::string{text(session.left_for)};
    case SessionState::greeting:
      if (view.now - session.began <= patience) return std::nullopt;
      return fmt::format(
          "the server {} took the connection, and has not greeted for {}: look at the server, "
          "which "
          "may be waiting for a name to be resolved, or be full",
          session.master.server().text(), ago(session.began, view));
    default:
      break;
  }
  if (session.refused) {
    return fmt::format("'{}' was kept from the server: see control.tls and [[refused_commands]]",
                       escaped(session.refused->text));
  }
  const bool is_transferring = !session.transfer_command.empty();
  if (session.data) {
    const State state = state_of(*session.data, session, view);
    if (state == State::refused) return hint_of_refused(*session.data);
    const bool is_missing = state == State::expected || state == State::expired;
    const bool may_be_open = !view.data_is_watched && session.state == SessionState::transfer;
    if (is_missing && !may_be_open && view.now - session.data->announced_at > patience &&
        (is_transferring || session.data->mode == Mode::passive)) {
      return hint_of_missing(*session.data, state, view);
    }
    if (state == State::open && is_transferring && session.data->to_client.value_or(1) == 0 &&
        session.data->to_server.value_or(1) == 0 && view.now - session.data->since > patience) {
      return fmt::format("the data connection is open, but no byte has passed for {}",
                         ago(session.data->since, view));
    }
    if (state == State::closed && is_transferring && view.now - session.data->since > patience) {
      return fmt::format(
          "the data connection closed {} ago, and the server has not answered '{}' yet: it may "
          "still be at work on what it got",
          ago(session.data->since, view), escaped(session.transfer_command));
    }
  }
  if (is_transferring && !session.data && session.state == SessionState::waiting &&
      view.now - session.transfer_began > patience) {
    return fmt::format(
        "'{}' has been waiting for {}, and no data connection was announced that the gateway saw: "
        "the server may be trying the client's default port, which NAT hides; use passive mode",
        escaped(session.transfer_command), ago(session.transfer_began, view));
  }
  if (session.state == SessionState::waiting && session.last_command &&
      view.now - session.last_command->at > patience) {
    return fmt::format("the server {} has not answered '{}' for {}", session.master.server().text(),
                       escaped(session.last_command->text), ago(session.last_command->at, view));
  }
  if (session.transfers_failed > 0 && session.last_reply && !session.last_reply->text.empty() &&
      session.last_reply->text.front() >= '4' && session.transfer_command.empty()) {
    return fmt::format("the server gave the last transfer up: '{}'",
                       escaped(session.last_reply->text));
  }
  return std::nullopt;
}

}  // namespace ftpalg::tools
