// SPDX-License-Identifier: GPL-2.0-or-later
// A control connection as the engine knows it, and the table of them all.
#pragma once

#include <array>
#include <deque>
#include <memory>
#include <memory_resource>
#include <optional>
#include <vector>

#include "alg/keyed_hash.h"
#include "alg/policy.h"
#include "alg/session.h"
#include "alg/stream.h"
#include "alg/tls_records.h"
#include "alg/tuple_index.h"
#include "conntrack/expectation.h"
#include "conntrack/network.h"

namespace ftpalg {

struct Connection {
  Connection(const Tuple& original_tuple, const Network& client_network)
      : original(original_tuple), client(client_network) {}

  /// For alg/state_bytes.h: all but what the policy says.
  template <typename Fields, typename Self>
  static void visit(Fields& fields, Self& self) {
    fields(self.original, self.master, self.session, self.streams, self.heard, self.records,
           self.shifts_itself, self.fin_seen, self.begun, self.ended, self.is_watched, self.syn,
           self.reopening, self.announced, self.expectation_is_live, self.expectation_deadline_set,
           self.expectation_ends, self.mark_failed, self.last_seen);
  }
  /// What was read could have come about.
  bool is_sound() const;
  /// Becomes a new one, which has the room of this one's buffers.
  void renew(const Tuple& original_tuple, const Network& client_network);

  Tuple original;
  Network client;  ///< that its use counts for
  /// Nothing until the SYN has been answered: before that NAT has not been decided.
  std::optional<Master> master;
  Session session = Session::from_start();
  std::array<Stream, 2> streams{Stream{Stream::command_line_bytes_max},
                                Stream{Stream::reply_line_bytes_max}};
  /// What each end last said of what it has received, by the direction of its segments.
  struct Heard {
    Seq ack;
    std::uint16_t window = 0;  ///< unscaled
    std::optional<Timestamps> timestamps;

    template <typename Fields, typename Self>
    static void visit(Fields& fields, Self& self) {
      fields(self.ack, self.window, self.timestamps);
    }
  };
  std::array<Heard, 2> heard{};
  /// By direction: what this end announces, the other must read otherwise, so lines may have to be
  /// edited.
  std::array<bool, 2> is_editable{};
  /// Some of the client's commands may be refused, so that they are read whatever the session is.
  bool refuses = false;
  /// By direction, of an encrypted connection: where its records are, if they are followed.
  std::array<std::optional<TlsRecords>, 2> records{};
  /// Sequence numbers are shifted by the engine and not by the kernel.
  bool shifts_itself = false;
  std::array<bool, 2> fin_seen{};
  /// The client has the server's answer. Before, it may be a SYN that somebody sent in its name.
  bool begun = false;
  bool ended = false;
  /// It is looked after while it waits for a reply.
  bool is_watched = false;
  /// The number of the SYN that this connection began with; nothing when it was under way already.
  std::optional<Seq> syn;
  /// A SYN that came while the connection was alive: the connection begins anew if the server
  /// answers it.
  std::optional<Seq> reopening;
  /// The last data connection announced here. Its public port stays taken until the next one or the
  /// end.
  std::optional<Expectation> announced;
  bool expectation_is_live = false;  ///< the kernel may still hold `announced`
  bool expectation_deadline_set = false;
  Time expectation_ends{};
  /// The kernel was asked in vain to queue it no more.
  bool mark_failed = false;
  Time last_seen{};
  /// The table's own number of it.
  std::uint32_t place = 0;

  Stream& stream(Direction direction) { return streams[static_cast<std::size_t>(direction)]; }
  const Stream& stream(Direction direction) const {
    return streams[static_cast<std::size_t>(direction)];
  }
  void begin(Seq syn_seq) {
    syn = syn_seq;
    stream(Direction::original).start(syn_seq + 1);
  }
  /// It was answered and has not ended.
  bool lives() const { return master && !ended; }
  bool is_under_way() const { return begun && !ended; }
  bool was_edited() const { return streams[0].was_edited() || streams[1].was_edited(); }
  std::size_t kept_bytes() const { return streams[0].kept_bytes() + streams[1].kept_bytes(); }
};

/// Finds a connection by the tuple of either direction. Owns the connections; a reference is valid
/// until its connection is erased, or put to rest.
///
/// Most connections say nothing for most of the time. They rest then: all that is known of one
/// stands in as few bytes as can be (alg/rest_bytes.h), until it is wanted again. Nobody but the
/// table knows of it.
class ConnectionTable {
 public:
  struct Found {
    Connection& connection;
    Direction direction;
  };

  /// How long a connection that is under way has said nothing when it is put to rest.
  static constexpr Time rest_after = std::chrono::seconds{5};

  explicit ConnectionTable(const KeyedHash& hash) : hash_(hash) {}
  ConnectionTable(const ConnectionTable&) = delete;
  ConnectionTable& operator=(const ConnectionTable&) = delete;

  std::optional<Found> find(const Tuple& tuple);

  /// A new connection, found by its original tuple, by which none is found yet.
  Connection& insert(const Tuple& original, const Network& client);
  /// From now on one that had no master is found by its reply tuple too, by which none is found
  /// yet.
  void set_master(Connection& connection, const Master& master);
  /// One that another table had, of which none is found by either of its tuples yet. It comes
  /// behind the others.
  Connection& insert(Connection connection);
  void erase(Connection& connection);

  /// They are under way from now on, or no more.
  void begin(Connection& connection);
  void end(Connection& connection);

  /// Moves it behind all others.
  void touch(Connection& connection, Time now);
  /// The one that was touched longest ago, or none: of those that are under way, and of the others,
  /// of which nobody takes harm when they are forgotten.
  Connection* oldest();
  Connection* oldest_other();
  /// When that was; nothing where there is none.
  std::optional<Time> oldest_seen() const;
  std::optional<Time> oldest_other_seen() const;
  std::size_t size() const { return size_; }

  /// Puts to rest what has said nothing for rest_after. To be called about once a second.
  void rest(Time now);
  /// How many rest.
  std::size_t resting() const { return resting_count_; }

  /// Of each kind the one that was touched longest ago first. A reference is valid for this call.
  template <typename Visit>
  void visit_all(Visit visit) const {
    for (const List* list : {&quiet_, &under_way_, &others_}) {
      for (Number at = list->first; at != none; at = places_[at].next) {
        if (places_[at].connection) {
          visit(std::as_const(*places_[at].connection));
        } else {
          Connection connection{{}, {{}, 0}};
          read(places_[at], connection);
          visit(std::as_const(connection));
        }
      }
    }
  }

  /// May change them.
  template <typename Visit>
  void visit_answered(Visit visit) {
    for (const List* list : {&quiet_, &under_way_, &others_}) {
      for (Number at = list->first; at != none; at = places_[at].next) {
        const bool rested = !places_[at].connection;
        Connection& connection = wake(at);
        if (connection.master) visit(connection);
        if (rested) put_to_rest(at);
      }
    }
  }

 private:
  using Number = TupleIndex::Number;
  static constexpr Number none = ~Number{0};
  /// At once: the caller has other things to do.
  static constexpr std::size_t rests_per_call = 10'000;
  /// Connections that are not in use, for those that come.
  static constexpr std::size_t spares_max = 256;

  enum class Kind : std::uint8_t { free, quiet, under_way, other };

  /// One connection's: awake, or at rest.
  struct Place {
    std::unique_ptr<Connection> connection;
    std::uint8_t* bytes = nullptr;  ///< of one that rests, in memory_
    std::uint32_t size = 0;
    Number before = none;
    Number next = none;
    Kind kind = Kind::free;
  };

  /// Least recently touched first.
  struct List {
    Number first = none;
    Number last = none;
  };

  List& list_of(Kind kind);
  void append(Number at, Kind kind);
  void take_out(Number at);
  Number new_place();
  std::unique_ptr<Connection> new_connection(const Tuple& original, const Network& client);
  void give_back(std::unique_ptr<Connection> connection);
  Connection& wake(Number at);
  void put_to_rest(Number at);
  static void read(const Place& place, Connection& connection);
  Time last_seen(Number at) const;

  KeyedHash hash_;
  /// By both tuples: twice the place's number, and the direction.
  TupleIndex index_;
  std::deque<Place> places_;
  std::vector<Number> free_places_;
  std::vector<std::unique_ptr<Connection>> spares_;
  List quiet_;  ///< under way, but had been at rest when they were last touched, or since
  List under_way_;
  List others_;
  std::vector<Number> woken_;  ///< of quiet_
  std::pmr::unsynchronized_pool_resource memory_;
  std::vector<std::uint8_t> written_;
  std::size_t size_ = 0;
  std::size_t resting_count_ = 0;
};

}  // namespace ftpalg
