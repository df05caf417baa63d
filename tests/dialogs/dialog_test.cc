// SPDX-License-Identifier: GPL-2.0-or-later
// Every dialog beside this file, in every way that its text can travel: whole, cut at every byte,
// byte by byte, each segment twice, across the wrap of the sequence numbers, with the kernel's
// offsets and with the engine's own.
#define CATCH_CONFIG_RUNNER
#include "dialogs/dialog.h"

#include <fmt/format.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <exception>

#include "alg/data_connection.h"
#include "conversation.h"
#include "tools/decision_text.h"

namespace ftpalg::test {
namespace {

/// Longer lines are cut in their first bytes only, and byte by byte.
constexpr std::size_t cut_bytes_max = 128;

std::string_view without_line_end(std::string_view text) {
  if (text.ends_with("\r\n")) text.remove_suffix(2);
  return text;
}

std::string text_of(const std::vector<Expectation>& expectations) {
  std::string result;
  for (const Expectation& expectation : expectations) {
    result += tools::expectation_text(expectation);
  }
  return result;
}

/// One dialog in one way.
class Held {
 public:
  Held(const Dialog& dialog, const Ways& ways)
      : dialog_(dialog), conversation_(dialog.master, ways, dialog.policy) {
    conversation_.set_gateway_addresses(dialog.gateway_addresses);
  }

  void hold() {
    for (const DialogLine& line : dialog_.lines) say(line);
    CHECK(conversation_.everything_arrived());
  }

 private:
  void say(const DialogLine& line) {
    CAPTURE(line.number, line.said.bytes);
    const Direction direction = line.said.direction;
    const DialogOutcome& outcome = line.outcome;
    const std::size_t before = received(direction).size();
    direction == Direction::original ? conversation_.client(line.said.bytes)
                                     : conversation_.server(line.said.bytes);

    const std::string_view left = std::string_view{received(direction)}.substr(before);
    const std::string as_said = tools::escaped(without_line_end(line.said.bytes));
    REQUIRE(tools::escaped(without_line_end(left)) == outcome.leaves.value_or(as_said));
    check_decision(outcome);
    check_expectation(outcome);
  }

  const std::string& received(Direction direction) const {
    return direction == Direction::original ? conversation_.server_received()
                                            : conversation_.client_received();
  }

  void check_decision(const DialogOutcome& outcome) {
    std::string action = "forward";
    std::string reason;
    for (const Decision& decision : conversation_.take_decisions()) {
      if (decision.action == Action::wait) continue;
      if (action != "forward" && decision.action == Action::forward) continue;
      action = tools::name(decision.action);
      reason = text(decision.reason);
    }
    REQUIRE(action == outcome.action);
    // Explain has words for what no decision is about.
    const bool is_explains = outcome.reason.starts_with("held until") ||
                             outcome.reason.starts_with("the transfer is off");
    REQUIRE(reason == (is_explains ? "" : outcome.reason));
  }

  /// What is expected stays so until another line says more.
  void check_expectation(const DialogOutcome& outcome) {
    if (!outcome.expect.empty()) expected_ = outcome.expect;
    if (outcome.reason.starts_with("the transfer is off")) expected_.clear();
    REQUIRE(text_of(conversation_.expectations().all()) == expected_);
  }

  const Dialog& dialog_;
  Conversation conversation_;
  std::string expected_;
};

class DialogTest final : public Catch::ITestInvoker {
 public:
  explicit DialogTest(Dialog dialog) : dialog_(std::move(dialog)) {}

  void invoke() const override {
    std::size_t longest = 0;
    for (const DialogLine& line : dialog_.lines) {
      longest = std::max(longest, line.said.bytes.size());
    }
    for (const Ways& ways : all_ways(std::min(longest, cut_bytes_max))) {
      CAPTURE(to_string(ways));
      Held{dialog_, ways}.hold();
    }
  }

 private:
  Dialog dialog_;
};

void register_dialogs(const std::filesystem::path& directory) {
  for (const auto& entry : std::filesystem::directory_iterator{directory}) {
    const std::filesystem::path& path = entry.path();
    if (path.extension() != ".md" || path.filename() == "README.md") continue;
    for (const Dialog& dialog : read_dialogs(path)) {
      const std::string tag = "[" + path.stem().string() + "]";
      Catch::AutoReg(new DialogTest(dialog), Catch::SourceLineInfo(__FILE__, __LINE__), {},
                     {dialog.name, tag});
    }
  }
}

}  // namespace
}  // namespace ftpalg::test

int main(int argc, char** argv) {
  try {
    ftpalg::test::register_dialogs(FTPALG_TEST_SOURCE_DIR "/dialogs");
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}\n", error.what());
    return EXIT_FAILURE;
  }
  return Catch::Session().run(argc, argv);
}
