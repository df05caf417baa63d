// SPDX-License-Identifier: GPL-2.0-or-later
#include "tools/status_text.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string_view>
#include <vector>

#include "tools/screen_text.h"

namespace ftpalg::tools {
namespace {

using nlohmann::ordered_json;

/// What stands at `path` ("/rules/state"), or null.
const ordered_json& at(const ordered_json& json, const char* path) {
  static const ordered_json none = nullptr;
  const ordered_json::json_pointer pointer(path);
  return json.contains(pointer) ? json.at(pointer) : none;
}

std::string text_at(const ordered_json& json, const char* path) {
  const ordered_json& value = at(json, path);
  return value.is_string() ? value.get<std::string>() : std::string{};
}

std::uint64_t count_at(const ordered_json& json, const char* path) {
  const ordered_json& value = at(json, path);
  return value.is_number() ? value.get<std::uint64_t>() : 0;
}

double number_at(const ordered_json& json, const char* path) {
  const ordered_json& value = at(json, path);
  return value.is_number() ? value.get<double>() : 0;
}

std::string rules_text(const ordered_json& status, double now) {
  const std::string state = text_at(status, "/rules/state");
  std::string result = state.empty() ? "unknown" : state;
  if (const std::string format = text_at(status, "/rules/format"); !format.empty()) {
    result += fmt::format(" ({})", format);
  }
  if (at(status, "/rules/looked").is_number()) {
    result += fmt::format(", looked at {}", clock_text(number_at(status, "/rules/looked"), now));
  }
  return result;
}

std::string queues_text(const ordered_json& queues) {
  std::uint64_t packets = 0;
  std::uint64_t unread = 0;
  std::vector<std::string> each;
  for (const ordered_json& queue : queues) {
    packets += count_at(queue, "/packets");
    unread += count_at(queue, "/unread");
    each.push_back(fmt::format("{}: {}", count_at(queue, "/number"), count_at(queue, "/packets")));
  }
  std::string result = fmt::format("{} packets", packets);
  if (each.size() > 1) result += fmt::format(" ({})", fmt::join(each, ", "));
  return result + (unread == 0 ? ", none unread" : fmt::format(", {} passed UNREAD", unread));
}

std::string sessions_text(const ordered_json& status) {
  std::string result = fmt::format("{} now", count_at(status, "/sessions/now"));
  if (const auto encrypted = count_at(status, "/sessions/encrypted_now"); encrypted > 0) {
    result += fmt::format(", {} of them encrypted", encrypted);
  }
  return result + fmt::format("; {} since the start", count_at(status, "/sessions/begun"));
}

std::string transfers_text(const ordered_json& status) {
  std::string result =
      fmt::format("{} now; {} done, {} failed", count_at(status, "/transfers/now"),
                  count_at(status, "/transfers/done"), count_at(status, "/transfers/failed"));
  if (const auto bytes = count_at(status, "/transfers/bytes"); bytes > 0) {
    result += fmt::format("; {}", bytes_text(bytes));
  }
  return result;
}

std::string decisions_text(const ordered_json& decisions, std::size_t columns) {
  std::string result;
  for (const ordered_json& each : decisions) {
    const std::string action = text_at(each, "/action");
    const std::string mark = action == "refuse" ? "refused: " : "";
    result += labelled(fmt::format("{:>12}", count_at(each, "/count")),
                       mark + text_at(each, "/text"), columns);
  }
  return result;
}

std::string said_text(const ordered_json& said, double now) {
  return fmt::format("{}, {} ago", text_at(said, "/text"),
                     duration_text(now - number_at(said, "/time")));
}

std::string data_text(const ordered_json& data, double now) {
  std::string result = text_at(data, "/mode");
  const std::string announced = text_at(data, "/announced");
  const std::string advertised = text_at(data, "/advertised");
  if (!announced.empty()) result += fmt::format(", {}", announced);
  if (!advertised.empty() && advertised != announced) {
    result += fmt::format(" advertised as {}", advertised);
  }
  const std::string state = text_at(data, "/state");
  result += fmt::format(", {}", state);
  if (state == "expected") result += fmt::format(" from {}", text_at(data, "/who"));
  result += fmt::format(" for {}", duration_text(now - number_at(data, "/since")));
  for (const auto& [path, whom] : {std::pair{"/to_client", "client"}, {"/to_server", "server"}}) {
    if (!at(data, path).is_number() || count_at(data, path) == 0) continue;
    result += fmt::format(", {} to the {}", bytes_text(count_at(data, path)), whom);
  }
  return result;
}

constexpr const char* session_row_heads =
    "SESSION  CLIENT                SERVER           USER      STATE      AGE LAST COMMAND";

/// What is most of use of a session, in columns that fit the usual addresses and 80 columns.
std::string session_row(const ordered_json& session, double now) {
  constexpr std::string_view usual_port = ":21";
  std::string server = text_at(session, "/server");
  if (server.ends_with(usual_port)) server.resize(server.size() - usual_port.size());
  return fmt::format("{} {} {} {} {} {:>3} {}", fitted(text_at(session, "/id"), 8),
                     fitted(text_at(session, "/client"), 21), fitted(server, 16),
                     fitted(text_at(session, "/user"), 9), fitted(text_at(session, "/state"), 10),
                     short_duration(now - number_at(session, "/began")),
                     text_at(session, "/last_command/text"));
}

/// "A" or, where the other end knows it as B, "A (as B)".
std::string with_other(const std::string& own, std::string_view words, const std::string& other) {
  return other.empty() || other == own ? own : fmt::format("{} ({} {})", own, words, other);
}

}  // namespace

std::string status_text(const ordered_json& status, double unix_now, std::size_t columns) {
  const double since = number_at(status, "/since");
  std::string result = fmt::format("ftpalg {}, running for {} (since {}), process {}\n",
                                   text_at(status, "/version"), duration_text(unix_now - since),
                                   clock_text(since, unix_now), count_at(status, "/pid"));
  const auto add = [&](std::string_view label, const std::string& text) {
    result += labelled(label, text, columns);
  };
  const auto& told = at(status, "/kernel/connection_with_packet");
  add("kernel", text_at(status, "/kernel/release") +
                    (told == true    ? ", tells of connections with their packets"
                     : told == false ? ", conntrack is asked for connections"
                                     : ""));
  add("rules", rules_text(status, unix_now));
  for (const ordered_json& lack : at(status, "/rules/lacks")) {
    add("", fmt::format("- {}", text_at(lack, "/what")));
    add("", fmt::format("  mend: {}", text_at(lack, "/mend")));
  }
  add("queues", queues_text(at(status, "/queues")));
  add("sessions", sessions_text(status));
  add("expectations",
      fmt::format("{} now; {} since the start", count_at(status, "/expectations/now"),
                  count_at(status, "/expectations/installed")));
  add("transfers", transfers_text(status));
  add("rates",
      fmt::format("{:.1f} packets, {:.1f} sessions, {:.1f} transfers per second",
                  number_at(status, "/rates/packets"), number_at(status, "/rates/sessions"),
                  number_at(status, "/rates/transfers")));
  if (const ordered_json& decisions = at(status, "/decisions"); !decisions.empty()) {
    result += "\ndecisions, and why\n" + decisions_text(decisions, columns);
  }
  if (const ordered_json& errors = at(status, "/errors"); !errors.empty()) {
    result += "\nlast warnings and errors\n";
    for (const ordered_json& each : errors) {
      add(clock_text(number_at(each, "/time"), unix_now),
          fmt::format("{}: {}", text_at(each, "/level"), text_at(each, "/text")));
    }
  }
  return result;
}

std::string session_text(const ordered_json& session, double unix_now, std::size_t columns) {
  std::string result =
      fmt::format("session {}: {}, {} old\n", text_at(session, "/id"), text_at(session, "/state"),
                  duration_text(unix_now - number_at(session, "/began")));
  const auto add = [&](std::string_view label, const std::string& text) {
    if (!text.empty()) result += labelled(label, text, columns);
  };
  add("client", with_other(text_at(session, "/client"), "the server sees",
                           text_at(session, "/client_as_server_sees")));
  add("server",
      with_other(text_at(session, "/server"), "the client dialled", text_at(session, "/dialled")));
  add("user", text_at(session, "/user"));
  if (const std::string tls = text_at(session, "/tls"); tls != "none") add("tls", tls);
  if (const auto& command = at(session, "/last_command"); command.is_object()) {
    add("last command", said_text(command, unix_now));
  }
  if (const auto& reply = at(session, "/last_reply"); reply.is_object()) {
    add("last reply", said_text(reply, unix_now));
  }
  if (const auto transfers = count_at(session, "/transfers"); transfers > 0) {
    std::string text = fmt::format("{}", transfers);
    if (const auto failures = count_at(session, "/transfers_failed"); failures > 0) {
      text += fmt::format(", {} of them failed", failures);
    }
    if (at(session, "/bytes").is_number()) {
      text += fmt::format("; {}", bytes_text(count_at(session, "/bytes")));
    }
    add("transfers", text);
  }
  if (const auto& data = at(session, "/data"); data.is_object()) {
    add("data", data_text(data, unix_now));
  }
  add("HINT", text_at(session, "/hint"));
  return result;
}

std::vector<std::string> watch_lines(const ordered_json& status,
                                     const std::vector<ordered_json>& stuck,
                                     const std::vector<ordered_json>& sessions, std::size_t of,
                                     double unix_now, std::size_t columns, std::size_t rows) {
  std::vector<std::string> lines;
  lines.push_back(fmt::format(
      "ftpalg {}, running for {}; rules {}; q ends this", text_at(status, "/version"),
      duration_text(unix_now - number_at(status, "/since")), text_at(status, "/rules/state")));
  lines.push_back(fmt::format("sessions: {}", sessions_text(status)));
  lines.push_back(fmt::format("transfers: {}; {} expected", transfers_text(status),
                              count_at(status, "/expectations/now")));
  lines.push_back(fmt::format("{:.1f} packets, {:.1f} sessions, {:.1f} transfers per second",
                              number_at(status, "/rates/packets"),
                              number_at(status, "/rates/sessions"),
                              number_at(status, "/rates/transfers")));
  lines.emplace_back();
  lines.push_back(session_row_heads);
  constexpr std::size_t narrowest = 12;
  std::set<std::string> shown;
  std::size_t left_out = of;
  const auto add = [&](const ordered_json& session) {
    std::vector<std::string> block{session_row(session, unix_now)};
    if (const std::string hint = text_at(session, "/hint"); !hint.empty()) {
      for (const std::string& line : wrapped("! " + hint, std::max(columns, narrowest) - 2)) {
        block.push_back("  " + line);
      }
    }
    // The last row tells of those that have no room.
    if (lines.size() + block.size() >= rows) return;
    if (!shown.insert(text_at(session, "/id")).second) return;
    lines.insert(lines.end(), block.begin(), block.end());
    if (left_out > 0) --left_out;
  };
  for (const ordered_json& session : stuck) add(session);
  for (const ordered_json& session : sessions) add(session);
  if (of == 0) lines.emplace_back("no session");
  if (left_out > 0) lines.push_back(fmt::format("... and {} more", left_out));
  for (std::string& line : lines) {
    if (line.size() > columns) line = fitted(line, columns);
  }
  if (lines.size() > rows) lines.resize(rows);
  return lines;
}

std::string rung_text(const ordered_json& rung, double unix_now) {
  const std::string from = text_at(rung, "/from");
  const std::string before = text_at(rung, "/before");
  const std::string after = text_at(rung, "/after");
  const std::string text = text_at(rung, "/text");
  const std::string_view arrow = from == "client" ? "->" : from == "server" ? "<-" : "--";
  std::string result = fmt::format("{} {} ", clock_text(number_at(rung, "/time"), unix_now), arrow);
  if (before.empty()) return result + text;
  result += before;
  if (after != before) result += fmt::format("  becomes  {}", after);
  if (!text.empty()) result += fmt::format("  ({})", text);
  if (at(rung, "/bytes").is_number()) {
    result += fmt::format(", {}", bytes_text(count_at(rung, "/bytes")));
  }
  return result;
}

std::string event_text(const ordered_json& event, double unix_now) {
  const std::string kind = text_at(event, "/kind");
  const std::string session = text_at(event, "/session");
  const std::string user = text_at(event, "/user");
  std::string result = fmt::format(
      "{} {} {} -> {}", clock_text(number_at(event, "/time"), unix_now),
      session.empty() ? "-" : session, text_at(event, "/client"), text_at(event, "/server"));
  if (!user.empty()) result += fmt::format(" {}", user);
  if (kind == "begin") return result + ": the session begins";
  if (kind == "end") return result + ": the session ends";
  if (kind == "transfer") {
    return result + fmt::format(": '{}' {}", text_at(event, "/command"),
                                at(event, "/ok") == true ? "is done" : "has FAILED");
  }
  const std::string before = text_at(event, "/before");
  const std::string after = text_at(event, "/after");
  if (before.empty()) return result + fmt::format(": {}", text_at(event, "/text"));
  result += fmt::format(": {} '{}'", text_at(event, "/from"), before);
  if (after != before) result += fmt::format(" becomes '{}'", after);
  result += fmt::format(": {}", text_at(event, "/text"));
  const auto& expectation = at(event, "/expectation");
  if (expectation.is_object()) {
    result += fmt::format(" ({} -> {} port {}, mapped to {})", text_at(expectation, "/source"),
                          text_at(expectation, "/destination"), count_at(expectation, "/port"),
                          text_at(expectation, "/maps_to"));
  }
  return result;
}

}  // namespace ftpalg::tools
