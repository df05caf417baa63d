// SPDX-License-Identifier: GPL-2.0-or-later
// simulator: runs simulated sessions by seed and judges each. See simulation.h.
#include <fmt/format.h>

#include <charconv>
#include <chrono>
#include <cstdio>
#include <string_view>

#include "simulation.h"

namespace ftpalg::simulator {
namespace {

constexpr std::string_view usage =
    "usage: simulator --seeds FIRST-LAST [--verbose] [--without-gateway] [--keep-going]\n"
    "  --verbose          print every packet of every session\n"
    "  --without-gateway  only the two endpoints and their network, to try the simulator itself\n"
    "  --keep-going       list all seeds that fail, without a trace\n";

struct Options {
  std::uint64_t first = 1;
  std::uint64_t last = 1000;
  bool verbose = false;
  bool without_gateway = false;
  bool keep_going = false;
};

bool read_number(std::string_view text, std::uint64_t& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc{} && end == text.data() + text.size();
}

bool read_options(int count, char** words, Options& options) {
  for (int i = 1; i < count; ++i) {
    const std::string_view word = words[i];
    if (word == "--verbose") {
      options.verbose = true;
    } else if (word == "--without-gateway") {
      options.without_gateway = true;
    } else if (word == "--keep-going") {
      options.keep_going = true;
    } else if (word == "--seeds" && i + 1 < count) {
      const std::string_view range = words[++i];
      const std::size_t hyphen = range.find('-');
      if (!read_number(range.substr(0, hyphen), options.first)) return false;
      options.last = options.first;
      if (hyphen != range.npos && !read_number(range.substr(hyphen + 1), options.last)) {
        return false;
      }
    } else {
      return false;
    }
  }
  return true;
}

struct Totals {
  std::uint64_t sessions = 0;
  std::uint64_t failed = 0;
  std::uint64_t excused_sessions = 0;
  Time took{};

  void add(const Result& result) {
    ++sessions;
    if (!result.finding.empty()) ++failed;
    if (result.seams_failed) ++excused_sessions;
    took += result.took;
  }
};

void print(const Totals& totals, const Figures& figures, double seconds) {
  fmt::print("{} sessions in {:.1f} s ({:.0f} hours of simulated time), {} failed\n",
             totals.sessions, seconds,
             std::chrono::duration<double, std::ratio<3600>>(totals.took).count(), totals.failed);
  fmt::print(
      "network: {} packets, {} lost, {} repeated, {} reordered, {} cut, {} joined, into up to {} "
      "bytes, {} too large for their path, {} forged\n",
      figures.packets, figures.lost, figures.repeated, figures.reordered, figures.cut,
      figures.joined, figures.largest_packet, figures.too_large, figures.forged);
  fmt::print(
      "endpoints: {} segments, {} of them repetitions; received {} old bytes that differ, "
      "{} segments above the MSS, {} senseless SACK blocks of the kernel's\n",
      figures.segments, figures.repetitions, figures.differing_copies, figures.above_mss,
      figures.senseless_sack);
  fmt::print(
      "engine: {} packets, {} edits, {} waits, {} drops for missing bytes, {} held "
      "pieces acknowledged, {} sent on by the engine, {} moves to another engine\n",
      figures.queued, figures.edits, figures.waits, figures.bytes_missing, figures.holds,
      figures.payments, figures.moves);
  fmt::print(
      "lines: {} delivered, {} rewritten ({} by late gateways), {} opened, {} superseded, {} "
      "urgent pointers; {} not "
      "edited in {} sessions with failing seams, {} held too long\n",
      figures.lines, figures.rewritten, figures.rewritten_late, figures.opened, figures.superseded,
      figures.urgent, figures.excused, totals.excused_sessions, figures.held_too_long);
}

int run(const Options& options) {
  const auto begin = std::chrono::steady_clock::now();
  Workspace workspace;
  Totals totals;
  Setting setting;
  setting.gateway_is_present = !options.without_gateway;
  setting.traces = options.verbose;
  for (std::uint64_t seed = options.first; seed <= options.last; ++seed) {
    Result result = simulate(seed, setting, workspace);
    totals.add(result);
    if (options.verbose) fmt::print("seed {}: {}\n", seed, result.setup);
    if (result.finding.empty()) continue;
    fmt::print("seed {} FAILED: {}\n", seed, result.finding);
    if (options.keep_going || options.verbose) continue;
    fmt::print("  {}\n", result.setup);
    setting.traces = true;
    simulate(seed, setting, workspace);
    fmt::print("seed {} FAILED: {}\n", seed, result.finding);
    break;
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  print(totals, workspace.figures, took.count());
  return totals.failed == 0 ? 0 : 1;
}

}  // namespace
}  // namespace ftpalg::simulator

int main(int count, char** words) {
  ftpalg::simulator::Options options;
  if (!ftpalg::simulator::read_options(count, words, options)) {
    fmt::print(stderr, "{}", ftpalg::simulator::usage);
    return 2;
  }
  return ftpalg::simulator::run(options);
}
