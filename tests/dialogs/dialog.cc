// SPDX-License-Identifier: GPL-2.0-or-later
#include "dialogs/dialog.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <array>
#include <fstream>
#include <stdexcept>
#include <string_view>

#include "tools/config_file.h"
#include "tools/explain_options.h"

namespace ftpalg::test {
namespace {

constexpr std::string_view command = "$ ftpalg explain";
constexpr std::array login{"S: 220 ready", "C: USER a", "S: 331 who?", "C: PASS b", "S: 230 in"};

/// Reads one file, line by line.
class Reader {
 public:
  explicit Reader(const std::filesystem::path& path) : path_(path), input_(path) {}

  std::vector<Dialog> read() {
    for (std::string line; next(line);) {
      if (line.starts_with("# ")) {
        subject_ = line.substr(2, line.find(':') - 2);
        subject_.front() = static_cast<char>(std::tolower(subject_.front()));
      } else if (line.starts_with("## ")) {
        title_ = line.substr(3);
        config_.clear();
      } else if (line == "```toml") {
        read_config();
      } else if (line == "```") {
        read_dialog();
      }
    }
    if (dialogs_.empty()) fail("there is no dialog in this file");
    return std::move(dialogs_);
  }

 private:
  [[noreturn]] void fail(std::string_view what) const {
    throw std::runtime_error(fmt::format("{}:{}: {}", path_.string(), number_, what));
  }

  bool next(std::string& line) {
    ++number_;
    return static_cast<bool>(std::getline(input_, line));
  }

  bool next_in_block(std::string& line) {
    if (!next(line)) fail("a block has no end; write ``` behind it");
    return line != "```";
  }

  void read_config() {
    for (std::string line; next_in_block(line);) config_ += line + "\n";
  }

  void read_dialog() {
    std::string line;
    if (!next_in_block(line) || !line.starts_with(command)) {
      fail(fmt::format("a dialog begins with '{}'", command));
    }
    const std::string options = line.substr(command.size());
    std::vector<DialogLine> lines;
    while (next_in_block(line)) read_line(line, lines);

    // "--nat snat,dnat": the same dialog for each.
    const std::size_t nat_at = options.find("--nat ");
    std::vector<std::string> variants{options};
    if (nat_at != std::string::npos) {
      const std::size_t begin = nat_at + 6;
      const std::size_t end = std::min(options.find(' ', begin), options.size());
      variants.clear();
      for (const std::string& nat : CLI::detail::split(options.substr(begin, end - begin), ',')) {
        variants.push_back(options.substr(0, begin) + nat + options.substr(end));
      }
    }
    for (const std::string& variant : variants) {
      Dialog& dialog = dialogs_.emplace_back();
      dialog.name = fmt::format("{}: {}", subject_, title_);
      if (variants.size() > 1) dialog.name += fmt::format(" ({})", CLI::detail::trim_copy(variant));
      dialog.master = master(variant);
      dialog.policy = policy();
      dialog.gateway_addresses = tools::gateway_addresses(dialog.master);
      dialog.lines = lines;
    }
  }

  Master master(const std::string& options) const {
    CLI::App app;
    tools::ExplainOptions result;
    tools::add_explain_options(app, result);
    try {
      app.parse(options);
    } catch (const CLI::ParseError& error) {
      fail(error.what());
    }
    const auto found = result.master();
    if (!found) fail(found.error());
    return *found;
  }

  Policy policy() const {
    const auto config = tools::parse_config(config_, path_.string());
    if (!config) fail(config.error().front());
    return config->policy;
  }

  void read_line(const std::string& line, std::vector<DialogLine>& lines) {
    if (line == "(login)") {
      for (const char* const said : login) read_line(said, lines);
    } else if (line.starts_with("   ")) {
      if (lines.empty()) fail("what is to become of which line?");
      read_outcome(line.substr(3), lines.back().outcome);
    } else {
      const auto said = tools::read_said_line(line);
      if (!said) fail(said.error());
      if (*said) lines.push_back({**said, {}, number_});
    }
  }

  void read_outcome(std::string_view line, DialogOutcome& outcome) const {
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) fail("an outcome has a colon");
    const std::string_view key = line.substr(0, colon);
    std::string_view value = line.substr(colon + 1);
    value.remove_prefix(std::min(value.find_first_not_of(' '), value.size()));
    if (key == "forward" || key == "rewrite" || key == "refuse") {
      outcome.action = key;
      outcome.reason = value;
    } else if (key == "leaves") {
      outcome.leaves = value;
    } else if (key == "expect") {
      outcome.expect = value;
    } else if (key == "opaque") {
      outcome.opaque = true;
    } else {
      fail("an outcome is one of forward, rewrite, refuse, leaves, expect, opaque");
    }
  }

  std::filesystem::path path_;
  std::ifstream input_;
  unsigned number_ = 0;
  std::string subject_;
  std::string title_;
  std::string config_;
  std::vector<Dialog> dialogs_;
};

}  // namespace

std::vector<Dialog> read_dialogs(const std::filesystem::path& path) {
  return Reader{path}.read();
}

}  // namespace ftpalg::test
