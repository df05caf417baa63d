// SPDX-License-Identifier: GPL-2.0-or-later
#include "tools/report/session_album.h"

#include <nlohmann/json.hpp>
#include <string>

#include "tools/hint.h"
#include "tools/record_json.h"

namespace ftpalg::tools {

void SessionAlbum::on_answered(const Master& master, Beginning beginning, Time now) {
  latest_.erase(master.original);
  if (pages_.size() == sessions_max) {
    ++left_out_;
    return;
  }
  pages_.push_back({.record = Record(master, beginning, now, rungs_max)});
  latest_[master.original] = &pages_.back();
}

void SessionAlbum::on_begin(const Tuple& control, Time) {
  if (Page* const page = page_of(control)) page->has_begun = true;
}

void SessionAlbum::on_line(const WitnessedLine& line, Time now) {
  Page* const page = page_of(line.control);
  if (page == nullptr) return;
  page->record.on_line(line, now);
  if (line.decision != nullptr) note_announced(*page, *line.decision);
}

void SessionAlbum::on_decision(const Decision& decision, Time now) {
  Page* const page = page_of(decision.control);
  if (page == nullptr) return;
  page->record.on_decision(decision, now);
  note_announced(*page, decision);
}

void SessionAlbum::on_left(const Tuple& control, Time now) {
  if (Page* const page = page_of(control)) page->record.on_left(now);
}

void SessionAlbum::on_end(const Tuple& control, Time now) {
  if (Page* const page = page_of(control)) page->record.on_end(now);
  latest_.erase(control);
}

void SessionAlbum::on_other_segment(const Segment& segment, Time now) {
  const Tuple& tuple = segment.tuple();
  const bool opens = segment.has(Segment::syn_flag) && !segment.has(Segment::ack_flag);
  const auto announced = opens ? announced_.find(tuple.destination) : announced_.end();
  if (announced != announced_.end()) {
    data_.insert_or_assign(tuple, Data{.page = announced->second.page,
                                       .to_client = announced->second.to_client,
                                       .came_to = announced->second.destination,
                                       .ends = {}});
    announced_.erase(announced);
  }
  if (const auto known = data_.find(tuple); known != data_.end()) {
    count(known->second, segment, Direction::original, now);
  } else if (const auto answered = data_.find(tuple.reversed()); answered != data_.end()) {
    count(answered->second, segment, Direction::reply, now);
  }
}

nlohmann::ordered_json SessionAlbum::json(Time now, Time expectation_life) const {
  // A capture's times are Unix times.
  const Viewpoint view{.now = now, .expectation_life = expectation_life};
  nlohmann::ordered_json sessions = nlohmann::ordered_json::array();
  for (const Page& page : pages_) {
    if (!page.has_begun) continue;
    auto session = session_json(std::to_string(sessions.size() + 1), page.record.shown(), view);
    session["ladder"] = ladder_json(page.record.ladder(), view);
    session["forgotten"] = page.record.forgotten();
    sessions.push_back(std::move(session));
  }
  return sessions;
}

SessionAlbum::Page* SessionAlbum::page_of(const Tuple& control) {
  const auto found = latest_.find(control);
  return found == latest_.end() ? nullptr : found->second;
}

void SessionAlbum::note_announced(Page& page, const Decision& decision) {
  if (!decision.expectation) return;
  const Announced announced{&page, decision.direction == Direction::original,
                            decision.expectation->destination};
  announced_.insert_or_assign(decision.expectation->destination, announced);
  announced_.insert_or_assign(decision.expectation->inside, announced);
}

void SessionAlbum::count(Data& data, const Segment& segment, Direction direction, Time now) {
  using State = DataConnection::State;
  if (data.has_ended[0] && data.has_ended[1]) return;
  const auto from = static_cast<std::size_t>(direction);
  std::optional<Seq>& end = data.ends[from];
  if (!end) end = segment.payload_seq();
  // What is sent again counts once.
  const std::int64_t fresh = segment.payload_end() - *end;
  if (fresh > 0) {
    data.bytes[from] += static_cast<std::uint64_t>(fresh);
    end = segment.payload_end();
  }
  if (segment.has(Segment::fin_flag)) data.has_ended[from] = true;
  if (segment.has(Segment::rst_flag)) data.has_ended = {true, true};
  const bool has_closed = data.has_ended[0] && data.has_ended[1];
  const bool is_open = data.ends[0] && data.ends[1];
  if (!is_open && !has_closed) return;
  const auto [by_opener, by_other] = data.bytes;
  data.page->record.on_data_connection(has_closed ? State::closed : State::open, data.came_to,
                                       data.to_client ? by_opener : by_other,
                                       data.to_client ? by_other : by_opener, now);
}

}  // namespace ftpalg::tools
