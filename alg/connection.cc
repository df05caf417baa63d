// SPDX-License-Identifier: GPL-2.0-or-later
#include "alg/connection.h"

namespace ftpalg {

bool Connection::is_sound() const {
  if (master && (master->original != original || master->reply == original)) return false;
  if (begun && !master) return false;
  const Family family = original.source.address.family();
  const auto is_of_it = [family](const Address& address) { return address.family() == family; };
  const bool is_one_family =
      is_of_it(original.destination.address) &&
      (!master || (is_of_it(master->client_as_server_sees_it()) && is_of_it(master->server()))) &&
      (!announced || (is_of_it(announced->source) && is_of_it(announced->destination.address) &&
                      is_of_it(announced->inside.address)));
  if (!is_one_family) return false;
  if (expectation_is_live && !announced) return false;
  if (announced && announced->master != original) return false;
  return streams[0].is_sound() && streams[1].is_sound();
}

std::optional<ConnectionTable::Found> ConnectionTable::find(const Tuple& tuple) {
  const auto found = places_.find(tuple);
  if (found == places_.end()) return std::nullopt;
  return Found{*found->second.at, found->second.direction};
}

Connection& ConnectionTable::insert(const Tuple& original, const Network& client) {
  others_.emplace_back(original, client);
  places_[original] = {std::prev(others_.end()), Direction::original};
  return others_.back();
}

Connection& ConnectionTable::insert(Connection connection) {
  auto& list = list_of(connection);
  list.push_back(std::move(connection));
  const auto at = std::prev(list.end());
  places_[at->original] = {at, Direction::original};
  if (at->master) places_[at->master->reply] = {at, Direction::reply};
  return *at;
}

void ConnectionTable::set_master(Connection& connection, const Master& master) {
  connection.master = master;
  places_[master.reply] = {places_.at(connection.original).at, Direction::reply};
}

void ConnectionTable::begin(Connection& connection) {
  const auto at = places_.at(connection.original).at;
  connection.begun = true;
  under_way_.splice(under_way_.end(), others_, at);
}

void ConnectionTable::end(Connection& connection) {
  const auto at = places_.at(connection.original).at;
  auto& list = list_of(connection);
  connection.ended = true;
  others_.splice(others_.end(), list, at);
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
