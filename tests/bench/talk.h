// SPDX-License-Identifier: GPL-2.0-or-later
// Sessions by the million for the engine's benchmarks: what each of them would send next, and the
// kernel that they would meet. Both ends are NATed, so that every announcement is rewritten.
#pragma once

#include <cstdint>
#include <vector>

#include "alg/engine.h"
#include "conntrack/expectation.h"
#include "conntrack/injector.h"
#include "conntrack/master.h"

namespace ftpalg::bench {

/// The master of session `number`, whichever.
Master master_of(std::uint32_t number);
/// That `tuple` belongs to.
Master master_of(const Tuple& tuple);

/// Every seam says yes, and none remembers anything.
class Kernel final : public Masters, public Expectations, public Injector {
 public:
  std::optional<Master> find(const Tuple& tuple) override { return master_of(tuple); }
  OffsetResult set_offset(const Master&, Direction, const SequenceOffset&) override {
    return OffsetResult::done;
  }
  MarkResult set_mark(const Master&, std::uint32_t) override { return MarkResult::done; }
  std::optional<std::chrono::seconds> keep(const Master&, std::chrono::seconds) override {
    return std::chrono::hours{1};
  }
  ExpectationResult add(const Expectation&) override { return ExpectationResult::added; }
  void remove(const Expectation&) override {}
  InjectResult send(std::span<const std::uint8_t>, InjectAs) override { return InjectResult::sent; }
};

/// One session: where it stands in the talk that all of them have.
class Talk {
 public:
  explicit Talk(std::uint32_t number) : number_(number) {}

  /// What comes next, as it comes to the gateway. After its QUIT a session begins anew.
  std::vector<std::uint8_t> packet() const;
  /// Goes on behind the packet, of which the gateway made this.
  void go_on(const Verdict& verdict, std::size_t packet_bytes);
  /// Whether everything before the transfers is over.
  bool is_logged_in() const;
  /// Goes from the last transfer back to the first, and never to the QUIT.
  void stay() { stays_ = true; }

 private:
  std::uint32_t number_;
  std::uint32_t client_seq_ = 0;
  std::uint32_t server_seq_ = 0;
  std::int32_t client_growth_ = 0;  ///< of what the client sent, on its way
  std::int32_t server_growth_ = 0;
  std::uint16_t round_ = 0;
  std::uint8_t step_ = 0;
  bool stays_ = false;
};

}  // namespace ftpalg::bench
