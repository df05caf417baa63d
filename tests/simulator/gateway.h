// SPDX-License-Identifier: GPL-2.0-or-later
// The gateway under test: the real engine, and around it what the kernel does: pure
// acknowledgements pass by the queue, and so does what bears the done mark, sequence numbers are
// shifted as nf_conntrack_seqadj.c does, expectations are kept one per master.
#pragma once

#include <functional>
#include <map>
#include <memory>

#include "alg/engine.h"
#include "conntrack/memory_seams.h"
#include "figures.h"
#include "packet.h"
#include "random.h"

namespace ftpalg::simulator {

/// Keeps expectations as MemoryExpectations does, and remembers every one that was ever granted.
class WatchedExpectations final : public Expectations {
 public:
  ExpectationResult add(const Expectation& expectation) override;
  void remove(const Expectation& expectation) override { live_.remove(expectation); }

  const std::vector<Expectation>& live() const { return live_.all(); }
  /// A data connection has come and takes it.
  void consume(const Expectation& expectation) { live_.remove(expectation); }
  /// The public port that was last granted for what was announced as `real_port`, or 0.
  std::uint16_t granted(std::uint16_t real_port) const;
  /// What was announced as `real_port` got an expectation, and nothing else has since.
  bool is_latest(std::uint16_t real_port) const {
    return !grants_.empty() && grants_.back().real_port == real_port;
  }
  void fail(bool fails) { fails_ = fails; }

 private:
  struct Grant {
    std::uint16_t real_port;
    std::uint16_t public_port;
  };
  MemoryExpectations live_;
  std::vector<Grant> grants_;
  bool fails_ = false;
};

class Gateway {
 public:
  /// Takes packets that leave towards an endpoint: the client for Direction::reply.
  class Exits {
   public:
    virtual ~Exits() = default;
    /// One that was joined leaves in segments of `segment_bytes`, as it came.
    virtual void leave(Direction direction, wire::Bytes packet, std::size_t segment_bytes) = 0;
    virtual void report(const Decision& decision) = 0;
  };

  Gateway(const Master& master, const Policy& policy, bool is_present, Exits& exits,
          Figures& figures);

  /// A packet of `direction` comes in.
  void take(Direction direction, PacketBytes& packet, std::size_t segment_bytes, Time now);
  void tick(Time now);
  Engine& engine() { return *engine_; }
  /// After so many of a thousand packets another engine goes on with the state.
  void move_after(std::uint32_t per_mille, std::uint64_t seed) {
    moves_per_mille_ = per_mille;
    random_ = Random(seed);
  }
  /// The engine comes when so many packets have passed.
  void start_after(std::uint32_t packets) {
    packets_before_start_ = packets;
    is_late_ = true;
  }

  WatchedExpectations& expectations() { return expectations_; }
  void fail_offsets(OffsetResult result) {
    if (kernel_shifts_) masters_.answer_offsets_with(result);
  }
  void fail_injector(bool fails) { injector_.fails = fails; }
  /// A reset has come by.
  bool saw_reset() const { return saw_reset_; }
  /// What the engine must never give out, or nothing.
  const std::string& fault() const { return fault_; }

 private:
  struct Injection final : Injector {
    explicit Injection(Gateway& owner) : gateway(owner) {}
    InjectResult send(std::span<const std::uint8_t> packet, InjectAs as) override;
    Gateway& gateway;
    bool fails = false;
  };

  void move_by_chance(Time now);
  void confirm();
  void note(const Decision& decision);
  bool is_queued(const Segment& segment) const;
  bool is_valid(wire::Bytes packet);
  void shift_as_kernel(Direction direction, PacketBytes& packet);

  Master master_;
  std::uint32_t done_mark_;
  bool queues_acknowledgements_;
  bool kernel_shifts_;
  bool is_present_;
  Exits& exits_;
  MemoryMasters masters_;
  WatchedExpectations expectations_;
  Injection injector_{*this};
  Policy policy_;
  std::unique_ptr<Engine> engine_;
  std::uint32_t moves_per_mille_ = 0;
  Random random_{0};
  std::uint32_t packets_before_start_ = 0;
  bool is_late_ = false;
  bool is_confirmed_ = false;
  bool saw_reset_ = false;
  PacketBytes leaving_;
  std::string fault_;
  Figures& figures_;
};

}  // namespace ftpalg::simulator
