// SPDX-License-Identifier: GPL-2.0-or-later
#include "alg/connection.h"

namespace ftpalg {

std::optional<ConnectionTable::Found> ConnectionTable::find(const Tuple& tuple) {
  const auto found = places_.find(tuple);
  if (found == places_.end()) return std::nullopt;
  return Found{*found->second.at, found->second.direction};
}

Connection& ConnectionTable::insert(const Tuple& original, const Network& client) {
  if (const auto found = places_.find(original); found != places_.end()) {
    erase(*found->second.at);
  }
  unanswered_.emplace_back(original, client);
  places_[original] = {std::prev(unanswered_.end()), Direction::original};
  return unanswered_.back();
}

void ConnectionTable::set_master(Connection& connection, const Master& master) {
  if (const auto other = find(master.reply); other && &other->connection != &connection) {
    erase(other->connection);
  }
  const auto at = places_.at(connection.original).at;
  if (!connection.master) answered_.splice(answered_.end(), unanswered_, at);
  connection.master = master;
  places_[master.reply] = {at, Direction::reply};
}

void ConnectionTable::forget(const Tuple& tuple, const Connection& owner) {
  const auto found = places_.find(tuple);
  if (found != places_.end() && &*found->second.at == &owner) places_.erase(found);
}

void ConnectionTable::erase(Connection& connection) {
  const auto at = places_.at(connection.original).at;
  if (connection.master) forget(connection.master->reply, connection);
  forget(connection.original, connection);
  list_of(connection).erase(at);
}

void ConnectionTable::touch(Connection& connection, Time now) {
  connection.last_seen = now;
  auto& list = list_of(connection);
  list.splice(list.end(), list, places_.at(connection.original).at);
}

}  // namespace ftpalg
