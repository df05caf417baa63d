// SPDX-License-Identifier: GPL-2.0-or-later
// The server of HTTP: one thread, that waits for no client.
//
// A connection has one request and its answer. A request that does not come in time, or is too
// long, is answered so; an answer that is not taken in time is not sent on. When all places are
// taken, a newcomer gets that of whoever has kept his longest, so nobody can keep others out by
// being slow.
#pragma once

#include <chrono>
#include <functional>
#include <list>
#include <string>

#include "rules/descriptor.h"
#include "tools/web/http_request.h"
#include "tools/web/http_response.h"

namespace ftpalg::tools {

class HttpServer {
 public:
  using Respond = std::function<HttpResponse(const HttpRequest& request)>;

  /// `listener` listens, and blocks nobody.
  HttpServer(Descriptor listener, Respond respond)
      : listener_(std::move(listener)), respond_(std::move(respond)) {}

  /// Serves until `life_line` becomes readable or its other end is closed.
  void serve(int life_line);

  static constexpr std::size_t connections_max = 64;
  static constexpr std::chrono::seconds request_time_max{5};
  static constexpr std::chrono::seconds response_time_max{15};
  /// How long a client gets to close its end, before what it has sent too much costs it the answer.
  static constexpr std::chrono::seconds farewell_time_max{1};

 private:
  using Clock = std::chrono::steady_clock;

  enum class Stage { request, response, farewell };

  struct Connection {
    Descriptor socket;
    Stage stage = Stage::request;
    Clock::time_point deadline;
    RequestReader reader;
    std::string response;
    std::size_t sent = 0;
  };

  void accept_all(Clock::time_point now);
  /// False once the connection is over.
  bool attend(Connection& connection, short events, Clock::time_point now);
  bool receive(Connection& connection, Clock::time_point now);
  bool send(Connection& connection, Clock::time_point now);
  static bool take_leave(Connection& connection);
  void respond(Connection& connection, Clock::time_point now);
  void respond_with(Connection& connection, const HttpResponse& response, bool with_body,
                    Clock::time_point now);
  bool on_deadline(Connection& connection, Clock::time_point now);
  int milliseconds_to_wait(Clock::time_point now) const;

  Descriptor listener_;
  Respond respond_;
  std::list<Connection> connections_;  ///< the oldest first
  /// Until then nobody is let in: the system has no descriptor left.
  Clock::time_point closed_until_{};
};

}  // namespace ftpalg::tools
