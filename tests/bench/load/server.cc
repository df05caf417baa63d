// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/bench/load/server.h"

#include <fmt/format.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdio>

namespace ftpalg::bench {
namespace {

constexpr std::size_t piece_bytes = std::size_t{256} * 1024;
constexpr std::array<char, piece_bytes> content{};
constexpr std::chrono::milliseconds round_limit{1000};

}  // namespace

/// The sending end of a data connection.
class Server::Data final : public Watcher {
 public:
  Data(Control& control, Poller& poller, Descriptor connection)
      : control_(control), poller_(poller), connection_(std::move(connection)) {}
  ~Data() override {
    if (is_watched_) poller_.remove(connection_, *this);
  }

  /// True when all is sent.
  bool send_on(std::uint64_t bytes) {
    left_ = bytes;
    return send_some();
  }
  void on_ready(std::uint32_t events) override;

 private:
  bool send_some() {
    while (left_ > 0) {
      const ssize_t count =
          send(connection_.number(), content.data(), std::min<std::uint64_t>(left_, content.size()),
               MSG_NOSIGNAL | MSG_DONTWAIT);
      if (count < 0) {
        if (errno != EAGAIN) return true;
        if (!is_watched_) poller_.add(connection_, EPOLLOUT, *this);
        is_watched_ = true;
        return false;
      }
      left_ -= static_cast<std::uint64_t>(count);
    }
    return true;
  }

  Control& control_;
  Poller& poller_;
  Descriptor connection_;
  std::uint64_t left_ = 0;
  bool is_watched_ = false;
};

class Server::Control final : public Watcher {
 public:
  Control(Server& server, Descriptor connection)
      : server_(server), connection_(std::move(connection)) {
    server_.poller_.add(connection_, EPOLLIN, *this);
    reply("220 ready");
  }
  ~Control() override { give_up(); }

  void on_ready(std::uint32_t /*events*/) override {
    if (!lines_.read(connection_)) return server_.end(*this);
    for (auto line = lines_.next(); !line.empty(); line = lines_.next()) {
      if (!obey(line)) return server_.end(*this);
    }
  }

  void give_up() {
    data_.reset();
    release_port();
    if (!connection_.is_open()) return;
    server_.poller_.remove(connection_, *this);
    connection_.close();
  }

  void on_data_connection(Descriptor connection) {
    release_port();
    data_ = std::make_unique<Data>(*this, server_.poller_, std::move(connection));
    if (wanted_) begin_transfer();
  }

  void on_all_sent() {
    data_.reset();
    reply("226 done");
  }

 private:
  /// False when the session is over.
  bool obey(std::string_view line) {
    const std::string_view verb = line.substr(0, line.find(' '));
    if (verb == "NOOP") return reply("200 NOOP ok");
    if (verb == "USER") return reply("331 password?");
    if (verb == "PASS") return reply("230 logged in");
    if (verb == "TYPE") return reply("200 type set");
    if (verb == "PASV") return announce();
    if (verb == "RETR") return send_bytes(line.substr(std::min(line.size(), verb.size() + 1)));
    if (verb == "QUIT") {
      reply("221 bye");
      return false;
    }
    return reply("500 what?");
  }

  bool reply(std::string_view text) { return write_all(connection_, fmt::format("{}\r\n", text)); }

  bool announce() {
    release_port();
    port_ = &server_.next_free_port();
    port_->announced_by = this;
    const Endpoint own = own_end_of(connection_);
    const auto address = own.address.bytes();
    const unsigned port = port_->port().number;
    return reply(fmt::format("227 Entering Passive Mode ({},{},{},{},{},{}).", address[0],
                             address[1], address[2], address[3], port >> 8, port & 0xff));
  }

  bool send_bytes(std::string_view count) {
    std::uint64_t bytes = 0;
    std::from_chars(count.data(), count.data() + count.size(), bytes);
    wanted_ = bytes;
    if (data_) begin_transfer();
    return true;
  }

  void begin_transfer() {
    reply("150 here it comes");
    if (data_->send_on(*std::exchange(wanted_, std::nullopt))) on_all_sent();
  }

  void release_port() {
    if (port_ != nullptr) port_->announced_by = nullptr;
    port_ = nullptr;
  }

  Server& server_;
  Descriptor connection_;
  LineReader lines_;
  DataPort* port_ = nullptr;
  std::unique_ptr<Data> data_;
  std::optional<std::uint64_t> wanted_;
};

void Server::Data::on_ready(std::uint32_t /*events*/) {
  if (send_some()) control_.on_all_sent();  // which destroys this
}

Server::DataPort::DataPort(Server& server, const Endpoint& endpoint)
    : server_(server), port_(endpoint.port), listener_(listen_on(endpoint)) {
  server_.poller_.add(listener_, EPOLLIN, *this);
}

void Server::DataPort::on_ready(std::uint32_t /*events*/) {
  Descriptor connection = accept_on(listener_);
  if (connection.is_open() && announced_by != nullptr) {
    announced_by->on_data_connection(std::move(connection));
  }
}

Server::Door::Door(Server& server, const Endpoint& endpoint)
    : server_(server), listener_(listen_on(endpoint)) {
  server_.poller_.add(listener_, EPOLLIN, *this);
}

void Server::Door::on_ready(std::uint32_t /*events*/) {
  Descriptor connection = accept_on(listener_);
  if (connection.is_open()) server_.controls_.emplace_back(server_, std::move(connection));
}

Server::Server(const Endpoint& control, Port first_data_port, std::uint16_t data_ports) {
  for (std::uint16_t at = 0; at < data_ports; ++at) {
    const Port port{static_cast<std::uint16_t>(first_data_port.number + at)};
    data_ports_.push_back(std::make_unique<DataPort>(*this, Endpoint{control.address, port}));
  }
  door_ = std::make_unique<Door>(*this, control);
}

Server::~Server() = default;

Server::DataPort& Server::next_free_port() {
  for (std::size_t tries = 0; tries < data_ports_.size(); ++tries) {
    DataPort& port = *data_ports_[next_port_];
    next_port_ = (next_port_ + 1) % data_ports_.size();
    if (port.announced_by == nullptr) return port;
  }
  throw Failure("every data port is announced; give the server more of them");
}

void Server::end(Control& control) {
  control.give_up();
  const auto at = std::find_if(controls_.begin(), controls_.end(),
                               [&](const Control& each) { return &each == &control; });
  ended_.splice(ended_.end(), controls_, at);
}

void Server::serve() {
  fmt::print("serving\n");
  std::fflush(stdout);
  for (;;) {
    poller_.wait(round_limit);
    ended_.clear();
  }
}

}  // namespace ftpalg::bench
