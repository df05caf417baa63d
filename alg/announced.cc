// SPDX-License-Identifier: GPL-2.0-or-later
#include "alg/announced.h"

#include "alg/data_connection.h"

namespace ftpalg {
namespace {

/// How many public ports are tried before an announcement is given up.
constexpr std::uint32_t port_tries_max = 128;

}  // namespace

Reason Announced::cap_reached(const Connection& connection, const Policy& policy) const {
  if (connection.expectation_is_live) return Reason::none;  // it is replaced
  if (use_.of(connection.client).expectations >= policy.expectations_per_client_max) {
    return Reason::client_expectations_full;
  }
  return use_.of_all().expectations >= policy.expectations_max ? Reason::expectations_full
                                                               : Reason::none;
}

/// True when the public endpoint of `expectation` is free for it. A connection that announced the
/// same inside endpoint is done with it, or it could not be announced again: what is left of its
/// expectation goes.
bool Announced::make_way(const Expectation& expectation, const Connection& connection) {
  const auto found = owners_.find(announced_key(expectation));
  if (found == owners_.end() || found->second.original == connection.original) return true;
  if (found->second.inside != expectation.inside) return false;
  if (const auto owner = connections_.find(found->second.original)) end(owner->connection);
  return true;
}

/// The same whenever one client announces one port to one server. The public port stays the same
/// then: with another, the data connection would have the addresses and ports that the one before
/// has behind the NAT, and conntrack drops it while it remembers that (TIME-WAIT).
std::uint64_t Announced::drawn_number(const Expectation& expectation, std::uint32_t attempt) const {
  const Port attempted{static_cast<std::uint16_t>(attempt)};
  return hash_(Tuple{{expectation.source, attempted}, expectation.inside});
}

Reason Announced::expect(const Connection& connection, Expectation& expectation,
                         bool may_change_port, const Policy& policy) {
  if (const Reason reason = cap_reached(connection, policy); reason != Reason::none) return reason;

  const std::uint32_t tries = may_change_port ? port_tries_max : 1;
  for (std::uint32_t attempt = 0; attempt < tries; ++attempt) {
    if (may_change_port) {
      expectation.destination.port =
          public_port(expectation.inside.port, policy, attempt, drawn_number(expectation, attempt));
    }
    if (!make_way(expectation, connection)) continue;
    switch (kernel_.add(expectation)) {
      case ExpectationResult::added:
        return Reason::none;
      case ExpectationResult::busy:
        continue;
      case ExpectationResult::failed:
        return Reason::expectation_failed;
    }
  }
  return Reason::no_port_free;
}

void Announced::keep(Connection& connection, const Expectation& expectation, Time ends) {
  release(connection);
  owners_.insert_or_assign(announced_key(expectation),
                           Owner{connection.original, expectation.inside});
  connection.announced = expectation;
  if (!connection.expectation_is_live) use_.add_expectation(connection.client);
  connection.expectation_is_live = true;
  connection.expectation_ends = ends;
  if (!connection.expectation_deadline_set) deadlines_.push({ends, connection.original});
  connection.expectation_deadline_set = true;
}

void Announced::end(Connection& connection) {
  if (!connection.expectation_is_live) return;
  kernel_.remove(*connection.announced);
  use_.remove_expectation(connection.client);
  connection.expectation_is_live = false;
}

void Announced::release(const Connection& connection) {
  if (!connection.announced) return;
  const auto found = owners_.find(announced_key(*connection.announced));
  if (found != owners_.end() && found->second.original == connection.original) {
    owners_.erase(found);
  }
}

void Announced::forget(Connection& connection) {
  end(connection);
  release(connection);
}

bool Announced::owns_announced(const Connection& connection) const {
  if (!connection.announced) return false;
  const auto found = owners_.find(announced_key(*connection.announced));
  return found != owners_.end() && found->second.original == connection.original;
}

void Announced::take_over(Connection& connection, bool owns_announced) {
  if (owns_announced) {
    owners_.insert_or_assign(announced_key(*connection.announced),
                             Owner{connection.original, connection.announced->inside});
  }
  if (connection.expectation_is_live) use_.add_expectation(connection.client);
  if (connection.expectation_deadline_set) {
    deadlines_.push({connection.expectation_ends, connection.original});
  }
}

void Announced::on_tick(Time now) {
  while (!deadlines_.empty() && deadlines_.top().at <= now) {
    const auto found = connections_.find(deadlines_.top().original);
    deadlines_.pop();
    if (!found) continue;
    Connection& connection = found->connection;
    const bool has_time = connection.expectation_is_live && connection.expectation_ends > now;
    connection.expectation_deadline_set = has_time;
    if (has_time) {
      deadlines_.push({connection.expectation_ends, connection.original});
    } else {
      end(connection);
    }
  }
  deadlines_.trim();
}

}  // namespace ftpalg
