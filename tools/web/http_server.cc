// SPDX-License-Identifier: GPL-2.0-or-later
#include "tools/web/http_server.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <vector>

namespace ftpalg::tools {
namespace {

/// The socket has nothing to give or no room, and no other fault.
bool has_to_wait() {
  return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
}

}  // namespace

void HttpServer::serve(int life_line) {
  std::vector<pollfd> sources;
  for (;;) {
    const auto before = Clock::now();
    const bool is_open = before >= closed_until_;
    sources.assign(
        {pollfd{life_line, POLLIN, 0}, pollfd{is_open ? listener_.number() : -1, POLLIN, 0}});
    for (const Connection& connection : connections_) {
      const bool has_answer = connection.stage == Stage::response;
      sources.push_back(
          {connection.socket.number(), static_cast<short>(has_answer ? POLLOUT : POLLIN), 0});
    }
    if (poll(sources.data(), sources.size(), milliseconds_to_wait(before)) < 0 && errno != EINTR) {
      return;
    }
    if (sources[0].revents != 0) return;
    const auto now = Clock::now();
    auto source = sources.begin() + 2;
    std::erase_if(connections_, [&](Connection& connection) {
      return !attend(connection, (source++)->revents, now);
    });
    if (sources[1].revents != 0) accept_all(now);
  }
}

void HttpServer::accept_all(Clock::time_point now) {
  for (;;) {
    Descriptor socket{accept4(listener_.number(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)};
    if (!socket.is_open()) {
      // Others: the client has gone already, or the network has.
      if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
        closed_until_ = now + std::chrono::seconds{1};
      }
      if (errno != ECONNABORTED) return;
      continue;
    }
    if (connections_.size() == connections_max) connections_.pop_front();
    Connection& connection = connections_.emplace_back();
    connection.socket = std::move(socket);
    connection.deadline = now + request_time_max;
  }
}

bool HttpServer::attend(Connection& connection, short events, Clock::time_point now) {
  // Whether anything has come or not: a byte at a time, it would never end.
  if (now >= connection.deadline) return on_deadline(connection, now);
  if (events == 0) return true;
  switch (connection.stage) {
    case Stage::request:
      return receive(connection, now);
    case Stage::response:
      return send(connection, now);
    case Stage::farewell:
      return take_leave(connection);
  }
  return false;
}

bool HttpServer::receive(Connection& connection, Clock::time_point now) {
  std::array<char, request_bytes_max> bytes{};
  const ssize_t received = recv(connection.socket.number(), bytes.data(), bytes.size(), 0);
  if (received < 0) return has_to_wait();
  if (received == 0) return false;
  switch (connection.reader.take({bytes.data(), static_cast<std::size_t>(received)})) {
    case RequestReader::State::incomplete:
      return true;
    case RequestReader::State::complete:
      respond(connection, now);
      break;
    case RequestReader::State::malformed:
      respond_with(connection, refusal(400, "this is no request of HTTP/1.1"), true, now);
      break;
    case RequestReader::State::too_long:
      respond_with(connection, refusal(431, "the request is too long; 8 KiB is the most"), true,
                   now);
      break;
  }
  return send(connection, now);
}

void HttpServer::respond(Connection& connection, Clock::time_point now) {
  const HttpRequest& request = connection.reader.request();
  const bool is_head = request.method == "HEAD";
  if (request.method != "GET" && !is_head) {
    respond_with(connection, refusal(405, "there is nothing to do here but to look: GET"), true,
                 now);
  } else {
    respond_with(connection, respond_(request), !is_head, now);
  }
}

void HttpServer::respond_with(Connection& connection, const HttpResponse& response, bool with_body,
                              Clock::time_point now) {
  connection.response = bytes_of(response, with_body);
  connection.stage = Stage::response;
  connection.deadline = now + response_time_max;
}

bool HttpServer::send(Connection& connection, Clock::time_point now) {
  const std::string_view rest = std::string_view{connection.response}.substr(connection.sent);
  const ssize_t sent =
      ::send(connection.socket.number(), rest.data(), rest.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  if (sent < 0) return has_to_wait();
  connection.sent += static_cast<std::size_t>(sent);
  if (connection.sent < connection.response.size()) return true;
  shutdown(connection.socket.number(), SHUT_WR);
  connection.stage = Stage::farewell;
  connection.deadline = now + farewell_time_max;
  connection.response = {};
  return true;
}

/// A socket that is closed with bytes unread takes back what was sent last.
bool HttpServer::take_leave(Connection& connection) {
  std::array<char, request_bytes_max> unread{};
  const ssize_t received = recv(connection.socket.number(), unread.data(), unread.size(), 0);
  return received > 0 || (received < 0 && has_to_wait());
}

bool HttpServer::on_deadline(Connection& connection, Clock::time_point now) {
  if (connection.stage != Stage::request) return false;
  respond_with(connection, refusal(408, "the request did not come within 5 s"), true, now);
  return send(connection, now);
}

int HttpServer::milliseconds_to_wait(Clock::time_point now) const {
  auto soonest = Clock::time_point::max();
  for (const Connection& connection : connections_) {
    soonest = std::min(soonest, connection.deadline);
  }
  if (now < closed_until_) soonest = std::min(soonest, closed_until_);
  if (soonest == Clock::time_point::max()) return -1;
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(soonest - now);
  return std::max(0, static_cast<int>(left.count()));
}

}  // namespace ftpalg::tools
