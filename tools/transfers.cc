// SPDX-License-Identifier: GPL-2.0-or-later
#include "tools/transfers.h"

#include <algorithm>
#include <utility>

namespace ftpalg::tools {
namespace {

/// "Can't open data connection": what there is then is another transfer's.
constexpr std::uint16_t no_data_connection_code = 425;

/// Whether the client made the data connection, and not the server (RFC 959's active mode).
bool is_from_client(const RelatedConnection& connection) {
  return connection.original.source.address == connection.master.source.address;
}

/// The direction in which packets go to the client.
Direction to_client(const RelatedConnection& connection) {
  return is_from_client(connection) ? Direction::reply : Direction::original;
}

std::optional<Traffic> traffic(const Progress& progress, Direction direction) {
  if (!progress.traffic) return std::nullopt;
  return (*progress.traffic)[static_cast<std::size_t>(direction)];
}

}  // namespace

void Transfers::on_news(const ConnectionNews& news, Time now) {
  for (const RelatedConnection& connection : news.begun) begin(connection, now);
  for (const ConnectionNews::Gone& gone : news.gone) {
    const auto known = by_id_.find(gone.id);
    if (known == by_id_.end() || known->second->ended ||
        known->second->connection.original != gone.original) {
      continue;
    }
    note(known->second, gone.last, now);
  }
}

void Transfers::on_list(const std::vector<RelatedConnection>& connections, Time now) {
  for (const RelatedConnection& connection : connections) begin(connection, now);
}

void Transfers::begin(const RelatedConnection& connection, Time now) {
  if (by_id_.contains(connection.id) || by_id_.size() >= connections_max) return;
  if (std::ranges::count(control_ports_, connection.master.destination.port.number) == 0) return;
  const auto known = live_.insert(live_.begin(), Known{.connection = connection, .begun = now});
  by_id_.emplace(connection.id, known);
  unclaimed_[connection.master].push_back(known);
  tell(*known);
  next_look_ = std::min(next_look_, now + look_interval);
}

/// Notes how far it has come. Nothing means that conntrack has forgotten it, and what it had
/// counted last is all that is known.
void Transfers::note(Connection known, const std::optional<Progress>& progress, Time now) {
  if (progress) {
    known->last = *progress;
  } else {
    known->last.stage = Progress::Stage::ended;
  }
  tell(*known);
  if (known->last.stage != Progress::Stage::ended || known->ended) return;
  known->ended = now;
  ended_.splice(ended_.end(), live_, known);
  const bool is_awaited = known->claim == Claim::waiting ||
                          (known->claim == Claim::none && circumstances_.transfers_come);
  if (!is_awaited) forget(known);
}

void Transfers::on_transfer(Transfer transfer, Time now) {
  const auto connection = claim_for(transfer);
  if (!connection) {
    // What came by other ways than an expectation nobody is told of.
    const bool is_known = circumstances_.conntrack_tells && transfer.data_destination;
    told_.finished.push_back({std::move(transfer), std::nullopt, is_known});
    return;
  }
  (*connection)->claim = Claim::waiting;
  if (!(*connection)->ended) look_at(*connection, now);
  waiting_.push_back({std::move(transfer), *connection, now + end_wait_max});
  if ((*connection)->ended) {
    finish(waiting_.back(), now);
    waiting_.pop_back();
  }
}

/// The oldest of the data connections that were made to where the transfer's was announced.
std::optional<Transfers::Connection> Transfers::claim_for(const Transfer& transfer) {
  // Announced before anybody looked: then any will do.
  const bool is_unknown = !transfer.data_destination && transfer.mode.empty();
  if (!transfer.data_destination && !is_unknown) return std::nullopt;
  const auto of_control = unclaimed_.find(transfer.control);
  if (of_control == unclaimed_.end() || transfer.code == no_data_connection_code) {
    return std::nullopt;
  }
  auto& connections = of_control->second;
  const auto found = std::ranges::find_if(connections, [&](Connection known) {
    return is_unknown || known->connection.original.destination == *transfer.data_destination;
  });
  if (found == connections.end()) return std::nullopt;
  const Connection connection = *found;
  connections.erase(found);
  if (connections.empty()) unclaimed_.erase(of_control);
  return connection;
}

void Transfers::on_tick(Time now) {
  if (now >= next_hasty_look_) {
    next_hasty_look_ = now + hasty_look_interval;
    for (const Waiting& waiting : waiting_) {
      if (!waiting.connection->ended) look_at(waiting.connection, now);
    }
  }
  if (now >= next_look_) {
    next_look_ = now + look_interval;
    look_at_some(now);
    forget_old(now);
  }
  finish_waiting(now);
}

/// Those that were looked at longest ago, at most looks_max.
void Transfers::look_at_some(Time now) {
  const std::size_t looks = std::min(live_.size(), looks_max);
  for (std::size_t look = 0; look < looks; ++look) {
    const Connection known = live_.begin();
    live_.splice(live_.end(), live_, known);
    look_at(known, now);
  }
}

void Transfers::finish_waiting(Time now) {
  for (auto waiting = waiting_.begin(); waiting != waiting_.end();) {
    const bool is_over = waiting->connection->ended || now >= waiting->until;
    if (is_over) finish(*waiting, now);
    waiting = is_over ? waiting_.erase(waiting) : std::next(waiting);
  }
}

void Transfers::finish_all(Time now) {
  for (const Waiting& waiting : waiting_) finish(waiting, now);
  waiting_.clear();
}

void Transfers::finish(const Waiting& waiting, Time now) {
  const Known& known = *waiting.connection;
  const Direction direction = waiting.transfer.kind == Transfer::Kind::upload
                                  ? opposite(to_client(known.connection))
                                  : to_client(known.connection);
  TransferData data{
      .was_open = known.last.was_open, .begun = known.begun, .ended = known.ended.value_or(now)};
  if (const auto counted = traffic(known.last, direction)) {
    data.packets = counted->packets;
    data.ip_bytes = counted->bytes;
  }
  told_.finished.push_back({waiting.transfer, data, true});
  waiting.connection->claim = Claim::past;
  if (known.ended) forget(waiting.connection);
}

void Transfers::forget_old(Time now) {
  while (!ended_.empty() && ended_.front().claim == Claim::none &&
         *ended_.front().ended + transfer_wait_max <= now) {
    forget(ended_.begin());
  }
}

/// One that has ended.
void Transfers::forget(Connection known) {
  if (known->claim == Claim::none) {
    const auto of_control = unclaimed_.find(known->connection.master);
    std::erase(of_control->second, known);
    if (of_control->second.empty()) unclaimed_.erase(of_control);
  }
  by_id_.erase(known->connection.id);
  ended_.erase(known);
}

std::optional<Time> Transfers::next() const {
  if (!waiting_.empty()) return std::min(next_look_, next_hasty_look_);
  if (!live_.empty() || !ended_.empty()) return next_look_;
  return std::nullopt;
}

void Transfers::tell(const Known& known) {
  const Direction direction = to_client(known.connection);
  DataState state{.control = known.connection.master,
                  .came_to = known.connection.original.destination,
                  .stage = known.last.stage,
                  .was_open = known.last.was_open};
  if (known.last.traffic) {
    state.to_client = traffic(known.last, direction)->bytes;
    state.to_server = traffic(known.last, opposite(direction))->bytes;
  }
  told_.data.push_back(state);
}

}  // namespace ftpalg::tools
