// SPDX-License-Identifier: GPL-2.0-or-later
// Transfers: what control connections say of them (tools/transfer_witness.h) and what conntrack
// counts of their data connections (conntrack/netlink/connection_events.h), brought together.
//
// A transfer is over when its final reply has come and its data connection has ended; or the reply
// alone, when there is no data connection, or none that ends within end_wait_max. Of what conntrack
// tells, the program gives it what came until the reply was taken note of, or more: conntrack tells
// of a data connection before its first packet leaves, and so before a server can answer for it.
#pragma once

#include <deque>
#include <functional>
#include <list>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "alg/keyed_hash.h"
#include "conntrack/related_connection.h"
#include "tools/transfer.h"

namespace ftpalg::tools {

/// A data connection, told to whoever shows it.
struct DataState {
  Tuple control;     ///< original tuple of the control connection
  Endpoint came_to;  ///< where its first packet went, before NAT
  Progress::Stage stage = Progress::Stage::opening;
  bool was_open = false;
  std::optional<std::uint64_t> to_client{};  ///< bytes of IP packets
  std::optional<std::uint64_t> to_server{};
};

class Transfers {
 public:
  /// How conntrack is asked; the twin in tests has answers of its own.
  using Look = std::function<std::optional<Progress>(const RelatedConnection&)>;
  struct Told {
    std::vector<FinishedTransfer> finished;
    std::vector<DataState> data;
  };

  /// How long one waits for the end of a data connection whose transfer has been answered.
  static constexpr Time end_wait_max = std::chrono::seconds{10};
  /// How long a data connection that has ended waits for a transfer to be its own.
  static constexpr Time transfer_wait_max = std::chrono::minutes{10};
  static constexpr Time look_interval = std::chrono::seconds{1};
  /// While a transfer that is answered waits for its end.
  static constexpr Time hasty_look_interval = std::chrono::milliseconds{100};
  /// Data connections that are known at once; of more nothing is told.
  static constexpr std::size_t connections_max = 65536;
  /// Questions to conntrack in one look_interval.
  static constexpr std::size_t looks_max = 4096;

  struct Circumstances {
    bool conntrack_tells = true;  ///< of connections (nf_conntrack_events)
    bool transfers_come = true;   ///< else data connections alone are of interest
  };
  /// `key` is for nobody to know who makes connections.
  Transfers(Look look, Circumstances circumstances, const KeyedHash::Key& key)
      : look_(std::move(look)), circumstances_(circumstances), unclaimed_(0, KeyedHash{key}) {}

  /// Of connections with a master on one of these ports alone.
  void set_control_ports(std::vector<std::uint16_t> ports) { control_ports_ = std::move(ports); }

  void on_news(const ConnectionNews& news, Time now);
  /// After gaps in the news: all that there are.
  void on_list(const std::vector<RelatedConnection>& connections, Time now);
  void on_transfer(Transfer transfer, Time now);
  /// To be called not later than next().
  void on_tick(Time now);
  /// Nothing while there is nothing to do.
  std::optional<Time> next() const;
  /// At the end of the program: what is answered is over.
  void finish_all(Time now);

  /// What has come of all this since the last time.
  Told take_told() { return std::exchange(told_, {}); }

 private:
  enum class Claim : std::uint8_t {
    none,     ///< no transfer has taken it as its own
    waiting,  ///< one has, and waits for its end
    past,     ///< one had, and is over
  };
  struct Known {
    RelatedConnection connection;
    Progress last{};
    Time begun{};
    std::optional<Time> ended{};
    Claim claim = Claim::none;
  };
  using Connections = std::list<Known>;
  using Connection = Connections::iterator;

  struct Waiting {
    Transfer transfer;
    Connection connection;
    Time until{};
  };

  void begin(const RelatedConnection& connection, Time now);
  void note(Connection known, const std::optional<Progress>& progress, Time now);
  void look_at(Connection known, Time now) { note(known, look_(known->connection), now); }
  void look_at_some(Time now);
  void finish_waiting(Time now);
  void forget_old(Time now);
  void forget(Connection known);
  std::optional<Connection> claim_for(const Transfer& transfer);
  void finish(const Waiting& waiting, Time now);
  void tell(const Known& known);

  Look look_;
  Circumstances circumstances_;
  std::vector<std::uint16_t> control_ports_;
  Connections live_;   ///< those that are to be looked at next come first
  Connections ended_;  ///< in the order of their ends
  std::unordered_map<std::uint32_t, Connection> by_id_;
  /// Those that no transfer has taken as its own, by control connection, oldest first.
  std::unordered_map<Tuple, std::deque<Connection>, KeyedHash> unclaimed_;
  std::list<Waiting> waiting_;
  Time next_look_{};
  Time next_hasty_look_{};
  Told told_;
};

}  // namespace ftpalg::tools
