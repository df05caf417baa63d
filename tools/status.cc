// SPDX-License-Identifier: GPL-2.0-or-later
#include "tools/status.h"

#include <sys/utsname.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

#include "tools/decision_text.h"
#include "tools/record_json.h"

namespace ftpalg::tools {
namespace {

using nlohmann::ordered_json;

void add(Records::Totals& sum, const Records::Totals& each) {
  sum.figures.packets += each.figures.packets;
  sum.figures.expectations += each.figures.expectations;
  sum.figures.packet_told_connection |= each.figures.packet_told_connection;
  sum.sessions_now += each.sessions_now;
  sum.sessions_encrypted += each.sessions_encrypted;
  sum.sessions_begun += each.sessions_begun;
  sum.sessions_ended += each.sessions_ended;
  sum.expectations_installed += each.expectations_installed;
  sum.transfers_now += each.transfers_now;
  sum.transfers_done += each.transfers_done;
  sum.transfers_failed += each.transfers_failed;
  sum.bytes += each.bytes;
  sum.packet_rate += each.packet_rate;
  sum.session_rate += each.session_rate;
  sum.transfer_rate += each.transfer_rate;
  for (std::size_t action = 0; action < sum.decisions.size(); ++action) {
    for (std::size_t reason = 0; reason < reason_count; ++reason) {
      sum.decisions[action][reason] += each.decisions[action][reason];
    }
  }
}

ordered_json decisions_json(const Records::Totals& totals) {
  ordered_json list = ordered_json::array();
  for (std::size_t action = 0; action < totals.decisions.size(); ++action) {
    for (std::size_t number = 0; number < reason_count; ++number) {
      const std::uint64_t count = totals.decisions[action][number];
      const auto reason = static_cast<Reason>(number);
      if (count == 0) continue;
      list.push_back({{"reason", name(reason)},
                      {"text", text(reason)},
                      {"action", name(static_cast<Action>(action))},
                      {"count", count}});
    }
  }
  return list;
}

double rounded(double rate) {
  return std::round(rate * 10) / 10;
}

}  // namespace

double unix_now() {
  return std::round(
             std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch())
                 .count() *
             1000) /
         1000;
}

Status::Status(std::vector<const Records*> records, const LastWarnings& warnings,
               std::uint16_t first_queue)
    : records_(std::move(records)),
      warnings_(warnings),
      first_queue_(first_queue),
      process_(getpid()),
      since_(unix_now()) {
  utsname kernel{};
  if (uname(&kernel) == 0) kernel_release_ = kernel.release;
}

void Status::note_rules(const RulesReport& report, double unix_time) {
  rules_ = report;
  looked_ = unix_time;
}

ordered_json Status::json() const {
  Records::Totals sum;
  ordered_json queues = ordered_json::array();
  std::uint16_t queue = first_queue_;
  for (const Records* each : records_) {
    const Records::Totals totals = each->totals();
    queues.push_back({{"number", queue++},
                      {"packets", totals.figures.packets},
                      {"unread", totals.figures.unread}});
    add(sum, totals);
  }
  ordered_json rules{{"format", nullptr},
                     {"state", "unknown"},
                     {"lacks", ordered_json::array()},
                     {"looked", nullptr}};
  if (rules_) {
    rules = json_of(*rules_);
    rules["looked"] = looked_;
  }
  ordered_json errors = ordered_json::array();
  for (const LastWarnings::Warning& each : warnings_.all()) {
    errors.push_back({{"time", each.unix_time}, {"level", each.level}, {"text", each.text}});
  }
  return {
      {"version", FTPALG_VERSION},
      {"pid", process_},
      {"since", since_},
      {"kernel",
       {{"release", kernel_release_},
        {"connection_with_packet", sum.figures.packets > 0
                                       ? ordered_json(sum.figures.packet_told_connection)
                                       : ordered_json(nullptr)}}},
      {"rules", std::move(rules)},
      {"queues", std::move(queues)},
      {"sessions",
       {{"now", sum.sessions_now},
        {"begun", sum.sessions_begun},
        {"ended", sum.sessions_ended},
        {"encrypted_now", sum.sessions_encrypted}}},
      {"expectations",
       {{"now", sum.figures.expectations}, {"installed", sum.expectations_installed}}},
      {"transfers",
       {{"now", sum.transfers_now},
        {"done", sum.transfers_done},
        {"failed", sum.transfers_failed},
        {"bytes", sum.bytes}}},
      {"rates",
       {{"packets", rounded(sum.packet_rate)},
        {"sessions", rounded(sum.session_rate)},
        {"transfers", rounded(sum.transfer_rate)}}},
      {"decisions", decisions_json(sum)},
      {"errors", std::move(errors)},
  };
}

}  // namespace ftpalg::tools
