// SPDX-License-Identifier: GPL-2.0-or-later
// ftp_load: many FTP sessions at once, each on a thread of its own. Downloads are compared with a
// local copy. Prints one JSON object a session, in the order in which they began; exits with 0
// whatever became of them.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "tests/load/session.h"

namespace ftpalg::load {
namespace {

using Clock = std::chrono::steady_clock;

struct Options {
  std::string server;
  std::uint16_t port = 21;
  std::string user = "anonymous";
  std::string password = "load@example.org";
  int sessions = 1;
  int transfers = 5;
  std::vector<std::string> modes{"PASV"};
  std::string file;
  std::string download;
  std::string upload;
  long every_ms = 0;
  Limit::rep limit = 30;
};

struct Outcome {
  Mode mode = Mode::port;
  int transfers = 0;
  std::chrono::duration<double> took{};
  std::string failure;
};

class Load {
 public:
  explicit Load(const Options& options)
      : options_(options), server_{Address::parse(options.server).value(), Port{options.port}} {
    for (const auto& mode : options.modes) modes_.push_back(mode_named(mode).value());
    std::ifstream file(options.file, std::ios::binary);
    content_.assign(std::istreambuf_iterator<char>(file), {});
    if (!file) throw Failure(fmt::format("cannot read {}", options.file));
  }

  std::vector<Outcome> run() {
    std::vector<Outcome> outcomes(static_cast<std::size_t>(options_.sessions));
    std::vector<std::jthread> threads;
    const auto begin = Clock::now();
    for (std::size_t number = 0; number < outcomes.size(); ++number) {
      std::this_thread::sleep_until(begin + number * std::chrono::milliseconds(options_.every_ms));
      threads.emplace_back([this, number, &outcomes] { outcomes[number] = one_session(number); });
    }
    for (auto& thread : threads) thread.join();
    return outcomes;
  }

 private:
  Outcome one_session(std::size_t number) const {
    Outcome outcome;
    outcome.mode = modes_[number % modes_.size()];
    const auto begin = Clock::now();
    try {
      Session session(server_, outcome.mode, Limit{options_.limit});
      session.log_in(options_.user, options_.password);
      while (outcome.transfers < options_.transfers) {
        if (outcome.transfers % 2 == 0) {
          session.download(options_.download, content_);
        } else {
          session.upload(fmt::format("{}.{}.{}", options_.upload, number, outcome.transfers),
                         content_);
        }
        ++outcome.transfers;
      }
      session.exchange("QUIT", "2");
    } catch (const Failure& failure) {
      outcome.failure = failure.what();
    }
    outcome.took = Clock::now() - begin;
    return outcome;
  }

  Options options_;
  Endpoint server_;
  std::vector<Mode> modes_;
  std::string content_;
};

CLI::Validator is_address() {
  return {[](const std::string& text) {
            return Address::parse(text) ? "" : fmt::format("'{}' is no address", text);
          },
          "ADDRESS"};
}

int run(int count, char** words) {
  Options options;
  CLI::App app{"Many FTP sessions at once", "ftp_load"};
  app.add_option("--server", options.server)->required()->check(is_address());
  app.add_option("--port", options.port);
  app.add_option("--user", options.user);
  app.add_option("--password", options.password);
  app.add_option("--sessions", options.sessions);
  app.add_option("--transfers", options.transfers,
                 "in each session, downloads and uploads by turns");
  app.add_option("--modes", options.modes, "taken by turns, a session each")
      ->delimiter(',')
      ->check(CLI::IsMember({"PORT", "PASV", "EPRT", "EPSV"}));
  app.add_option("--file", options.file, "the local copy")->required();
  app.add_option("--download", options.download, "the file's name at the server")->required();
  app.add_option("--upload", options.upload, "how the names of uploads begin")->required();
  app.add_option("--every-ms", options.every_ms, "a session begins so long after the one before");
  app.add_option("--limit", options.limit, "of each wait, in seconds");
  CLI11_PARSE(app, count, words);

  for (const auto& outcome : Load(options).run()) {
    const nlohmann::ordered_json object = {{"mode", name(outcome.mode)},
                                           {"transfers", outcome.transfers},
                                           {"seconds", outcome.took.count()},
                                           {"failure", outcome.failure}};
    fmt::print("{}\n", object.dump());
  }
  return 0;
}

}  // namespace
}  // namespace ftpalg::load

int main(int count, char** words) {
  try {
    return ftpalg::load::run(count, words);
  } catch (const std::exception& failure) {
    fmt::print(stderr, "ftp_load: {}\n", failure.what());
    return 1;
  }
}
