// SPDX-License-Identifier: GPL-2.0-or-later
// ftpalg replay: what the gateway would have done with the sessions of a capture.
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>

#include "tools/capture.h"
#include "tools/commands.h"
#include "tools/config_file.h"
#include "tools/config_option.h"
#include "tools/decision_text.h"
#include "tools/failure.h"
#include "tools/replay.h"
#include "tools/report/html_report.h"
#include "tools/report/session_album.h"

namespace ftpalg::tools {
namespace {

struct ReplayOptions {
  std::string input;
  std::string output;
  std::string report;
  std::vector<std::string> nats;
  std::string config_file;
  std::vector<std::uint16_t> control_ports;  ///< empty: those of the file
  bool json = false;
};

/// Of a cause that many packets share, the first is told and the others are counted.
constexpr std::size_t notes_max = 10;

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

/// One run over a capture.
class Run {
 public:
  Run(const ReplayOptions& options, std::vector<Nat> nats, std::vector<Port> control_ports,
      Policy policy, CaptureReader& input, std::optional<CaptureWriter>& output)
      : options_(options),
        expectation_life_(policy.expectation_life),
        replay_(std::move(nats), std::move(control_ports), std::move(policy),
                options.report.empty() ? nullptr : &album_),
        input_(input),
        output_(output) {}

  int to_the_end() {
    while (true) {
      const auto frame = input_.next();
      if (!frame) return failed(frame.error());
      if (!*frame) return EXIT_SUCCESS;
      ++frames_;
      on_frame(**frame);
    }
  }

  /// What a report is made of (report/html_report.h).
  nlohmann::ordered_json report_data() const {
    return {
        {"capture", std::filesystem::path(options_.input).filename().string()},
        {"packets", frames_},
        {"nat",
         options_.nats.empty() ? "no NAT" : fmt::format("{}", fmt::join(options_.nats, ", "))},
        {"version", FTPALG_VERSION},
        {"sessions", album_.json(latest_, expectation_life_)},
        {"left_out", album_.left_out()},
    };
  }

  void finish() const {
    notes_.finish();
    if (replay_.control_connections() == 0 && notes_.empty()) {
      fmt::print(stderr,
                 "ftpalg: none of the {} packets of '{}' belongs to a control connection; name "
                 "their port with --port\n",
                 frames_, options_.input);
    }
  }

 private:
  void on_frame(const Frame& frame) {
    // Packets that were captured on several processors may be out of order.
    const Time now = std::max(latest_, frame.time);
    tick_until(now);
    latest_ = now;

    if (!frame.ip_begin) {
      write(frame.time, frame.bytes, {}, frame.wire_bytes);
      return;
    }
    const wire::Bytes link_header = frame.bytes.first(*frame.ip_begin);
    const wire::Bytes packet = frame.bytes.subspan(*frame.ip_begin);
    const Replay::Passed passed = replay_.on_packet(packet, now);
    print_decisions(passed, frame.time);
    if (passed.note) notes_.add(frames_, *passed.note);
    if (passed.other) album_.on_other_segment(*passed.other, now);
    if (passed.is_foreign) {
      write(frame.time, frame.bytes, {}, frame.wire_bytes);
      return;
    }
    link_header_of(packet).assign(link_header.begin(), link_header.end());
    for (const auto& [bytes, is_new] : passed.left) {
      const std::size_t whole = link_header.size() + bytes.size();
      write(frame.time, link_header, bytes,
            is_new ? static_cast<std::uint32_t>(whole) : frame.wire_bytes);
    }
  }

  /// Ticks in the seconds since the last frame.
  void tick_until(Time now) {
    // After this long a gateway has nothing left to do but to wait for the next packet.
    constexpr Time busy_time_max = std::chrono::minutes{2};
    constexpr Time tick = std::chrono::seconds{1};
    if (frames_ == 1) next_tick_ = now + tick;
    for (const Time end = next_tick_ + busy_time_max; next_tick_ <= now && next_tick_ < end;
         next_tick_ += tick) {
      on_tick(next_tick_);
    }
    if (next_tick_ > now) return;
    on_tick(now);
    next_tick_ = now + tick;
  }

  void on_tick(Time now) {
    const Replay::Passed passed = replay_.on_tick(now);
    print_decisions(passed, now);
    for (const auto& [bytes, is_new] : passed.left) {
      const wire::Bytes link_header = link_header_of(bytes);
      write(now, link_header, bytes, static_cast<std::uint32_t>(link_header.size() + bytes.size()));
    }
  }

  void print_decisions(const Replay::Passed& passed, Time time) const {
    for (const Decision& decision : passed.decisions) print(decision, options_, frames_, time);
  }

  void write(Time time, wire::Bytes begin, wire::Bytes rest, std::uint32_t wire_bytes) {
    if (!output_) return;
    frame_.assign(begin.begin(), begin.end());
    frame_.insert(frame_.end(), rest.begin(), rest.end());
    output_->write(time, frame_, wire_bytes);
  }

  /// As the latest packet of the same IP version had it; the link header names the version.
  std::vector<std::uint8_t>& link_header_of(wire::Bytes packet) {
    return link_headers_[packet[0] >> 4 == 4 ? 0 : 1];
  }

  const ReplayOptions& options_;
  const Time expectation_life_;
  SessionAlbum album_;
  Replay replay_;
  CaptureReader& input_;
  std::optional<CaptureWriter>& output_;
  Notes notes_;
  std::uint64_t frames_ = 0;
  Time latest_{};
  Time next_tick_{};
  std::array<std::vector<std::uint8_t>, 2> link_headers_;
  std::vector<std::uint8_t> frame_;
};

tl::expected<void, std::string> write_report(const std::string& path,
                                             const nlohmann::ordered_json& data) {
  std::ofstream file{path, std::ios::binary | std::ios::trunc};
  file << html_report(data);
  file.close();
  if (file) return {};
  return tl::make_unexpected(
      fmt::format("cannot write '{}': {}; name a file that can be written with --html", path,
                  std::strerror(errno)));
}

int replay(const ReplayOptions& options) {
  std::vector<Nat> nats;
  for (const std::string& text : options.nats) {
    const auto nat = Nat::parse(text);
    if (!nat) return failed("--nat " + nat.error());
    nats.push_back(*nat);
  }
  const auto config = read_config(options.config_file);
  if (!config) return failed(config.error());
  std::vector<Port> control_ports;
  for (const std::uint16_t port :
       options.control_ports.empty() ? config->ruleset.control_ports : options.control_ports) {
    control_ports.push_back({port});
  }

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

  if (!options.report.empty() &&
      (is_same_file(options.input, options.report) || options.report == options.output)) {
    return failed(
        fmt::format("'{}' is another file of this command; name a file of its own with "
                    "--html",
                    options.report));
  }

  Run run{options, std::move(nats), std::move(control_ports), config->policy, *input, output};
  int exit_status = run.to_the_end();
  run.finish();
  if (output) {
    if (const auto finished = output->finish(); !finished) exit_status = failed(finished.error());
  }
  if (!options.report.empty()) {
    const auto written = write_report(options.report, run.report_data());
    if (!written) exit_status = failed(written.error());
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
  add_config_option(*command, options->config_file);
  command->add_option("-w,--write", options->output,
                      "pcap file to be written: the same sessions as seen from the other side");
  command->add_option("--html", options->report,
                      "HTML file to be written, for a browser or a colleague: what passed in each "
                      "session, and what became of it; without passwords");
  command
      ->add_option(
          "--nat", options->nats,
          "what the gateway translates: snat:PUBLIC, or snat:PUBLIC=INSIDE for a capture taken "
          "outside; "
          "dnat:PUBLIC=INSIDE; none. Given several times, the first that fits a connection counts")
      ->allow_extra_args(false);
  command
      ->add_option("--port", options->control_ports,
                   "TCP port of control connections; may be given several times (default: 21)")
      ->allow_extra_args(false);
  command->add_flag("--json", options->json, "one JSON object per decision");
  command->callback([options, &exit_status] { exit_status = replay(*options); });
}

}  // namespace ftpalg::tools
