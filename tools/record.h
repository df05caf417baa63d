// SPDX-License-Identifier: GPL-2.0-or-later
// The record of one control session: what a person is shown of it, and its ladder, the last lines
// that passed, each with what became of it. Fed by a witness (alg/witness.h), live or in a replay.
//
// What follows passwords' commands is never stored (redaction.h). Texts are cut to text_bytes_max.
// A record costs some 0.7 KiB, and each rung of its ladder some 0.2 KiB: with ladder_rungs_max
// rungs 8 KiB, with ladder_rungs_few 2 KiB.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "alg/decision.h"
#include "alg/time.h"
#include "alg/witness.h"
#include "conntrack/master.h"

namespace ftpalg::tools {

inline constexpr std::size_t text_bytes_max = 200;
inline constexpr std::size_t ladder_rungs_max = 40;
/// Where there are so many sessions that memory matters.
inline constexpr std::size_t ladder_rungs_few = 8;

enum class SessionState : std::uint8_t {
  greeting,    ///< the server has not greeted yet
  login,       ///< nobody has logged in
  ready,       ///< logged in, and nothing under way
  waiting,     ///< a command is unanswered
  transfer,    ///< the server has begun a transfer
  encrypted,   ///< cannot be read
  left_alone,  ///< is not looked at any more
  ended,
};

enum class Tls : std::uint8_t { none, asked, encrypted };

/// The data connection that was announced last.
struct DataConnection {
  enum class Mode : std::uint8_t { active, passive };
  enum class State : std::uint8_t {
    expected,  ///< nobody has come yet, as far as is known
    open,
    closed,
    expired,  ///< nobody came in time
    refused,  ///< it was not opened: `reason`
  };
  Mode mode = Mode::passive;
  State state = State::expected;
  Reason reason = Reason::none;
  std::optional<Endpoint> announced;   ///< by the end that waits there, as it knows itself
  std::optional<Endpoint> advertised;  ///< to the end that is to connect
  std::optional<Address> who;          ///< is to connect
  Time since{};                        ///< of the state
  Time announced_at{};
  std::optional<std::uint64_t> to_client;  ///< bytes
  std::optional<std::uint64_t> to_server;
};

/// What somebody said last.
struct Said {
  std::string text;
  Time at{};
};

/// A rung of the ladder between client, gateway and server.
struct Rung {
  enum class Kind : std::uint8_t { line, data, note };
  enum class From : std::uint8_t { client, server, gateway };
  Time at{};
  Kind kind = Kind::line;
  From from = From::gateway;
  std::optional<Action> action{};
  Reason reason = Reason::none;
  std::string before{};
  std::string after{};  ///< empty when it leaves as it came
  std::string text{};   ///< of a note, or what a data connection did
  std::shared_ptr<const Expectation> expectation{};
  std::optional<std::uint64_t> bytes{};
};

class Record {
 public:
  /// What is shown of the session without its ladder.
  struct Shown {
    Master master;
    std::optional<std::string> user;
    Tls tls = Tls::none;
    SessionState state = SessionState::greeting;
    Reason left_for = Reason::none;  ///< why it is encrypted or left alone
    std::optional<Said> last_command;
    std::optional<Said> last_reply;
    std::uint32_t transfers_done = 0;
    std::uint32_t transfers_failed = 0;
    std::optional<std::uint64_t> bytes;  ///< of all data connections that have closed
    std::optional<DataConnection> data;
    /// The command that uses it and is not answered for good: "RETR file".
    std::string transfer_command;
    Time transfer_began{};
    /// Refused last, until a later command was not.
    std::optional<Said> refused;
    Time began{};
    Time last_seen{};
  };

  /// What a line has brought about, for whoever counts.
  struct Effect {
    enum class Transfer : std::uint8_t { none, done, failed };
    Transfer transfer = Transfer::none;
    std::string command{};  ///< of the transfer that has ended
  };

  /// Of the ladder the last `rungs_max` rungs are kept.
  Record(const Master& master, Witness::Beginning beginning, Time now,
         std::size_t rungs_max = ladder_rungs_max);

  Effect on_line(const Witness::WitnessedLine& line, Time now);
  void on_decision(const Decision& decision, Time now);
  void on_left(Time now);
  void on_end(Time now);
  /// conntrack tells of a data connection to `came_to`, as it stands before NAT: it is open, or has
  /// closed, which is told once, and what has passed. It may be another than the one that was
  /// announced last.
  void on_data_connection(DataConnection::State state, const Endpoint& came_to,
                          std::optional<std::uint64_t> to_client,
                          std::optional<std::uint64_t> to_server, Time now);

  const Shown& shown() const { return shown_; }
  /// Oldest first.
  const std::vector<Rung>& ladder() const { return ladder_; }
  /// So many rungs before the oldest one are forgotten.
  std::uint64_t forgotten() const { return forgotten_; }
  /// Forgets the oldest rungs beyond `rungs`.
  void shorten_ladder(std::size_t rungs);

 private:
  void on_command(const Witness::WitnessedLine& line, Time now);
  Effect on_reply(const Witness::WitnessedLine& line, Time now);
  Effect on_final_reply(std::uint16_t code, Time now);
  void heed(const Decision& decision, Time now);
  void announce(const Decision& decision, Time now);
  bool is_read() const;
  void settle_state();
  void add(Rung rung);

  Shown shown_;
  std::vector<Rung> ladder_;
  std::size_t rungs_max_;
  std::uint64_t forgotten_ = 0;
  bool greeted_ = false;
  bool logged_in_ = false;
  bool transfer_begun_ = false;
  std::uint16_t open_reply_ = 0;  ///< the code that a reply in several lines waits for, or 0
  std::uint32_t unanswered_ = 0;
};

}  // namespace ftpalg::tools
