// SPDX-License-Identifier: GPL-2.0-or-later
#include "tools/control/answer_lines.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "tools/record_json.h"

namespace ftpalg::tools {
namespace {

constexpr std::size_t sessions_at_once = 32;
constexpr std::size_t events_at_once = 32;

}  // namespace

AnswerLines::Next SessionLines::append_to(std::string& out) {
  if (worker_ == records_.size()) {
    out += line_of({{"end", {{"sessions", sessions_}, {"shown", shown_}}}});
    return Next::never;
  }
  const auto page = records_[worker_]->page(after_, sessions_at_once);
  const Viewpoint view = view_();
  for (const auto& [id, record] : page) {
    after_ = id.number;
    if (record.state == SessionState::ended && !wish_.with_ended) continue;
    if (!wish_.filter.admits(record.master, record.user)) continue;
    if (wish_.only_stuck && !hint(record, view)) continue;
    ++sessions_;
    if (wish_.limit != 0 && shown_ == wish_.limit) continue;
    ++shown_;
    out += line_of({{"session", session_json(id.text(), record, view)}});
  }
  if (page.size() < sessions_at_once) {
    ++worker_;
    after_ = 0;
  }
  return Next::at_once;
}

EventLines::EventLines(std::vector<const Records*> records, std::function<Viewpoint()> view,
                       SessionFilter filter)
    : records_(std::move(records)), view_(std::move(view)), filter_(std::move(filter)) {
  for (const Records* each : records_) next_.push_back(each->next_event());
}

AnswerLines::Next EventLines::append_to(std::string& out) {
  std::vector<Event> events;
  std::uint64_t left_out = 0;
  for (std::size_t worker = 0; worker < records_.size(); ++worker) {
    Records::Events more = records_[worker]->events(next_[worker], events_at_once);
    next_[worker] = more.next;
    left_out += more.left_out;
    std::ranges::move(more.events, std::back_inserter(events));
  }
  std::ranges::stable_sort(events, {}, &Event::at);
  if (left_out > 0) out += line_of({{"left_out", left_out}});
  const Viewpoint view = view_();
  for (const Event& event : events) {
    if (!filter_.admits(event.master, event.user)) continue;
    out += line_of({{"event", event_json(event, view)}});
  }
  return events.size() < events_at_once ? Next::later : Next::at_once;
}

AnswerLines::Next LatestEventLines::append_to(std::string& out) {
  std::vector<Event> events;
  for (const Records* each : records_) {
    const std::uint64_t next = each->next_event();
    Records::Events latest = each->events(next - std::min<std::uint64_t>(next, count_), count_);
    std::ranges::move(latest.events, std::back_inserter(events));
  }
  std::ranges::stable_sort(events, {}, &Event::at);
  events.erase(events.begin(),
               events.end() - static_cast<std::ptrdiff_t>(std::min(events.size(), count_)));
  const Viewpoint view = view_();
  std::size_t shown = 0;
  for (const Event& event : events) {
    if (!filter_.admits(event.master, event.user)) continue;
    ++shown;
    out += line_of({{"event", event_json(event, view)}});
  }
  out += line_of({{"end", {{"events", events.size()}, {"shown", shown}}}});
  return Next::never;
}

}  // namespace ftpalg::tools
