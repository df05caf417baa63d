// SPDX-License-Identifier: GPL-2.0-or-later
// ftp_bench: both ends of the benchmarks' conversations. `client` prints one JSON object.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "tests/bench/load/client.h"
#include "tests/bench/load/server.h"

namespace ftpalg::bench {
namespace {

struct Options {
  std::string address = "0.0.0.0";
  std::uint16_t port = 21;
  std::uint16_t first_data_port = 50000;
  std::uint16_t data_ports = 512;
  std::string work;
  std::vector<std::string> servers;
  std::vector<std::string> sources;
  std::size_t sessions = 1;
  std::uint64_t bytes = 1;
  double seconds = 1;
};

const std::map<std::string, Work> works{
    {"noop", Work::noop}, {"retr", Work::retr}, {"session", Work::session}, {"idle", Work::idle}};

double microseconds_at(std::vector<std::chrono::nanoseconds>& sorted, double part) {
  if (sorted.empty()) return 0;
  const auto last = static_cast<double>(sorted.size() - 1);
  return static_cast<double>(sorted[static_cast<std::size_t>(last * part)].count()) / 1000;
}

void run_client(const Options& options) {
  Load load;
  load.work = works.at(options.work);
  load.sessions = options.sessions;
  load.bytes = options.bytes;
  load.time = std::chrono::duration<double>(options.seconds);
  for (const auto& server : options.servers) {
    load.servers.push_back({Address::parse(server).value(), Port{options.port}});
  }
  for (const auto& source : options.sources) {
    load.sources.push_back(Address::parse(source).value());
  }
  auto result = run(load);
  std::sort(result.each.begin(), result.each.end());
  const double seconds = result.took.count();
  const nlohmann::ordered_json object = {
      {"operations", result.operations},
      {"seconds", seconds},
      {"per_second", static_cast<double>(result.operations) / seconds},
      {"bytes_per_second", static_cast<double>(result.bytes) / seconds},
      {"median_us", microseconds_at(result.each, 0.5)},
      {"p99_us", microseconds_at(result.each, 0.99)}};
  fmt::print("{}\n", object.dump());
}

int run_program(int count, char** words) {
  Options options;
  CLI::App app{"Both ends of the benchmarks' conversations", "ftp_bench"};
  app.require_subcommand(1);

  auto* server = app.add_subcommand("server", "serves until it is ended");
  server->add_option("--address", options.address);
  server->add_option("--port", options.port);
  server->add_option("--first-data-port", options.first_data_port);
  server->add_option("--data-ports", options.data_ports);
  server->callback([&] {
    Server({Address::parse(options.address).value(), Port{options.port}},
           Port{options.first_data_port}, options.data_ports)
        .serve();
  });

  auto* client = app.add_subcommand("client", "does one thing over and over, and counts");
  client->add_option("--work", options.work)
      ->required()
      ->check(CLI::IsMember({"noop", "retr", "session", "idle"}));
  client->add_option("--server", options.servers, "IPv4 addresses")->required()->delimiter(',');
  client->add_option("--source", options.sources, "IPv4 addresses to dial from")->delimiter(',');
  client->add_option("--port", options.port);
  client->add_option("--sessions", options.sessions);
  client->add_option("--bytes", options.bytes, "of each transfer");
  client->add_option("--seconds", options.seconds);
  client->callback([&] { run_client(options); });

  lift_descriptor_limit();
  CLI11_PARSE(app, count, words);
  return 0;
}

}  // namespace
}  // namespace ftpalg::bench

int main(int count, char** words) {
  try {
    return ftpalg::bench::run_program(count, words);
  } catch (const std::exception& failure) {
    fmt::print(stderr, "ftp_bench: {}\n", failure.what());
    return 1;
  }
}
