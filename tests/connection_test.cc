// SPDX-License-Identifier: GPL-2.0-or-later
#include "alg/connection.h"

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <random>

#include "alg/engine_state.h"
#include "alg/state_bytes.h"
#include "conversation.h"

namespace ftpalg::test {
namespace {

using namespace std::chrono_literals;

std::vector<std::uint8_t> bytes_of(const Connection& connection) {
  StateWriter fields;
  fields(connection, connection.client.first(), connection.client.prefix_bits(),
         connection.is_editable, connection.refuses);
  return fields.take();
}

/// The sessions of all states that the corpus for the fuzzer has.
std::vector<Connection> all_sorts() {
  std::vector<Connection> found;
  const std::filesystem::path corpus = FTPALG_TEST_SOURCE_DIR "/fuzz/corpus/state";
  for (const auto& file : std::filesystem::directory_iterator(corpus)) {
    std::ifstream stream(file.path(), std::ios::binary);
    const std::vector<std::uint8_t> bytes{std::istreambuf_iterator<char>(stream), {}};
    // The first byte is for the fuzzer where it is none of the state.
    for (const std::size_t skipped : {0U, 1U}) {
      const auto state = EngineState::read(wire::Bytes{bytes}.subspan(skipped));
      if (!state) continue;
      for (const auto& session : state->sessions) found.push_back(session.connection);
    }
  }
  return found;
}

Connection under_way(std::uint16_t port, Time last_seen) {
  const Master master = master_of(endpoint("10.0.0.2", port), endpoint("203.0.113.100", port),
                                  endpoint("192.168.100.200", 21), endpoint("9.9.9.9", 21));
  Connection connection(master.original, Network{master.client(), 32});
  connection.master = master;
  connection.begun = true;
  connection.last_seen = last_seen;
  return connection;
}

TEST_CASE("a connection comes back from its rest as it was") {
  std::size_t tried = 0;
  for (Connection connection : all_sorts()) {
    if (!connection.is_under_way()) continue;
    ++tried;
    connection.client = Network{connection.original.source.address, 24};
    connection.is_editable = {true, false};
    connection.refuses = true;
    for (Stream& stream : connection.streams) stream.forget_line_done();
    const auto before = bytes_of(connection);
    const Tuple original = connection.original;
    const Tuple reply = connection.master->reply;
    const Time seen = connection.last_seen;

    ConnectionTable table{KeyedHash{}};
    table.insert(std::move(connection));
    table.rest(seen + ConnectionTable::rest_after - 1ns);
    CHECK(table.resting() == 0);
    table.rest(seen + ConnectionTable::rest_after);
    CHECK(table.resting() == 1);
    CHECK(table.size() == 1);
    CHECK(table.oldest_seen() == seen);

    const auto found = table.find(reply);
    REQUIRE(found);
    CHECK(found->direction == Direction::reply);
    CHECK(table.resting() == 0);
    CHECK(bytes_of(found->connection) == before);
    // Nobody has touched it.
    table.rest(seen + ConnectionTable::rest_after);
    CHECK(table.resting() == 1);
    CHECK(bytes_of(table.find(original)->connection) == before);
  }
  CHECK(tried > 10);
}

TEST_CASE("the one that was touched longest ago is known, at rest or not") {
  ConnectionTable table{KeyedHash{}};
  for (const std::uint16_t port : std::array<std::uint16_t, 3>{1, 2, 3}) {
    table.insert(under_way(port, std::chrono::seconds{port}));
  }
  table.rest(7s);  // the first two
  CHECK(table.resting() == 2);
  CHECK(table.oldest_seen() == 1s);
  table.touch(table.find(under_way(1, 0s).original)->connection, 8s);
  CHECK(table.oldest_seen() == 2s);
  table.erase(*table.oldest());
  CHECK(table.oldest_seen() == 3s);
  table.rest(8s);
  CHECK(table.resting() == 1);

  std::vector<std::uint16_t> ports;
  table.visit_answered([&](Connection& each) {
    each.refuses = true;
    ports.push_back(each.original.source.port.number);
  });
  CHECK(ports == std::vector<std::uint16_t>{3, 1});
  CHECK(table.resting() == 1);
  CHECK(table.find(under_way(3, 0s).original)->connection.refuses);
  CHECK_FALSE(table.find(under_way(2, 0s).original));
  CHECK_FALSE(table.find(under_way(2, 0s).master->reply));
}

TEST_CASE("an index finds what was inserted and not erased, whatever the hashes") {
  std::mt19937 random{7};
  for (const std::uint64_t hashes : {1U, 5U, 1000U}) {
    TupleIndex index;
    std::map<std::uint32_t, std::uint64_t> known;
    for (int step = 0; step < 4000; ++step) {
      const auto number = static_cast<std::uint32_t>(random() % 300);
      const auto [at, is_new] = known.try_emplace(number, (random() % hashes) * 0x1'0000'0007U);
      if (is_new) {
        index.insert(at->second, number);
      } else {
        index.erase(at->second, number);
        known.erase(at);
      }
      const auto probe = static_cast<std::uint32_t>(random() % 300);
      const auto expected = known.find(probe);
      const std::uint64_t hash = expected == known.end() ? 0 : expected->second;
      const auto found = index.find(hash, [&](std::uint32_t each) { return each == probe; });
      REQUIRE(found.has_value() == (expected != known.end()));
    }
  }
}

}  // namespace
}  // namespace ftpalg::test
