// SPDX-License-Identifier: GPL-2.0-or-later
#include "alg/connection.h"

namespace ftpalg {

std::optional<ConnectionTable::Found> ConnectionTable::find(const Tuple& tuple) {
  const auto found = places_.find(tuple);
  if (found == places_.end()) return std::nullopt;
  return Found{*found->second.at, found->second.direction};
}

Connection& ConnectionTable::insert(const Tuple& original, const Network& client) {
  unanswered_.emplace_back(original, client);
  places_[original] = {std::prev(unanswered_.end()), Direction::original};
  return unanswered_.back();
}

void ConnectionTable::set_master(Connection& connection, const Master& master) {
  const auto at = places_.at(connection.original).at;
  answered_.splice(answered_.end(), unanswered_, at);
  connection.master = master;
  places_[master.reply] = {at, Direction::reply};
}

void ConnectionTable::erase(Connection& connection) {
  const auto at = places_.at(connection.original).at;
  if (connection.master) places_.erase(connection.master->reply);
  places_.erase(connection.original);
  list_of(connection).erase(at);
}

void ConnectionTable::touch(Connection& connection, Time now) {
  connection.last_seen = now;
  auto& list = list_of(connection);
  list.splice(list.end(), list, places_.at(connection.original).at);
}

}  // namespace ftpalg
