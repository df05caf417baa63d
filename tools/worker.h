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
#include "tools/wakeup.h"
#include "tools/witnesses.h"

namespace ftpalg::tools {

/// What the kernel has for a worker, open before the program gives up the right to open it.
struct Kernel {
  Ctnetlink ctnetlink;
  OwnAddresses own_addresses;
  RawInjector injector;
  PacketQueue queue;

  static tl::expected<Kernel, std::string> open(const rules::Ruleset& ruleset, std::uint16_t queue,
                                                std::size_t queue_room_mib);
};

class Worker {
 public:
  /// Takes the queue; packets wait in it until start(). `witness`, if there is one, is told what
  /// the records are told.
  static tl::expected<std::unique_ptr<Worker>, std::string> open(const rules::Ruleset& ruleset,
                                                                 std::uint16_t queue,
                                                                 std::size_t queue_room_mib,
                                                                 const Policy& policy,
                                                                 std::unique_ptr<Witness> witness);
  Worker(Kernel kernel, Wakeup end_bell, std::size_t queue_room_mib, Policy policy,
         std::unique_ptr<Witness> witness);
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
  /// Asks for the end and waits for it. Returns why it had ended before, where it had.
  std::optional<std::string> end();

  /// Readable once it has ended.
  int descriptor() const { return end_bell_.descriptor(); }
  /// How often it has come round to look for something to do, which it does at least once in
  /// tick_milliseconds while it serves: one that does not is stuck.
  std::uint64_t turns() const { return turns_; }
  /// Nobody's but the worker's between start() and end().
  const Engine& engine() const { return engine_; }
  /// Anybody's at any time.
  const Records& records() const { return records_; }
  Records& records() { return records_; }

 private:
  void work();
  void serve();
  bool look_into_box();
  void tick(Time at);
  Verdict decide(const QueuedPacket& packet, Time at);
  void tell(std::span<const Decision> decisions, Time at);
  void tell_losses(Time at);

  Kernel kernel_;
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

  Wakeup end_bell_;
  /// What it is told, under the lock.
  struct Box {
    std::mutex lock;
    std::atomic<bool> is_full = false;  ///< something new is in it: this needs no lock
    std::optional<Policy> policy;
    bool is_to_end = false;
  } box_;
  std::thread thread_;
};

}  // namespace ftpalg::tools
