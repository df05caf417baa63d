// SPDX-License-Identifier: GPL-2.0-or-later
#include "alg/connection.h"

#include <algorithm>
#include <cstring>

#include "alg/rest_bytes.h"

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

void Connection::renew(const Tuple& original_tuple, const Network& client_network) {
  Connection fresh(original_tuple, client_network);
  for (const std::size_t direction : {0U, 1U}) {
    fresh.streams[direction].take_room(streams[direction]);
  }
  *this = std::move(fresh);
}

// --- Found by its tuples

std::optional<ConnectionTable::Found> ConnectionTable::find(const Tuple& tuple) {
  const auto is_it = [&](TupleIndex::Number number) {
    const Connection& connection = wake(number / 2);
    return (number % 2 == 0 ? connection.original : connection.master->reply) == tuple;
  };
  const auto found = index_.find(hash_(tuple), is_it);
  if (!found) return std::nullopt;
  return Found{*places_[*found / 2].connection,
               *found % 2 == 0 ? Direction::original : Direction::reply};
}

Connection& ConnectionTable::insert(const Tuple& original, const Network& client) {
  const Number at = new_place();
  places_[at].connection = new_connection(original, client);
  places_[at].connection->place = at;
  append(at, Kind::other);
  index_.insert(hash_(original), 2 * at);
  return *places_[at].connection;
}

Connection& ConnectionTable::insert(Connection taken) {
  const Number at = new_place();
  Connection& connection =
      *(places_[at].connection = std::make_unique<Connection>(std::move(taken)));
  connection.place = at;
  append(at, connection.is_under_way() ? Kind::under_way : Kind::other);
  index_.insert(hash_(connection.original), 2 * at);
  if (connection.master) index_.insert(hash_(connection.master->reply), 2 * at + 1);
  return connection;
}

void ConnectionTable::set_master(Connection& connection, const Master& master) {
  connection.master = master;
  index_.insert(hash_(master.reply), 2 * connection.place + 1);
}

void ConnectionTable::erase(Connection& connection) {
  const Number at = connection.place;
  if (connection.master) index_.erase(hash_(connection.master->reply), 2 * at + 1);
  index_.erase(hash_(connection.original), 2 * at);
  take_out(at);
  give_back(std::move(places_[at].connection));
  places_[at].kind = Kind::free;
  free_places_.push_back(at);
  --size_;
}

// --- In order

void ConnectionTable::begin(Connection& connection) {
  connection.begun = true;
  take_out(connection.place);
  append(connection.place, Kind::under_way);
}

void ConnectionTable::end(Connection& connection) {
  connection.ended = true;
  take_out(connection.place);
  append(connection.place, Kind::other);
}

void ConnectionTable::touch(Connection& connection, Time now) {
  connection.last_seen = now;
  take_out(connection.place);
  append(connection.place, connection.is_under_way() ? Kind::under_way : Kind::other);
}

Connection* ConnectionTable::oldest() {
  const Number first = quiet_.first != none ? quiet_.first : under_way_.first;
  return first == none ? nullptr : &wake(first);
}

Connection* ConnectionTable::oldest_other() {
  return others_.first == none ? nullptr : &wake(others_.first);
}

std::optional<Time> ConnectionTable::oldest_seen() const {
  const Number first = quiet_.first != none ? quiet_.first : under_way_.first;
  if (first == none) return std::nullopt;
  return last_seen(first);
}

std::optional<Time> ConnectionTable::oldest_other_seen() const {
  if (others_.first == none) return std::nullopt;
  return last_seen(others_.first);
}

ConnectionTable::List& ConnectionTable::list_of(Kind kind) {
  if (kind == Kind::quiet) return quiet_;
  return kind == Kind::under_way ? under_way_ : others_;
}

void ConnectionTable::append(Number at, Kind kind) {
  List& list = list_of(kind);
  Place& place = places_[at];
  place.kind = kind;
  place.before = list.last;
  place.next = none;
  (list.last == none ? list.first : places_[list.last].next) = at;
  list.last = at;
}

void ConnectionTable::take_out(Number at) {
  Place& place = places_[at];
  List& list = list_of(place.kind);
  (place.before == none ? list.first : places_[place.before].next) = place.next;
  (place.next == none ? list.last : places_[place.next].before) = place.before;
}

// --- Memory

ConnectionTable::Number ConnectionTable::new_place() {
  ++size_;
  if (free_places_.empty()) {
    places_.emplace_back();
    return static_cast<Number>(places_.size() - 1);
  }
  const Number at = free_places_.back();
  free_places_.pop_back();
  return at;
}

std::unique_ptr<Connection> ConnectionTable::new_connection(const Tuple& original,
                                                            const Network& client) {
  if (spares_.empty()) return std::make_unique<Connection>(original, client);
  auto connection = std::move(spares_.back());
  spares_.pop_back();
  connection->renew(original, client);
  return connection;
}

void ConnectionTable::give_back(std::unique_ptr<Connection> connection) {
  if (spares_.size() < spares_max) spares_.push_back(std::move(connection));
}

// --- Rest

namespace {

/// All of a connection, with what the policy has said of it, but for last_seen.
template <typename Fields, typename Self>
void visit_at_rest(Fields& fields, Self& connection) {
  Connection::visit(fields, connection);
  fields(connection.is_editable, connection.refuses);
}

}  // namespace

void ConnectionTable::rest(Time now) {
  for (const Number at : woken_) {
    if (places_[at].kind == Kind::quiet && places_[at].connection) put_to_rest(at);
  }
  woken_.clear();
  for (std::size_t done = 0; done < rests_per_call; ++done) {
    const Number at = under_way_.first;
    if (at == none || last_seen(at) + rest_after > now) return;
    take_out(at);
    append(at, Kind::quiet);
    put_to_rest(at);
  }
}

/// When it was last seen, and its client's prefix, stand before the rest of what it knows.
void ConnectionTable::put_to_rest(Number at) {
  Place& place = places_[at];
  Connection& connection = *place.connection;
  const Time seen = std::exchange(connection.last_seen, Time{});
  for (Stream& stream : connection.streams) stream.forget_line_done();
  written_.resize(sizeof seen);
  std::memcpy(written_.data(), &seen, sizeof seen);
  written_.push_back(static_cast<std::uint8_t>(connection.client.prefix_bits()));
  RestWriter fields(written_);
  visit_at_rest(fields, connection);

  place.size = static_cast<std::uint32_t>(written_.size());
  place.bytes = static_cast<std::uint8_t*>(memory_.allocate(place.size, 1));
  std::copy(written_.begin(), written_.end(), place.bytes);
  give_back(std::move(place.connection));
  ++resting_count_;
}

/// Into a new one.
void ConnectionTable::read(const Place& place, Connection& connection) {
  const std::uint8_t* at = place.bytes;
  Time seen;
  std::memcpy(&seen, at, sizeof seen);
  at += sizeof seen;
  const unsigned prefix_bits = *at++;
  RestReader fields(at);
  visit_at_rest(fields, connection);
  connection.client = Network{connection.original.source.address, prefix_bits};
  connection.last_seen = seen;
}

/// One that is awake is left so.
Connection& ConnectionTable::wake(Number at) {
  Place& place = places_[at];
  if (place.connection) return *place.connection;
  place.connection = new_connection({}, {{}, 0});
  read(place, *place.connection);
  place.connection->place = at;
  memory_.deallocate(place.bytes, place.size, 1);
  place.bytes = nullptr;
  --resting_count_;
  woken_.push_back(at);
  return *place.connection;
}

Time ConnectionTable::last_seen(Number at) const {
  const Place& place = places_[at];
  if (place.connection) return place.connection->last_seen;
  Time seen;
  std::memcpy(&seen, place.bytes, sizeof seen);
  return seen;
}

}  // namespace ftpalg
