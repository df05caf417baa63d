// SPDX-License-Identifier: GPL-2.0-or-later
#include "tools/web/metrics.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "alg/reason.h"
#include "tools/record_json.h"

namespace ftpalg::tools {
namespace {

using Json = nlohmann::json;
using Labels = std::initializer_list<std::pair<std::string_view, std::string_view>>;

/// A label's value as it is written.
std::string quoted(std::string_view text) {
  std::string result = "\"";
  for (const char c : text) {
    if (c == '\n') {
      result += "\\n";
      continue;
    }
    if (c == '"' || c == '\\') result += '\\';
    result += c;
  }
  return result + '"';
}

/// What stands at `path` ("sessions.now") in `object`; null where nothing does.
const Json& at(const Json& object, std::string_view path) {
  static const Json nothing;
  const Json* here = &object;
  while (!path.empty()) {
    const std::string_view name = path.substr(0, path.find('.'));
    path.remove_prefix(std::min(name.size() + 1, path.size()));
    if (!here->is_object()) return nothing;
    const auto found = here->find(std::string{name});
    if (found == here->end()) return nothing;
    here = &*found;
  }
  return *here;
}

std::optional<std::string> text_at(const Json& object, std::string_view path) {
  const Json& value = at(object, path);
  if (!value.is_string()) return std::nullopt;
  return value.get<std::string>();
}

/// A family of metrics: its head once, and its samples, where there are any.
class Metric {
 public:
  Metric(std::string_view name, std::string_view type, std::string_view help)
      : name_(name), head_(fmt::format("# HELP {0} {1}\n# TYPE {0} {2}\n", name, help, type)) {}

  Metric& sample(const Json& value, Labels labels = {}) {
    if (!value.is_number()) return *this;
    samples_ += name_;
    char before = '{';
    for (const auto& [name, text] : labels) {
      samples_ += fmt::format("{}{}={}", std::exchange(before, ','), name, quoted(text));
    }
    if (before == ',') samples_ += '}';
    samples_ += fmt::format(" {}\n", value.dump());
    return *this;
  }

  std::string text() const { return samples_.empty() ? std::string{} : head_ + samples_; }

 private:
  std::string_view name_;
  std::string head_;
  std::string samples_;
};

Metric counter(std::string_view name, std::string_view help) {
  return {name, "counter", help};
}
Metric gauge(std::string_view name, std::string_view help) {
  return {name, "gauge", help};
}

std::string build_info(const Json& status) {
  Metric metric = gauge("ftpalg_build_info",
                        "What runs: the version of ftpalg, and of the kernel that it runs on.");
  const auto version = text_at(status, "version");
  if (version) {
    metric.sample(1, {{"version", *version},
                      {"kernel", text_at(status, "kernel.release").value_or("unknown")}});
  }
  return metric.text();
}

std::string rules(const Json& status) {
  Metric metric = gauge("ftpalg_rules_in_place",
                        "Whether the firewall's rules were what this gateway needs when it last "
                        "looked: 1, or 0 where something lacks.");
  const auto state = text_at(status, "rules.state");
  if (state == "in place") metric.sample(1);
  if (state == "incomplete") metric.sample(0);
  return metric.text();
}

std::string queues(const Json& status) {
  Metric packets = counter("ftpalg_queue_packets_total",
                           "Packets of control connections that came through a queue.");
  Metric unread =
      counter("ftpalg_queue_unread_total", "Packets that passed unread because a queue was full.");
  const Json& queues = at(status, "queues");
  for (const Json& queue : queues.is_array() ? queues : Json::array()) {
    const Json& number = at(queue, "number");
    if (!number.is_number()) continue;
    packets.sample(at(queue, "packets"), {{"queue", number.dump()}});
    unread.sample(at(queue, "unread"), {{"queue", number.dump()}});
  }
  return packets.text() + unread.text();
}

/// Every reason is there from the start, at 0, so that an increase can be told from a beginning.
std::string decisions(const Json& status) {
  Metric metric = counter("ftpalg_decisions_total",
                          "Lines that matter, by what was decided about them and why.");
  const Json& decisions = at(status, "decisions");
  if (!decisions.is_array()) return {};
  for (std::size_t number = 1; number < reason_count; ++number) {
    const std::string_view reason = name(static_cast<Reason>(number));
    std::uint64_t count = 0;
    for (const Json& decision : decisions) {
      const Json& part = at(decision, "count");
      if (text_at(decision, "reason") == reason && part.is_number_integer()) {
        count += part.get<std::uint64_t>();
      }
    }
    metric.sample(count, {{"reason", reason}});
  }
  return metric.text();
}

}  // namespace

std::string metrics_text(const Json& status) {
  const auto value = [&](std::string_view path) -> const Json& { return at(status, path); };
  return build_info(status) +
         gauge("process_start_time_seconds", "When the gateway was started, in seconds since 1970.")
             .sample(value("since"))
             .text() +
         rules(status) + queues(status) +
         gauge("ftpalg_sessions", "Control connections that the gateway has now.")
             .sample(value("sessions.now"))
             .text() +
         gauge("ftpalg_sessions_encrypted",
               "Control connections that are encrypted now, and so not read.")
             .sample(value("sessions.encrypted_now"))
             .text() +
         counter("ftpalg_sessions_total", "Control connections that have begun.")
             .sample(value("sessions.begun"))
             .text() +
         counter("ftpalg_sessions_ended_total", "Control connections that have ended.")
             .sample(value("sessions.ended"))
             .text() +
         gauge("ftpalg_expectations", "Announced data connections that have not come yet.")
             .sample(value("expectations.now"))
             .text() +
         counter("ftpalg_expectations_total", "Data connections that were announced and let in.")
             .sample(value("expectations.installed"))
             .text() +
         gauge("ftpalg_transfers", "Data connections that are open now.")
             .sample(value("transfers.now"))
             .text() +
         counter("ftpalg_transfers_total", "Transfers that have ended, by their result.")
             .sample(value("transfers.done"), {{"result", "done"}})
             .sample(value("transfers.failed"), {{"result", "failed"}})
             .text() +
         counter("ftpalg_transfer_bytes_total",
                 "Bytes that data connections have carried, both directions together.")
             .sample(value("transfers.bytes"))
             .text() +
         decisions(status);
}

}  // namespace ftpalg::tools
