// SPDX-License-Identifier: GPL-2.0-or-later
#include "tools/records.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <utility>

namespace ftpalg::tools {
namespace {

template <class Number>
std::optional<Number> number_in(std::string_view text) {
  Number number{};
  const char* const end = text.data() + text.size();
  const auto read = std::from_chars(text.data(), end, number);
  if (read.ec != std::errc{} || read.ptr != end) return std::nullopt;
  return number;
}

bool is_transferring(const Record::Shown& shown) {
  return !shown.transfer_command.empty() && shown.state != SessionState::ended &&
         shown.state != SessionState::encrypted && shown.state != SessionState::left_alone;
}

bool is_encrypted(const Record::Shown& shown) {
  return shown.state == SessionState::encrypted;
}

}  // namespace

std::string SessionId::text() const {
  return fmt::format("{}-{}", queue, number);
}

std::optional<SessionId> SessionId::parse(std::string_view text) {
  const std::size_t hyphen = text.find('-');
  if (hyphen == std::string_view::npos) return std::nullopt;
  const auto queue = number_in<std::uint16_t>(text.substr(0, hyphen));
  const auto number = number_in<std::uint64_t>(text.substr(hyphen + 1));
  if (!queue || !number) return std::nullopt;
  return SessionId{*queue, *number};
}

Records::Records(std::uint16_t queue, const KeyedHash::Key& key)
    : queue_(queue), numbers_(0, KeyedHash{key}) {}

void Records::on_answered(const Master& master, Beginning beginning, Time now) {
  const std::lock_guard held(lock_);
  if (const auto known = entry_of(master.original); known != entries_.end()) end(known, now);
  const std::uint64_t number = ++last_number_;
  const auto [entry, added] =
      entries_.emplace(number, Entry{Record(master, beginning, now), Standing::answered, {}});
  rungs_ += entry->second.record.ladder().size();
  numbers_[master.original] = number;
}

void Records::on_begin(const Tuple& control, Time now) {
  const std::lock_guard held(lock_);
  const auto entry = entry_of(control);
  if (entry == entries_.end() || entry->second.standing != Standing::answered) return;
  entry->second.standing = Standing::begun;
  ++totals_.sessions_now;
  ++totals_.sessions_begun;
  tell(event_of(Event::Kind::begin, *entry, now));
}

void Records::on_line(const WitnessedLine& line, Time now) {
  const std::lock_guard held(lock_);
  if (line.decision != nullptr) count(*line.decision);
  const auto entry = entry_of(line.control);
  if (entry == entries_.end()) return;
  Record::Effect effect;
  change(entry, [&](Record& record) { effect = record.on_line(line, now); });
  if (line.decision != nullptr) {
    Event event = event_of(Event::Kind::decision, *entry, now);
    event.decision = *line.decision;
    tell(std::move(event));
  }
  if (effect.transfer == Record::Effect::Transfer::none) return;
  const bool is_done = effect.transfer == Record::Effect::Transfer::done;
  ++(is_done ? totals_.transfers_done : totals_.transfers_failed);
  Event event = event_of(Event::Kind::transfer, *entry, now);
  event.command = std::move(effect.command);
  event.is_done = is_done;
  tell(std::move(event));
}

void Records::on_decision(const Decision& decision, Time now) {
  const std::lock_guard held(lock_);
  count(decision);
  const auto entry = entry_of(decision.control);
  Event event;
  if (entry == entries_.end()) {
    event.at = now;
    event.session.queue = queue_;
    event.master.original = decision.control;
    event.master.reply = decision.control.reversed();
  } else {
    change(entry, [&](Record& record) { record.on_decision(decision, now); });
    event = event_of(Event::Kind::decision, *entry, now);
  }
  event.decision = decision;
  tell(std::move(event));
}

void Records::on_left(const Tuple& control, Time now) {
  const std::lock_guard held(lock_);
  const auto entry = entry_of(control);
  if (entry == entries_.end()) return;
  change(entry, [&](Record& record) { record.on_left(now); });
  if (entry->second.standing == Standing::answered) {
    ++totals_.sessions_now;
    ++totals_.sessions_begun;
  }
  entry->second.standing = Standing::left;
  entry->second.place = left_.insert(left_.end(), entry->first);
  if (left_.size() > left_max) end(entries_.find(left_.front()), now);
}

void Records::on_end(const Tuple& control, Time now) {
  const std::lock_guard held(lock_);
  const auto entry = entry_of(control);
  if (entry != entries_.end() && entry->second.standing != Standing::left) end(entry, now);
}

bool Records::on_data_connection(const Tuple& control, DataConnection::State state,
                                 const Endpoint& came_to, std::optional<std::uint64_t> to_client,
                                 std::optional<std::uint64_t> to_server, Time now) {
  const std::lock_guard held(lock_);
  const auto entry = entry_of(control);
  if (entry == entries_.end()) return false;
  const std::uint64_t before = entry->second.record.shown().bytes.value_or(0);
  change(entry, [&](Record& record) {
    record.on_data_connection(state, came_to, to_client, to_server, now);
  });
  totals_.bytes += entry->second.record.shown().bytes.value_or(0) - before;
  return true;
}

bool Records::on_control_gone(const Tuple& control, Time now) {
  const std::lock_guard held(lock_);
  const auto entry = entry_of(control);
  if (entry == entries_.end()) return false;
  end(entry, now);
  return true;
}

void Records::note_figures(const Figures& figures, Time now) {
  const std::lock_guard held(lock_);
  totals_.figures = figures;
  samples_.push_back({now, figures.packets, totals_.sessions_begun,
                      totals_.transfers_done + totals_.transfers_failed});
  while (samples_.size() > 2 && samples_[1].at + rate_time <= now) samples_.pop_front();
}

Records::Totals Records::totals() const {
  const std::lock_guard held(lock_);
  Totals result = totals_;
  if (samples_.size() < 2) return result;
  const Sample& first = samples_.front();
  const Sample& last = samples_.back();
  const double seconds = std::chrono::duration<double>(last.at - first.at).count();
  if (seconds <= 0) return result;
  const auto rate = [seconds](std::uint64_t from, std::uint64_t to) {
    return static_cast<double>(to - from) / seconds;
  };
  result.packet_rate = rate(first.packets, last.packets);
  result.session_rate = rate(first.sessions, last.sessions);
  result.transfer_rate = rate(first.transfers, last.transfers);
  return result;
}

std::vector<Records::Shown> Records::page(std::uint64_t after, std::size_t count) const {
  std::vector<Shown> result;
  result.reserve(count);
  const std::lock_guard held(lock_);
  for (auto entry = entries_.upper_bound(after); entry != entries_.end() && result.size() < count;
       ++entry) {
    result.push_back({{queue_, entry->first}, entry->second.record.shown()});
  }
  return result;
}

std::optional<Records::Portrait> Records::find(const SessionId& id) const {
  if (id.queue != queue_) return std::nullopt;
  const std::lock_guard held(lock_);
  const auto entry = entries_.find(id.number);
  if (entry == entries_.end()) return std::nullopt;
  const Record& record = entry->second.record;
  return Portrait{{id, record.shown()}, record.ladder()};
}

Records::Events Records::events(std::uint64_t from, std::size_t count) const {
  const std::lock_guard held(lock_);
  const std::uint64_t oldest = next_event_ - events_.size();
  Events result;
  const std::uint64_t begin = std::max(from, oldest);
  result.left_out = begin - from;
  result.next = std::min(begin + count, next_event_);
  for (std::uint64_t number = begin; number < result.next; ++number) {
    result.events.push_back(events_[number - oldest]);
  }
  return result;
}

std::uint64_t Records::next_event() const {
  const std::lock_guard held(lock_);
  return next_event_;
}

Records::Entries::iterator Records::entry_of(const Tuple& control) {
  const auto known = numbers_.find(control);
  return known == numbers_.end() ? entries_.end() : entries_.find(known->second);
}

void Records::end(Entries::iterator entry, Time now) {
  change(entry, [&](Record& record) { record.on_end(now); });
  Entry& ended = entry->second;
  numbers_.erase(ended.record.shown().master.original);
  if (ended.standing == Standing::answered) return erase(entry);
  if (ended.standing == Standing::left) left_.erase(ended.place);
  --totals_.sessions_now;
  ++totals_.sessions_ended;
  tell(event_of(Event::Kind::end, *entry, now));
  ended.standing = Standing::ended;
  ended.place = ended_.insert(ended_.end(), entry->first);
  if (ended_.size() <= ended_max) return;
  const auto oldest = entries_.find(ended_.front());
  ended_.pop_front();
  erase(oldest);
}

void Records::erase(Entries::iterator entry) {
  rungs_ -= entry->second.record.ladder().size();
  entries_.erase(entry);
}

template <class Change>
void Records::change(Entries::iterator entry, Change change) {
  Record& record = entry->second.record;
  const std::size_t rungs = record.ladder().size();
  const bool was_transferring = is_transferring(record.shown());
  const bool was_encrypted = is_encrypted(record.shown());
  change(record);
  if (rungs_ >= rungs_max) record.shorten_ladder(ladder_rungs_few);
  rungs_ += record.ladder().size() - rungs;
  totals_.transfers_now += is_transferring(record.shown()) ? 1U : 0U;
  totals_.transfers_now -= was_transferring ? 1U : 0U;
  totals_.sessions_encrypted += is_encrypted(record.shown()) ? 1U : 0U;
  totals_.sessions_encrypted -= was_encrypted ? 1U : 0U;
}

void Records::count(const Decision& decision) {
  ++totals_.decisions[static_cast<std::size_t>(decision.action)]
                     [static_cast<std::size_t>(decision.reason)];
  if (decision.expectation) ++totals_.expectations_installed;
}

void Records::tell(Event event) {
  if (events_.size() == events_max) events_.pop_front();
  events_.push_back(std::move(event));
  ++next_event_;
}

Event Records::event_of(Event::Kind kind, const Entries::value_type& entry, Time now) const {
  const Record::Shown& shown = entry.second.record.shown();
  Event event;
  event.kind = kind;
  event.at = now;
  event.session = {queue_, entry.first};
  event.master = shown.master;
  event.user = shown.user;
  return event;
}

}  // namespace ftpalg::tools
