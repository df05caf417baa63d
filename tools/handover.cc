// SPDX-License-Identifier: GPL-2.0-or-later
#include "tools/handover.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <poll.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <nlohmann/json.hpp>
#include <utility>

#include "alg/engine_state.h"
#include "tools/errands.h"

namespace ftpalg::tools {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;
using Workers = std::vector<std::unique_ptr<Worker>>;

/// For workers to come to a standstill, beyond what they may take to settle.
constexpr Time standstill_time_max = std::chrono::seconds{2};

Time now() {
  return std::chrono::steady_clock::now().time_since_epoch();
}

ordered_json error(std::string what) {
  return {{"error", std::move(what)}};
}

/// Sends an empty line with `descriptors`.
bool send_with(int channel, const std::vector<int>& descriptors) {
  char line_end = '\n';
  iovec part{.iov_base = &line_end, .iov_len = 1};
  const std::size_t bytes = descriptors.size() * sizeof(int);
  std::vector<char> control(CMSG_SPACE(bytes));
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  cmsghdr* const header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(bytes);
  std::memcpy(CMSG_DATA(header), descriptors.data(), bytes);
  return sendmsg(channel, &message, MSG_NOSIGNAL | MSG_DONTWAIT) == 1;
}

}  // namespace

ordered_json rules_json(const rules::Ruleset& ruleset) {
  return {{"control_ports", ruleset.control_ports},
          {"queue", ruleset.queue},
          {"queues", ruleset.queues},
          {"carrier", ruleset.carrier},
          {"untracked_mark", ruleset.untracked_mark},
          {"unqueued_mark", ruleset.unqueued_mark},
          {"done_mark", ruleset.done_mark},
          {"queue_acknowledgements", ruleset.queue_acknowledgements}};
}

tl::expected<void, std::string> stand_still(const Workers& workers, Worker::Standstill when) {
  for (const auto& worker : workers) worker->ask_to_stand_still(when);
  const Time until =
      now() + standstill_time_max +
      (when == Worker::Standstill::once_settled ? Worker::settling_time_max : Time{});
  for (const auto& worker : workers) {
    pollfd source{worker->standstill_descriptor(), POLLIN, 0};
    for (Time at = now(); source.revents == 0 && at < until; at = now()) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - at);
      if (poll(&source, 1, static_cast<int>(left.count())) < 0 && errno != EINTR) break;
    }
    if (source.revents != 0) continue;
    for (const auto& each : workers) each->go_on();
    return tl::unexpected(fmt::format("the worker of queue {} does not come to a standstill",
                                      worker->queue_number()));
  }
  return {};
}

tl::expected<void, std::string> write_states(const Workers& workers) {
  for (const auto& worker : workers) {
    if (auto written = worker->write_state(); !written) return written;
  }
  return {};
}

Handover::Handover(const Parts& parts) : parts_(parts) {
  parts_.server.answer_to("takeover", [this](const Asker& asker, const json& request) {
    return begin(asker, request);
  });
  parts_.server.answer_to(
      "descriptors", [this](const Asker& asker, const json&) { return send_descriptors(asker); });
  parts_.server.answer_to("leave",
                          [this](const Asker& asker, const json&) { return complete(asker); });
}

/// Why the other may not take over, or nothing.
std::string Handover::refusal(const Asker& asker, const json& request) const {
  if (!asker.is_owner) return "only root may take the gateway's place; use sudo";
  if (asker_ && *asker_ != asker.id) {
    return "another gateway is taking over already; wait for it, and ask that one";
  }
  const auto version = request.find("state_version");
  if (version == request.end() || *version != engine_state_version) {
    return fmt::format(
        "the state of this gateway ({}) is of version {}, and the one that asks reads {}; end this "
        "one and start the other: sessions go on, what is announced at that moment does not",
        FTPALG_VERSION, engine_state_version, version == request.end() ? "none" : version->dump());
  }
  const auto rules = request.find("rules");
  if (rules == request.end() || !rules->is_object()) {
    return "the request does not say what rules the other gateway has";
  }
  const ordered_json own = rules_json(parts_.reloads.config().ruleset);
  std::vector<std::string> differences;
  for (const auto& [name, value] : own.items()) {
    const auto other = rules->find(name);
    const bool is_same = other != rules->end() && json(value) == *other;
    if (is_same) continue;
    differences.push_back(fmt::format("{} {} here and {} there", name, value.dump(),
                                      other == rules->end() ? "unknown" : other->dump()));
  }
  if (differences.empty()) return {};
  return fmt::format(
      "the two gateways need other rules of the firewall: {}; start the other with the same "
      "options and file, or end this one first",
      fmt::join(differences, ", "));
}

Handover::Answer Handover::begin(const Asker& asker, const json& request) {
  if (const std::string why = refusal(asker, request); !why.empty()) return error(why);
  if (asker_) return error("it has begun already");
  // The keeper answers one errand after the other.
  parts_.reloads.settle();
  const auto format = parts_.keeper.ask(format_errand);
  if (!format) return error(format.error());
  if (const auto still = stand_still(parts_.workers, Worker::Standstill::at_once); !still) {
    return error(still.error());
  }
  asker_ = asker.id;
  has_descriptors_ = false;
  ends_ = now() + time_max;
  if (const auto written = write_states(parts_.workers); !written) {
    go_on(written.error());
    return error(written.error());
  }
  ordered_json queues = ordered_json::array();
  for (const auto& worker : parts_.workers) queues.push_back(worker->queue_number());
  return ordered_json{
      {"takeover",
       {{"version", FTPALG_VERSION},
        {"pid", getpid()},
        {"queues", std::move(queues)},
        {"rules_format", format->empty() ? ordered_json(nullptr) : ordered_json(*format)},
        {"socket_directory_is_ours", parts_.socket.directory_is_ours()}}}};
}

Handover::Answer Handover::send_descriptors(const Asker& asker) {
  if (asker_ != asker.id) return error("ask for the takeover first");
  std::vector<int> descriptors;
  for (const auto& worker : parts_.workers) {
    descriptors.push_back(worker->queue_descriptor());
    descriptors.push_back(worker->state_descriptor());
  }
  descriptors.push_back(parts_.server.listener());
  if (!send_with(parts_.server.descriptor_of(asker.id), descriptors)) {
    return error(fmt::format("the descriptors cannot be sent: {}", std::strerror(errno)));
  }
  has_descriptors_ = true;
  return ordered_json{{"descriptors", descriptors.size()}};
}

Handover::Answer Handover::complete(const Asker& asker) {
  if (asker_ != asker.id || !has_descriptors_) return error("ask for the descriptors first");
  if (now() >= ends_) return error("it took too long, and this gateway serves on");
  is_complete_ = true;
  return ordered_json{{"left", true}};
}

void Handover::look_after(Time now) {
  if (!is_under_way() || is_complete_) return;
  if (parts_.server.descriptor_of(*asker_) < 0) {
    go_on("the other gateway is gone");
  } else if (now >= ends_) {
    go_on("the other gateway took too long");
  }
}

void Handover::go_on(std::string_view why) {
  spdlog::warn("the takeover has failed: {}; this gateway serves on", why);
  asker_.reset();
  for (const auto& worker : parts_.workers) worker->go_on();
}

}  // namespace ftpalg::tools
