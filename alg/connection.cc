// SPDX-License-Identifier: GPL-2.0-or-later
#include "alg/connection.h"

namespace ftpalg {

std::optional<ConnectionTable::Found> ConnectionTable::find(const Tuple& tuple) {
  const auto found = places_.find(tuple);
  if (found == places_.end()) return std::nullopt;
  return Found{*found->second.at, found->second.direction};
}

Connection& ConnectionTable::insert(const Tuple& original) {
  if (const auto found = places_.find(original); found != places_.end()) {
    erase(*found->second.at);
  }
  connections_.emplace_back(original);
  places_[original] = {std::prev(connections_.end()), Direction::original};
  return connections_.back();
}

void ConnectionTable::set_master(Connection& connection, const Master& master) {
  if (const auto other = find(master.reply); other && &other->connection != &connection) {
    erase(other->connection);
  }
  connection.master = master;
  places_[master.reply] = {places_.at(connection.original).at, Direction::reply};
}

void ConnectionTable::forget(const Tuple& tuple, const Connection& owner) {
  const auto found = places_.find(tuple);
  if (found != places_.end() && &*found->second.at == &owner) places_.erase(found);
}

void ConnectionTable::erase(Connection& connection) {
  const auto at = places_.at(connection.original).at;
  if (connection.master) forget(connection.master->reply, connection);
  forget(connection.original, connection);
  connections_.erase(at);
}

void ConnectionTable::touch(Connection& connection, Time now) {
  connection.last_seen = now;
  connections_.splice(connections_.end(), connections_, places_.at(connection.original).at);
}

}  // namespace ftpalg
