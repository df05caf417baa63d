// SPDX-License-Identifier: GPL-2.0-or-later
#include "tools/record_json.h"

#include <array>
#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>

#include "tools/decision_text.h"
#include "tools/redaction.h"

namespace ftpalg::tools {
namespace {

using nlohmann::ordered_json;

/// In the order of alg/reason.h.
constexpr std::array<std::string_view, reason_count> reason_names{
    "none",
    "rewritten",
    "expected",
    "not_ftp",
    "opaque",
    "plain_again",
    "too_much_unanswered",
    "reply_too_long",
    "not_logged_in",
    "command_unanswered",
    "unsolicited_reply",
    "epsv_all",
    "unfit_line",
    "unparsable",
    "start_unknown",
    "start_has_left",
    "client_not_served",
    "server_not_served",
    "active_refused",
    "command_refused",
    "tls_required",
    "tls_refused",
    "foreign_address",
    "unusable_address",
    "gateway_address",
    "refused_port",
    "sessions_full",
    "client_sessions_full",
    "expectations_full",
    "client_expectations_full",
    "expectation_failed",
    "no_port_free",
    "offsets_unsupported",
    "offsets_failed",
    "too_many_edits",
    "edit_waits",
    "bytes_missing",
    "held_too_long",
};
static_assert(reason_names.back() == "held_too_long");

/// Unix seconds, to the millisecond.
double unix_seconds(Time at, const Viewpoint& view) {
  const auto milliseconds =
      std::chrono::duration_cast<std::chrono::milliseconds>(at + view.to_unix).count();
  return static_cast<double>(milliseconds) / 1000;
}

template <class Value>
ordered_json or_null(const std::optional<Value>& value) {
  return value ? ordered_json(*value) : ordered_json(nullptr);
}

ordered_json endpoint_json(const std::optional<Endpoint>& endpoint) {
  return endpoint ? ordered_json(endpoint->text()) : ordered_json(nullptr);
}

ordered_json said_json(const std::optional<Said>& said, const Viewpoint& view) {
  if (!said) return nullptr;
  return {{"text", escaped(said->text)}, {"time", unix_seconds(said->at, view)}};
}

ordered_json data_json(const Record::Shown& session, const Viewpoint& view) {
  if (!session.data) return nullptr;
  const DataConnection& data = *session.data;
  const auto state = state_of(data, session, view);
  return {{"mode", name(data.mode)},
          {"announced", endpoint_json(data.announced)},
          {"advertised", endpoint_json(data.advertised)},
          {"who", data.who ? ordered_json(data.who->text()) : ordered_json(nullptr)},
          {"state", name(state)},
          {"reason", name(data.reason)},
          {"since", unix_seconds(data.since, view)},
          {"to_client", or_null(data.to_client)},
          {"to_server", or_null(data.to_server)}};
}

std::string_view kind_name(Rung::Kind kind) {
  switch (kind) {
    case Rung::Kind::line:
      return "line";
    case Rung::Kind::data:
      return "data";
    case Rung::Kind::note:
      break;
  }
  return "note";
}

std::string_view from_name(Rung::From from) {
  switch (from) {
    case Rung::From::client:
      return "client";
    case Rung::From::server:
      return "server";
    case Rung::From::gateway:
      break;
  }
  return "gateway";
}

ordered_json rung_json(const Rung& rung, const Viewpoint& view) {
  ordered_json expectation = nullptr;
  if (rung.expectation) {
    Decision decision;
    decision.expectation = *rung.expectation;
    expectation = expectation_json(decision);
  }
  const bool has_reason = rung.action.has_value();
  const std::string_view sentence = has_reason ? text(rung.reason) : std::string_view{rung.text};
  return {
      {"time", unix_seconds(rung.at, view)},
      {"kind", kind_name(rung.kind)},
      {"from", from_name(rung.from)},
      {"before", escaped(rung.before)},
      {"after", escaped(rung.after.empty() ? rung.before : rung.after)},
      {"action", rung.action ? ordered_json(name(*rung.action)) : ordered_json(nullptr)},
      {"reason", has_reason ? ordered_json(name(rung.reason)) : ordered_json(nullptr)},
      {"text", sentence.empty() ? ordered_json(nullptr) : ordered_json(sentence)},
      {"expectation", std::move(expectation)},
      {"bytes", or_null(rung.bytes)},
  };
}

std::string_view event_name(Event::Kind kind) {
  switch (kind) {
    case Event::Kind::begin:
      return "begin";
    case Event::Kind::end:
      return "end";
    case Event::Kind::transfer:
      return "transfer";
    case Event::Kind::decision:
      break;
  }
  return "decision";
}

}  // namespace

std::string_view name(SessionState state) {
  switch (state) {
    case SessionState::greeting:
      return "greeting";
    case SessionState::login:
      return "login";
    case SessionState::ready:
      return "ready";
    case SessionState::waiting:
      return "waiting";
    case SessionState::transfer:
      return "transfer";
    case SessionState::encrypted:
      return "encrypted";
    case SessionState::left_alone:
      return "left alone";
    case SessionState::ended:
      return "ended";
  }
  return "";
}

std::string_view name(Tls tls) {
  switch (tls) {
    case Tls::none:
      return "none";
    case Tls::asked:
      return "asked";
    case Tls::encrypted:
      return "encrypted";
  }
  return "";
}

std::string_view name(DataConnection::Mode mode) {
  return mode == DataConnection::Mode::active ? "active" : "passive";
}

std::string_view name(DataConnection::State state) {
  switch (state) {
    case DataConnection::State::expected:
      return "expected";
    case DataConnection::State::open:
      return "open";
    case DataConnection::State::closed:
      return "closed";
    case DataConnection::State::expired:
      return "expired";
    case DataConnection::State::refused:
      return "refused";
  }
  return "";
}

std::string_view name(Reason reason) {
  return reason_names.at(static_cast<std::size_t>(reason));
}

ordered_json session_json(std::string_view id, const Record::Shown& session,
                          const Viewpoint& view) {
  const Master& master = session.master;
  ordered_json user = nullptr;
  if (session.user) user = escaped(*session.user);
  return {{"id", id},
          {"client", master.original.source.text()},
          {"client_as_server_sees", master.reply.destination.text()},
          {"dialled", master.original.destination.text()},
          {"server", master.reply.source.text()},
          {"user", std::move(user)},
          {"tls", name(session.tls)},
          {"state", name(session.state)},
          {"last_command", said_json(session.last_command, view)},
          {"last_reply", said_json(session.last_reply, view)},
          {"transfer", session.transfer_command.empty()
                           ? ordered_json(nullptr)
                           : ordered_json{{"command", escaped(session.transfer_command)},
                                          {"began", unix_seconds(session.transfer_began, view)}}},
          {"transfers", session.transfers_done + session.transfers_failed},
          {"transfers_failed", session.transfers_failed},
          {"bytes", or_null(session.bytes)},
          {"data", data_json(session, view)},
          {"began", unix_seconds(session.began, view)},
          {"last_seen", unix_seconds(session.last_seen, view)},
          {"hint", or_null(hint(session, view))}};
}

ordered_json ladder_json(const std::vector<Rung>& ladder, const Viewpoint& view) {
  ordered_json result = ordered_json::array();
  for (const Rung& rung : ladder) result.push_back(rung_json(rung, view));
  return result;
}

ordered_json event_json(const Event& event, const Viewpoint& view) {
  ordered_json user = nullptr;
  if (event.user) user = escaped(*event.user);
  ordered_json result{{"time", unix_seconds(event.at, view)},
                      {"kind", event_name(event.kind)},
                      {"session", event.session.number == 0 ? ordered_json(nullptr)
                                                            : ordered_json(event.session.text())},
                      {"client", event.master.original.source.text()},
                      {"server", event.master.reply.source.text()},
                      {"user", std::move(user)}};
  if (event.decision) {
    const Decision& decision = *event.decision;
    result["control"] = {{"client", decision.control.source.text()},
                         {"server", decision.control.destination.text()}};
    result["from"] = sender(decision.direction);
    result["action"] = name(decision.action);
    result["reason"] = name(decision.reason);
    result["text"] = text(decision.reason);
    result["before"] = escaped(without_secret(decision.direction, decision.before));
    result["after"] = escaped(after_without_secret(decision));
    result["expectation"] = expectation_json(decision);
  }
  if (event.kind == Event::Kind::transfer) {
    result["command"] = escaped(event.command);
    result["ok"] = event.is_done;
  }
  return result;
}

std::string line_of(const ordered_json& json) {
  return json.dump(-1, ' ', false, ordered_json::error_handler_t::replace) + '\n';
}

}  // namespace ftpalg::tools
