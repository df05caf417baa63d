// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/bench/load/client.h"

#include <fmt/format.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <deque>
#include <optional>

namespace ftpalg::bench {
namespace {

constexpr std::size_t piece_bytes = std::size_t{256} * 1024;
constexpr std::size_t measured_max = 1'000'000;
/// Sessions that are being made at the same time.
constexpr std::size_t beginning_max = 256;
constexpr std::chrono::milliseconds round_limit{20};
constexpr std::chrono::seconds silence_max{30};

Endpoint named_by_227(std::string_view reply) {
  std::array<unsigned, 6> n{};
  const std::size_t open = reply.find('(');
  if (open == std::string_view::npos ||
      std::sscanf(std::string{reply.substr(open)}.c_str(), "(%u,%u,%u,%u,%u,%u)", &n[0], &n[1],
                  &n[2], &n[3], &n[4], &n[5]) != 6) {
    throw Failure(fmt::format("no host-port in '{}'", reply));
  }
  const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(n.at(i)); };
  return {Address::ipv4(byte(0), byte(1), byte(2), byte(3)),
          Port{static_cast<std::uint16_t>(n[4] << 8 | n[5])}};
}

/// What all sessions share.
struct Run {
  explicit Run(const Load& the_load) : load(the_load) {}

  const Load& load;
  Poller poller;
  Result result;
  std::size_t logged_in = 0;
  bool counts = false;
  std::uint64_t steps = 0;

  void count(Clock::time_point begun, std::uint64_t bytes) {
    if (!counts) return;
    ++result.operations;
    result.bytes += bytes;
    if (result.each.size() < measured_max) result.each.push_back(Clock::now() - begun);
  }
};

class Session final : public Watcher {
 public:
  Session(Run& run, std::size_t number) : run_(run), number_(number), data_end_(*this) {
    dial_control();
  }
  ~Session() override {
    close_data();
    if (control_.is_open()) run_.poller.remove(control_, *this);
  }

  void on_ready(std::uint32_t /*events*/) override {
    ++run_.steps;
    if (!lines_.read(control_)) {
      if (state_ != State::leaving) throw Failure(fmt::format("session {} was ended", number_));
      run_.poller.remove(control_, *this);
      control_.close();
      run_.count(begun_, run_.load.bytes);
      lines_ = {};
      dial_control();
      return;
    }
    for (auto line = lines_.next(); !line.empty(); line = lines_.next()) on_reply(line);
  }

 private:
  enum class State : std::uint8_t {
    greeting,
    user,
    pass,
    type,
    working,
    asking,
    dialling,
    receiving,
    leaving
  };

  /// The data connection's watcher.
  class DataEnd final : public Watcher {
   public:
    explicit DataEnd(Session& session) : session_(session) {}
    void on_ready(std::uint32_t events) override { session_.on_data(events); }

   private:
    Session& session_;
  };

  void dial_control() {
    const auto& load = run_.load;
    begun_ = Clock::now();
    state_ = State::greeting;
    const Address source =
        load.sources.empty() ? Address{} : load.sources[number_ % load.sources.size()];
    const std::size_t turn = load.sources.empty() ? number_ : number_ / load.sources.size();
    control_ = dial(load.servers[turn % load.servers.size()], source);
    run_.poller.add(control_, EPOLLIN, *this);
  }

  void say(std::string_view command, State next) {
    state_ = next;
    if (!write_all(control_, command)) throw Failure(fmt::format("session {} broke", number_));
  }

  void expect(std::string_view reply, char digit) const {
    if (reply.front() != digit) {
      throw Failure(fmt::format("session {}: '{}' when {}.. was due", number_, reply, digit));
    }
  }

  void on_reply(std::string_view reply) {
    switch (state_) {
      case State::greeting:
        expect(reply, '2');
        return say("USER bench\r\n", State::user);
      case State::user:
        expect(reply, '3');
        return say("PASS bench\r\n", State::pass);
      case State::pass:
        expect(reply, '2');
        return say("TYPE I\r\n", State::type);
      case State::type:
        expect(reply, '2');
        if (!was_logged_in_) ++run_.logged_in;
        was_logged_in_ = true;
        return work();
      case State::working:
        expect(reply, '2');
        run_.count(begun_, 0);
        return work();
      case State::asking:
        expect(reply, '2');
        return dial_data(named_by_227(reply));
      case State::receiving:
        if (reply.front() == '1') return;
        expect(reply, '2');
        is_confirmed_ = true;
        return finish_transfer();
      case State::leaving:
        return expect(reply, '2');
      case State::dialling:
        throw Failure(fmt::format("session {}: '{}' out of turn", number_, reply));
    }
  }

  void work() {
    switch (run_.load.work) {
      case Work::noop:
        begun_ = Clock::now();
        return say("NOOP\r\n", State::working);
      case Work::retr:
        begun_ = Clock::now();
        return say("PASV\r\n", State::asking);
      case Work::session:
        return say("PASV\r\n", State::asking);
      case Work::idle:
        state_ = State::working;
        return;
    }
  }

  void dial_data(const Endpoint& peer) {
    state_ = State::dialling;
    is_confirmed_ = false;
    received_ = 0;
    data_ = dial(peer, Address{});
    run_.poller.add(data_, EPOLLOUT, data_end_);
  }

  void on_data(std::uint32_t events) {
    ++run_.steps;
    if (state_ == State::dialling) {
      if ((events & EPOLLERR) != 0) {
        throw Failure(fmt::format("session {}: the data connection is refused", number_));
      }
      run_.poller.change(data_, EPOLLIN, data_end_);
      return say(fmt::format("RETR {}\r\n", run_.load.bytes), State::receiving);
    }
    // Nobody looks at the bytes.
    const ssize_t count = recv(data_.number(), nullptr, piece_bytes, MSG_TRUNC);
    if (count > 0) {
      received_ += static_cast<std::uint64_t>(count);
      if (run_.load.bytes > piece_bytes && run_.counts) {
        run_.result.bytes += static_cast<std::uint64_t>(count);
      }
      return;
    }
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (count < 0) fail(fmt::format("session {}: data", number_));
    close_data();
    if (received_ != run_.load.bytes) {
      throw Failure(
          fmt::format("session {}: {} bytes of {} came", number_, received_, run_.load.bytes));
    }
    finish_transfer();
  }

  void close_data() {
    if (!data_.is_open()) return;
    run_.poller.remove(data_, data_end_);
    data_.close();
  }

  /// When both the data and its confirmation have come.
  void finish_transfer() {
    if (!is_confirmed_ || data_.is_open()) return;
    if (run_.load.work == Work::session) return say("QUIT\r\n", State::leaving);
    run_.count(begun_, run_.load.bytes > piece_bytes ? 0 : run_.load.bytes);
    work();
  }

  Run& run_;
  std::size_t number_;
  DataEnd data_end_;
  Descriptor control_;
  LineReader lines_;
  Descriptor data_;
  State state_ = State::greeting;
  bool was_logged_in_ = false;
  bool is_confirmed_ = false;
  std::uint64_t received_ = 0;
  Clock::time_point begun_;
};

}  // namespace

Result run(const Load& load) {
  Run run(load);
  std::deque<Session> sessions;
  std::optional<Clock::time_point> begin;
  std::uint64_t steps_before = 0;
  auto last_step = Clock::now();
  for (;;) {
    while (sessions.size() < load.sessions && sessions.size() - run.logged_in < beginning_max) {
      sessions.emplace_back(run, sessions.size());
    }
    run.poller.wait(round_limit);
    const auto now = Clock::now();
    if (!begin && run.logged_in == load.sessions) {
      begin = now;
      run.counts = true;
      if (load.work == Work::idle) {
        fmt::print("idle\n");
        std::fflush(stdout);
      }
    }
    if (begin && now - *begin >= load.time) {
      run.result.took = now - *begin;
      return std::move(run.result);
    }
    if (std::exchange(steps_before, run.steps) != run.steps) last_step = now;
    if (load.work != Work::idle && now - last_step > silence_max) {
      throw Failure(fmt::format("nothing has come for {} s; {} of {} sessions are logged in",
                                silence_max.count(), run.logged_in, load.sessions));
    }
  }
}

}  // namespace ftpalg::bench
