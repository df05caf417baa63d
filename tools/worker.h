// SPDX-License-Identifier: GPL-2.0-or-later
// A worker: one queue, with an engine and a kernel connection of its own, on a thread of its own.
//
// Workers share nothing but the log, so none waits for another's packets. All packets of a client
// come to the same worker (rules/ruleset.h), so each has its sessions whole. What the program tells
// a worker while it serves, another policy or to end, it finds in its box.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <tl/expected.hpp>

#include "alg/engine.h"
#include "conntrack/netlink/ctnetlink.h"
#include "conntrack/netlink/own_addresses.h"
#include "conntrack/netlink/packet_queue.h"
#include "conntrack/netlink/queued_masters.h"
#include "conntrack/netlink/raw_injector.h"
#include "rules/ruleset.h"
#include "tools/decision_log.h"
#include "tools/records.h"
#include "tools/state_file.h"
#include "tools/wakeup.h"
#include "tools/witnesses.h"

namespace ftpalg::tools {

/// What another process has left of a queue, to go on with: its socket, and what it said of it.
struct Legacy {
  Descriptor socket;
  StateFile file;
  PacketQueue::Standing queue;
  /// Nothing where nobody knows: sessions are then taken up where they speak.
  std::optional<EngineState> sessions;
  /// Why nobody knows, where a person should be told.
  std::string trouble;

  /// `file` is closed where there is none.
  static tl::expected<Legacy, std::string> read(std::uint16_t queue, Descriptor socket,
                                                Descriptor file);
};

/// What the kernel has for a worker, open before the program gives up the right to open it.
struct Kernel {
  Ctnetlink ctnetlink;
  OwnAddresses own_addresses;
  RawInjector injector;
  PacketQueue queue;

  /// With `legacy` the queue is taken over.
  static tl::expected<Kernel, std::string> open(const rules::Ruleset& ruleset, std::uint16_t queue,
                                                std::size_t queue_room_mib, Legacy* legacy);
};

class Worker {
 public:
  /// Takes the queue, or goes on with what another process has left of it; packets wait in it until
  /// start(). `witness`, if there is one, is told what the records are told.
  static tl::expected<std::unique_ptr<Worker>, std::string> open(
      const rules::Ruleset& ruleset, std::uint16_t queue, std::size_t queue_room_mib,
      const Policy& policy, std::unique_ptr<Witness> witness, std::optional<Legacy> legacy);
  struct Bells {
    Wakeup end;
    Wakeup standstill;
    Wakeup wish;
  };
  Worker(Kernel kernel, Bells bells, StateFile state_file, std::size_t queue_room_mib,
         Policy policy, std::unique_ptr<Witness> witness, std::optional<EngineState> sessions);
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;
  /// As end().
  ~Worker();

  /// Begins to serve, on a thread that gives up first what privileges.h says.
  void start();
  /// Policy from the next packet on.
  void set_policy(Policy policy);
  /// Asks it to serve no more, and to let go what it holds back.
  void ask_to_end();

  // One gateway after another.

  /// When a worker that is asked to stand still does so.
  enum class Standstill : std::uint8_t {
    at_once,      ///< all packets that it has taken are answered
    once_settled  ///< and no start of a line is held back, or settling_time_max has passed
  };
  static constexpr Time settling_time_max = std::chrono::seconds{1};
  /// Asks it to serve no more until go_on(), and to keep what it holds back. Packets wait in the
  /// kernel meanwhile.
  void ask_to_stand_still(Standstill when);
  /// Readable once it stands still.
  int standstill_descriptor() const { return bells_.standstill.descriptor(); }
  void go_on();
  /// Of one that stands still: writes what another goes on with.
  tl::expected<void, std::string> write_state() const;
  int state_descriptor() const { return state_file_.descriptor(); }
  int queue_descriptor() const { return kernel_.queue.descriptor(); }
  std::uint16_t queue_number() const { return kernel_.queue.number(); }
  /// Ends one that stands still. What it held back, and what it had the kernel expect, is another's
  /// from then on.
  void leave();

  /// Asks for the end and waits for it. Returns why it had ended before, where it had.
  std::optional<std::string> end();

  /// Readable once it has ended.
  int descriptor() const { return bells_.end.descriptor(); }
  /// How often it has come round to look for something to do, which it does at least once in
  /// tick_milliseconds while it serves: one that does not is stuck.
  std::uint64_t turns() const { return turns_; }
  /// Nobody's but the worker's between start() and end(), but while it stands still.
  const Engine& engine() const { return engine_; }
  /// Anybody's at any time.
  const Records& records() const { return records_; }
  Records& records() { return records_; }

 private:
  void work();
  /// What a worker is to do.
  enum class Wish : std::uint8_t { serve, settle, stand_still, leave, end };

  void serve();
  void look_into_box();
  void wait_for_wish();
  void ask(Wish wish);
  bool is_to_stop(Time at);
  void tick(Time at);
  Verdict decide(const QueuedPacket& packet, Time at);
  void forget_offsets();
  void tell(std::span<const Decision> decisions, Time at);
  void tell_losses(Time at);

  Kernel kernel_;
  StateFile state_file_;
  std::vector<StateFile::Offset> noted_offsets_;  ///< set for packets that have no verdict yet
  QueuedMasters masters_;
  Records records_;
  std::unique_ptr<Witness> witness_;
  Witnesses witnesses_;
  Engine engine_;
  std::uint64_t packets_ = 0;
  bool packet_told_connection_ = false;
  Policy policy_;
  DecisionLog decision_log_;
  std::size_t queue_room_mib_;
  std::uint64_t losses_told_ = 0;
  Time next_losses_{};
  std::optional<std::string> failure_;
  std::atomic<std::uint64_t> turns_ = 0;

  Wish wish_ = Wish::serve;  ///< as the worker knows it
  std::optional<Time> settles_until_;

  Bells bells_;
  /// What it is told, under the lock.
  struct Box {
    std::mutex lock;
    std::atomic<bool> is_full = false;  ///< something new is in it: this needs no lock
    std::optional<Policy> policy;
    Wish wish = Wish::serve;
  } box_;
  std::thread thread_;
};

}  // namespace ftpalg::tools
