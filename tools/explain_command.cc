// SPDX-License-Identifier: GPL-2.0-or-later
// ftpalg explain: what the gateway would do with a conversation that is typed or pasted.
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>

#include "alg/ftp_line.h"
#include "tools/commands.h"
#include "tools/config_file.h"
#include "tools/config_option.h"
#include "tools/decision_text.h"
#include "tools/explain.h"
#include "tools/explain_line.h"
#include "tools/explain_options.h"
#include "tools/failure.h"

namespace ftpalg::tools {
namespace {

struct ExplainCommandOptions {
  ExplainOptions conversation;
  std::string config_file;
  bool json = false;
};

/// Who talks to whom, as a comment.
std::string heading(const Master& master) {
  const auto end = [](std::string_view name, const Address& own, const Address& other,
                      std::string_view how) {
    return own == other ? fmt::format("{} {}", name, own.text())
                        : fmt::format("{} {}, {} {}", name, own.text(), how, other.text());
  };
  return fmt::format(
      "# {}; {}",
      end("client", master.client(), master.client_as_server_sees_it(), "seen by the server as"),
      end("server", master.server(), master.server_as_client_dials_it(),
          "dialled by the client as"));
}

/// What makes the announcement in the line of `decision` unreadable; nothing when that is not its
/// fault.
std::optional<std::string_view> flaw(const Decision& decision) {
  if (decision.reason != Reason::unparsable) return std::nullopt;
  std::optional<AnnouncementKind> kind;
  std::size_t begin = 0;
  if (decision.direction == Direction::original) {
    const Command command = read_command(decision.before);
    kind = announcement_of(command.verb);
    begin = command.verb_begin;
  } else if (const auto reply = read_reply(decision.before)) {
    kind = announcement_of(reply->code);
  }
  if (!kind) return std::nullopt;
  const auto announcement =
      parse_announcement(*kind, std::string_view{decision.before}.substr(begin));
  if (announcement) return std::nullopt;
  return text(announcement.error());
}

/// The line as it was said, and below it what becomes of it.
void print_text(const SaidLine& said, const Explained& explained, bool was_opaque) {
  const Decision& decision = explained.decision;
  std::string_view bytes = said.bytes;
  if (!said.waits) bytes.remove_suffix(2);
  fmt::print("{}: {}{}\n", said.direction == Direction::original ? 'C' : 'S', escaped(bytes),
             said.waits ? "\\" : "");
  fmt::print("   {}: {}\n", name(decision.action), explained.reason);
  if (const auto found = flaw(decision)) fmt::print("   namely: {}\n", *found);
  if (explained.text != bytes) {
    fmt::print("   leaves:{}{}\n", explained.text.empty() ? "" : " ", escaped(explained.text));
  }
  if (decision.expectation) fmt::print("   expect: {}\n", expectation_text(*decision.expectation));
  if (explained.opaque && !was_opaque) fmt::print("   opaque: no later line is read\n");
}

void print_json(std::uint64_t line, const Explained& explained) {
  const Decision& decision = explained.decision;
  const nlohmann::ordered_json object = {{"line", line},
                                         {"from", sender(decision.direction)},
                                         {"action", name(decision.action)},
                                         {"text", escaped(explained.text)},
                                         {"expect", expectation_json(decision)},
                                         {"opaque", explained.opaque},
                                         {"reason", explained.reason}};
  fmt::print("{}\n", object.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace));
}

int explain(const ExplainCommandOptions& options) {
  const auto master = options.conversation.master();
  if (!master) return failed(master.error());
  const auto config = read_config(options.config_file);
  if (!config) return failed(config.error());

  if (isatty(STDIN_FILENO) != 0) {
    fmt::print(stderr,
               "ftpalg: type what client and server say, 'C: ...' and 'S: ...', from the server's "
               "220 on; end with Ctrl-D\n");
  }
  if (!options.json) fmt::print("{}\n", heading(*master));

  Explanation explanation(*master, config->policy, gateway_addresses(*master));
  bool was_opaque = false;
  std::uint64_t number = 0;
  for (std::string line; std::getline(std::cin, line);) {
    ++number;
    const auto said = read_said_line(line);
    if (!said) return failed(fmt::format("line {}: {}", number, said.error()));
    if (!*said) continue;
    const Explained explained = explanation.say((*said)->direction, (*said)->bytes);
    if (options.json) {
      print_json(number, explained);
    } else {
      print_text(**said, explained, was_opaque);
    }
    std::fflush(stdout);  // an answer to each line, for one who types
    was_opaque = explained.opaque;
  }
  return EXIT_SUCCESS;
}

}  // namespace

void add_explain_command(CLI::App& app, int& exit_status) {
  CLI::App* const command =
      app.add_subcommand("explain",
                         "what the gateway would do with a conversation, read from standard input: "
                         "lines 'C: text' and 'S: text'");
  const auto options = std::make_shared<ExplainCommandOptions>();
  add_explain_options(*command, options->conversation);
  add_config_option(*command, options->config_file);
  command->add_flag("--json", options->json, "one JSON object per line");
  command->footer(
      "The text of a line is what is on the wire without CR LF; it may hold C escapes, and \\ at "
      "its very end means that its line end is still to come. Empty lines and lines that begin "
      "with # are skipped.\n\nExample:\n"
      "  printf '%s\\n' 'S: 220 hi' 'C: USER a' 'S: 230 in' 'C: PORT 10,0,0,2,195,80' | ftpalg "
      "explain");
  command->callback([options, &exit_status] { exit_status = explain(*options); });
}

}  // namespace ftpalg::tools
