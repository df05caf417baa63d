// SPDX-License-Identifier: GPL-2.0-or-later
// engine_bench: what the engine costs, without any kernel: time and allocations of a segment, and
// memory of a session that is idle.
#include <benchmark/benchmark.h>
#include <malloc.h>
#include <time.h>

#include <chrono>
#include <vector>

#include "alg/engine.h"
#include "tests/bench/allocations.h"
#include "tests/bench/talk.h"

namespace ftpalg::bench {
namespace {

/// Segments that are made before any of them is timed.
constexpr std::size_t batch_segments = 1000;
constexpr Time segment_time = std::chrono::microseconds{1};

/// What this thread has used of a processor: others that want it are not counted.
Time processor_time() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return std::chrono::seconds{time.tv_sec} + std::chrono::nanoseconds{time.tv_nsec};
}

Policy policy_for_many() {
  Policy policy;
  policy.sessions_max = policy.sessions_per_client_max = 10'000'000;
  policy.expectations_max = policy.expectations_per_client_max = 10'000'000;
  return policy;
}

class Sessions {
 public:
  explicit Sessions(std::size_t count)
      : engine_(policy_for_many(), {kernel_, kernel_, kernel_}, KeyedHash::Key{1, 2, 3}) {
    talks_.reserve(count);
    for (std::size_t number = 0; number < count; ++number) {
      talks_.emplace_back(static_cast<std::uint32_t>(number));
    }
  }

  /// One more segment of that session, not timed.
  void step(Talk& talk) {
    const auto packet = talk.packet();
    talk.go_on(engine_.on_packet(packet, now_).verdict, packet.size());
    now_ += segment_time;
  }

  void log_in_all() {
    for (Talk& talk : talks_) {
      while (!talk.is_logged_in()) step(talk);
    }
  }

  /// Time passes, and nobody says anything.
  void wait() {
    for (std::size_t second = 0; second < 20 + talks_.size() / 5000; ++second) {
      now_ += std::chrono::seconds{1};
      benchmark::DoNotOptimize(engine_.on_tick(now_));
    }
  }

  /// So many segments more of each.
  void go_on(std::size_t segments) {
    for (Talk& talk : talks_) {
      for (std::size_t times = 0; times < segments; ++times) step(talk);
    }
  }

  void stay() {
    for (Talk& talk : talks_) talk.stay();
  }

  /// Each session has come to another place of its talk.
  void spread() {
    for (std::size_t number = 0; number < talks_.size(); ++number) {
      for (std::size_t times = 0; times < number % 36; ++times) step(talks_[number]);
    }
  }

  struct Cost {
    std::chrono::duration<double> time{};
    std::uint64_t allocations = 0;
  };

  /// One segment of each of so many sessions, which `choose` names.
  template <typename Choose>
  Cost serve(Choose choose) {
    chosen_.clear();
    packets_.clear();
    verdicts_.clear();
    for (std::size_t at = 0; at < batch_segments; ++at) {
      chosen_.push_back(choose());
      packets_.push_back(talks_[chosen_.back()].packet());
    }
    verdicts_.reserve(batch_segments);
    const std::uint64_t allocations_before = allocations();
    const Time begin = processor_time();
    for (const auto& packet : packets_) {
      verdicts_.push_back(engine_.on_packet(packet, now_ += segment_time).verdict);
      benchmark::DoNotOptimize(verdicts_.back());
    }
    Cost cost{processor_time() - begin, allocations() - allocations_before};
    for (std::size_t at = 0; at < batch_segments; ++at) {
      talks_[chosen_[at]].go_on(verdicts_[at], packets_[at].size());
    }
    return cost;
  }

  std::size_t size() const { return talks_.size(); }
  const Engine& engine() const { return engine_; }
  Time now() const { return now_; }

 private:
  Kernel kernel_;
  Engine engine_;
  std::vector<Talk> talks_;
  Time now_{};
  std::vector<std::size_t> chosen_;
  std::vector<std::vector<std::uint8_t>> packets_;
  std::vector<Verdict> verdicts_;
};

void run(benchmark::State& state, Sessions& sessions, std::size_t stride) {
  std::size_t at = 0;
  const auto next = [&] { return at = (at + stride) % sessions.size(); };
  // Until every vector has the size that it needs.
  for (std::size_t batch = 0; batch < 2 * 36 * sessions.size() / batch_segments && batch < 1000;
       ++batch) {
    sessions.serve(next);
  }
  std::uint64_t allocated = 0;
  double nanoseconds = 0;
  for ([[maybe_unused]] auto _ : state) {
    const auto cost = sessions.serve(next);
    state.SetIterationTime(cost.time.count());
    nanoseconds += cost.time.count() * 1e9;
    allocated += cost.allocations;
  }
  const auto segments = static_cast<double>(state.iterations()) * batch_segments;
  state.counters["ns_per_segment"] = nanoseconds / segments;
  state.counters["allocations"] = static_cast<double>(allocated) / segments;
}

/// Sessions from their SYN to their end, over and over.
void mixed_session(benchmark::State& state) {
  Sessions sessions(static_cast<std::size_t>(state.range(0)));
  sessions.spread();
  run(state, sessions, 1);
}
BENCHMARK(mixed_session)->Arg(1000)->UseManualTime();

/// Logged in sessions that transfer, in an order that no cache foresees.
void live_sessions(benchmark::State& state) {
  const auto count = static_cast<std::size_t>(state.range(0));
  Sessions sessions(count);
  sessions.stay();
  sessions.log_in_all();
  // Has no divisor in common with the counts, so that every session has its turn.
  run(state, sessions, 618'033);
}
BENCHMARK(live_sessions)->Arg(1000)->Arg(1'000'000)->UseManualTime();

/// Sessions that say nothing, after so many segments since the login, by what malloc(3) has given
/// out for them.
void idle_memory(benchmark::State& state) {
  const auto count = static_cast<std::size_t>(state.range(0));
  for ([[maybe_unused]] auto _ : state) {
    Sessions sessions(count);
    sessions.stay();
    const auto used = [] {
      const auto info = mallinfo2();
      return info.uordblks + info.hblkhd;
    };
    const std::size_t before = used();
    sessions.log_in_all();
    sessions.go_on(static_cast<std::size_t>(state.range(1)));
    sessions.wait();
    if (sessions.engine().connections() != count) state.SkipWithError("sessions are missing");
    state.counters["bytes_per_session"] =
        static_cast<double>(used() - before) / static_cast<double>(count);
  }
}
BENCHMARK(idle_memory)
    ->Args({1'000'000, 0})
    ->Args({100'000, 21})
    ->Args({100'000, 210})
    ->Iterations(1)
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace ftpalg::bench

BENCHMARK_MAIN();
