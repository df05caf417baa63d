// SPDX-License-Identifier: GPL-2.0-or-later
// ftpalg replay: what the gateway would have done with the sessions of a capture.
#include <fmt/chrono.h>
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "tools/capture.h"
#include "tools/commands.h"
#include "tools/decision_text.h"
#include "tools/replay.h"

namespace ftpalg::tools {
namespace {

struct ReplayOptions {
  std::string input;
  std::string output;
  std::vector<std::string> nats;
  std::vector<std::uint16_t> control_ports{21};
  bool json = false;
};

/// Of a cause that many packets share, the first is told and the others are counted.
constexpr std::size_t notes_max = 10;

int failed(std::string_view reason) {
  fmt::print(stderr, "ftpalg: {}\n", reason);
  return EXIT_FAILURE;
}

/// RFC 3339, UTC, to the nanosecond.
std::string time_text(Time time) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(time);
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:09}Z",
                     fmt::gmtime(static_cast<std::time_t>(seconds.count())),
                     (time - seconds).count());
}

void print(const Decision& decision, const ReplayOptions& options, std::uint64_t packet,
           Time time) {
  if (!options.json) {
    fmt::print("{} packet {}: {}\n", time_text(time), packet, decision_text(decision));
    return;
  }
  nlohmann::json object = decision_json(decision);
  object["time"] = time_text(time);
  object["packet"] = packet;
  fmt::print("{}\n", object.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace));
}

/// Warnings about packets, on standard error.
class Notes {
 public:
  void add(std::uint64_t packet, std::string_view note) {
    if (++count_ <= notes_max) fmt::print(stderr, "ftpalg: packet {}: {}\n", packet, note);
  }
  bool empty() const { return count_ == 0; }
  void finish() const {
    if (count_ > notes_max)
      fmt::print(stderr, "ftpalg: and {} more packets like these\n", count_ - notes_max);
  }

 private:
  std::size_t count_ = 0;
};

bool is_same_file(const std::string& a, const std::string& b) {
  std::error_code ignored;
  return std::filesystem::equivalent(a, b, ignored);
}

int replay(const ReplayOptions& options) {
  std::vector<Nat> nats;
  for (const std::string& text : options.nats) {
    const auto nat = Nat::parse(text);
    if (!nat) return failed("--nat " + nat.error());
    nats.push_back(*nat);
  }
  std::vector<Port> control_ports;
  for (const std::uint16_t port : options.control_ports) control_ports.push_back({port});

  auto input = CaptureReader::open(options.input);
  if (!input) return failed(input.error());
  std::optional<CaptureWriter> output;
  if (!options.output.empty()) {
    if (is_same_file(options.input, options.output)) {
      return failed(fmt::format(
          "'{}' would be overwritten while it is read; name another file with -w", options.output));
    }
    auto opened = CaptureWriter::open(options.output, input->link_type());
    if (!opened) return failed(opened.error());
    output = std::move(*opened);
  }

  Replay gateway{std::move(nats), std::move(control_ports)};
  Notes notes;
  std::uint64_t packets = 0;
  Time latest{};
  std::vector<std::uint8_t> frame_out;
  int exit_status = EXIT_SUCCESS;
  while (true) {
    const auto read = input->next();
    if (!read) exit_status = failed(read.error());
    if (!read || !*read) break;
    const Frame& frame = **read;
    ++packets;
    // Packets that were captured on several processors may be out of order.
    latest = std::max(latest, frame.time);

    if (!frame.ip_begin) {
      if (output) output->write(frame.time, frame.bytes, frame.wire_bytes);
      continue;
    }
    const wire::Bytes link_header = frame.bytes.first(*frame.ip_begin);
    const wire::Bytes captured = frame.bytes.subspan(*frame.ip_begin);
    const Replay::Passed passed = gateway.on_packet(captured, latest);
    for (const Decision& decision : passed.decisions) print(decision, options, packets, frame.time);
    if (passed.note) notes.add(packets, *passed.note);
    if (!output || !passed.packet) continue;

    frame_out.assign(link_header.begin(), link_header.end());
    frame_out.insert(frame_out.end(), passed.packet->begin(), passed.packet->end());
    output->write(frame.time, frame_out,
                  passed.is_new ? static_cast<std::uint32_t>(frame_out.size()) : frame.wire_bytes);
  }
  notes.finish();

  if (output) {
    if (const auto finished = output->finish(); !finished) exit_status = failed(finished.error());
  }
  if (gateway.control_connections() == 0 && notes.empty() && exit_status == EXIT_SUCCESS) {
    fmt::print(stderr,
               "ftpalg: none of the {} packets of '{}' belongs to a control connection; name their "
               "port with --port\n",
               packets, options.input);
  }
  return exit_status;
}

}  // namespace

void add_replay_command(CLI::App& app, int& exit_status) {
  CLI::App* const command = app.add_subcommand(
      "replay", "what the gateway would have done with the sessions of a capture");
  const auto options = std::make_shared<ReplayOptions>();
  command
      ->add_option("capture", options->input,
                   "pcap or pcapng file, taken on one side of the gateway; - is standard input")
      ->required();
  command->add_option("-w,--write", options->output,
                      "pcap file to be written: the same sessions as seen from the other side");
  command
      ->add_option(
          "--nat", options->nats,
          "what the gateway translates: snat:PUBLIC, or snat:PUBLIC=INSIDE for a capture taken "
          "outside; "
          "dnat:PUBLIC=INSIDE; none. Given several times, the first that fits a connection counts")
      ->allow_extra_args(false);
  command
      ->add_option("--port", options->control_ports,
                   "TCP port of control connections; may be given several times")
      ->capture_default_str()
      ->allow_extra_args(false);
  command->add_flag("--json", options->json, "one JSON object per decision");
  command->callback([options, &exit_status] { exit_status = replay(*options); });
}

}  // namespace ftpalg::tools
