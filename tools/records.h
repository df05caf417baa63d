// SPDX-License-Identifier: GPL-2.0-or-later
// The records of one worker's sessions, and what else is told of it: the witness of its engine on
// one side, whoever shows them on the other.
//
// The worker's thread writes, others read; a lock is held for a line, or for a page of records, and
// nothing is done per packet. What is given out is a copy.
//
// Sessions under way number as many as the engine's. Of those that ended the last ended_max are
// kept for a while's reader, and of those that the engine has left to the kernel, which may live on
// without a word, the last left_max. All ladders together hold rungs_max rungs, and beyond
// ladder_rungs_few each: some 40 MiB and 2 KiB a session.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <list>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "alg/keyed_hash.h"
#include "alg/witness.h"
#include "tools/record.h"

namespace ftpalg::tools {

/// A session's name as long as the gateway runs.
struct SessionId {
  std::uint16_t queue = 0;
  std::uint64_t number = 0;  ///< from 1 on
  /// "21-17".
  std::string text() const;
  static std::optional<SessionId> parse(std::string_view text);
  auto operator<=>(const SessionId&) const = default;
};

/// Something that happened, for those who follow.
struct Event {
  enum class Kind : std::uint8_t { begin, end, decision, transfer };
  Kind kind = Kind::decision;
  Time at{};
  SessionId session;  ///< number 0: a decision about none that is known
  Master master;      ///< of a decision about none, the original tuple alone
  std::optional<std::string> user;
  std::optional<Decision> decision;
  std::string command;   ///< of a transfer
  bool is_done = false;  ///< the transfer, by the server's word
};

class Records final : public Witness {
 public:
  static constexpr std::size_t ended_max = 100;
  static constexpr std::size_t left_max = 10'000;
  static constexpr std::size_t rungs_max = 200'000;
  static constexpr std::size_t events_max = 1000;
  /// Over how long rates are taken, of samples about a second apart.
  static constexpr Time rate_time = std::chrono::seconds{10};

  explicit Records(std::uint16_t queue, const KeyedHash::Key& key = {});

  void on_answered(const Master& master, Beginning beginning, Time now) override;
  void on_begin(const Tuple& control, Time now) override;
  void on_line(const WitnessedLine& line, Time now) override;
  void on_decision(const Decision& decision, Time now) override;
  void on_left(const Tuple& control, Time now) override;
  void on_end(const Tuple& control, Time now) override;

  // For whoever watches conntrack. False when no session of that control connection is known here.

  /// `control` is the original tuple of the control connection.
  bool on_data_connection(const Tuple& control, DataConnection::State state,
                          const Endpoint& came_to, std::optional<std::uint64_t> to_client,
                          std::optional<std::uint64_t> to_server, Time now);
  /// conntrack has forgotten the control connection.
  bool on_control_gone(const Tuple& control, Time now);

  /// What only the worker knows, about once a second.
  struct Figures {
    std::uint64_t packets = 0;  ///< since the start
    std::uint64_t unread = 0;   ///< passed unread, for want of room
    std::uint32_t expectations = 0;
    bool packet_told_connection = false;  ///< one at least has come with its connection (NFQA_CT)
  };
  void note_figures(const Figures& figures, Time now);

  struct Totals {
    Figures figures;
    std::uint64_t sessions_now = 0;
    std::uint64_t sessions_encrypted = 0;
    std::uint64_t sessions_begun = 0;
    std::uint64_t sessions_ended = 0;
    std::uint64_t expectations_installed = 0;
    std::uint64_t transfers_now = 0;
    std::uint64_t transfers_done = 0;
    std::uint64_t transfers_failed = 0;
    std::uint64_t bytes = 0;
    /// Per second.
    double packet_rate = 0;
    double session_rate = 0;
    double transfer_rate = 0;
    /// By action and reason.
    std::array<std::array<std::uint64_t, reason_count>, 4> decisions{};
  };
  Totals totals() const;

  struct Shown {
    SessionId id;
    Record::Shown record;
  };
  /// The next ones behind the session `after`, at most `count`; fewer: there are no more.
  std::vector<Shown> page(std::uint64_t after, std::size_t count) const;

  struct Portrait {
    Shown shown;
    std::vector<Rung> ladder;
  };
  std::optional<Portrait> find(const SessionId& id) const;

  struct Events {
    std::vector<Event> events;
    std::uint64_t next = 0;      ///< to be asked for then
    std::uint64_t left_out = 0;  ///< were forgotten before they were asked for
  };
  /// Those from number `from` on, at most `count`.
  Events events(std::uint64_t from, std::size_t count) const;
  /// The number of the event that comes next.
  std::uint64_t next_event() const;

 private:
  enum class Standing : std::uint8_t { answered, begun, left, ended };
  struct Entry {
    Record record;
    Standing standing = Standing::answered;
    std::list<std::uint64_t>::iterator place{};  ///< in left_ or ended_
  };
  using Entries = std::map<std::uint64_t, Entry>;

  struct Sample {
    Time at{};
    std::uint64_t packets = 0;
    std::uint64_t sessions = 0;
    std::uint64_t transfers = 0;
  };

  Entries::iterator entry_of(const Tuple& control);
  void end(Entries::iterator entry, Time now);
  void erase(Entries::iterator entry);
  /// Changes a record, and keeps count of what it shows and of its rungs.
  template <class Change>
  void change(Entries::iterator entry, Change change);
  void count(const Decision& decision);
  void tell(Event event);
  Event event_of(Event::Kind kind, const Entries::value_type& entry, Time now) const;

  mutable std::mutex lock_;
  const std::uint16_t queue_;
  std::uint64_t last_number_ = 0;
  Entries entries_;
  std::unordered_map<Tuple, std::uint64_t, KeyedHash> numbers_;
  std::list<std::uint64_t> ended_;  ///< oldest first
  std::list<std::uint64_t> left_;
  std::size_t rungs_ = 0;
  Totals totals_;
  std::deque<Sample> samples_;
  std::deque<Event> events_;
  std::uint64_t next_event_ = 0;
};

}  // namespace ftpalg::tools
