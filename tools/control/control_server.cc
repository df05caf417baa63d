// SPDX-License-Identifier: GPL-2.0-or-later
#include "tools/control/control_server.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <nlohmann/json.hpp>
#include <tuple>
#include <utility>

#include "tools/control/answer_lines.h"
#include "tools/control/protocol.h"
#include "tools/control/session_filter.h"
#include "tools/record_json.h"

namespace ftpalg::tools {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

constexpr int stall_check_milliseconds = 1000;
/// So often in a row more is made for a client, until others have their turn.
constexpr unsigned turns_max = 8;

ordered_json error_json(std::string_view text) {
  return {{"error", text}};
}

tl::expected<SessionFilter, std::string> filter_of(const json& request) {
  const auto filter = request.find("filter");
  return SessionFilter::parse(filter == request.end() ? json{} : *filter);
}

std::size_t limit_of(const json& request) {
  const auto limit = request.find("limit");
  return limit != request.end() && limit->is_number_unsigned() ? limit->get<std::size_t>() : 0;
}

bool wants(const json& request, std::string_view what) {
  const auto wanted = request.find(what);
  return wanted != request.end() && wanted->is_boolean() && wanted->get<bool>();
}

std::optional<std::size_t> last_of(const json& request) {
  const auto last = request.find("last");
  if (last == request.end() || !last->is_number_unsigned()) return std::nullopt;
  return last->get<std::size_t>();
}

std::string text_of(const json& request, std::string_view key) {
  const auto value = request.find(key);
  return value != request.end() && value->is_string() ? value->get<std::string>() : std::string{};
}

}  // namespace

ControlServer::ControlServer(Descriptor listener, std::vector<const Records*> records,
                             std::function<Viewpoint()> view)
    : listener_(std::move(listener)),
      records_(std::move(records)),
      view_(std::move(view)),
      own_user_(geteuid()) {}

void ControlServer::answer_to(const std::string& question, Ask answer) {
  answers_[question] = std::move(answer);
}

void ControlServer::add_to(std::vector<pollfd>& sources) const {
  sources.push_back({listener_.number(), POLLIN, 0});
  for (const Client& client : clients_) {
    // Who does not read what was answered is not heard either.
    const bool is_heard = !client.is_busy() && !client.asks_no_more && client.unread() == 0;
    sources.push_back(
        {client.socket.number(),
         static_cast<short>((is_heard ? POLLIN : 0) | (client.unread() > 0 ? POLLOUT : 0)), 0});
  }
}

int ControlServer::timeout_milliseconds() const {
  int timeout = -1;
  for (const Client& client : clients_) {
    if (client.unread() > 0) {
      timeout = timeout < 0 ? stall_check_milliseconds : timeout;
    } else if (client.has_more) {
      return 0;
    } else if (client.lines != nullptr) {
      timeout = static_cast<int>(
          std::chrono::duration_cast<std::chrono::milliseconds>(event_interval).count());
    }
  }
  return timeout;
}

void ControlServer::serve(std::span<const pollfd> sources, Time now) {
  std::size_t place = 1;
  for (Client& client : clients_) {
    if (place >= sources.size()) break;
    const short seen = sources[place++].revents;
    if ((seen & (POLLERR | POLLHUP | POLLNVAL)) != 0 && (seen & POLLIN) == 0) {
      client.is_gone = true;
    }
    if (!client.is_gone && (seen & POLLIN) != 0) listen_to(client, now);
    if (!client.is_gone) send_to(client, now);
  }
  std::erase_if(clients_, [](const Client& client) { return client.is_gone; });
  if (!sources.empty() && sources.front().revents != 0) admit_clients(now);
}

void ControlServer::answer(ClientId id, const ordered_json& json) {
  const auto client = std::ranges::find(clients_, id, &Client::id);
  if (client == clients_.end()) return;
  client->out += line_of(json);
  client->awaits_answer = false;
}

int ControlServer::descriptor_of(ClientId id) const {
  const auto client = std::ranges::find(clients_, id, &Client::id);
  return client == clients_.end() ? -1 : client->socket.number();
}

void ControlServer::admit_clients(Time now) {
  for (;;) {
    Descriptor socket{accept4(listener_.number(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK)};
    if (!socket.is_open()) return;
    make_room();
    admit(std::move(socket), now);
  }
}

void ControlServer::admit_viewer(Descriptor socket, Time now) {
  Client& viewer = admit(std::move(socket), now);
  // A socket pair tells of whoever has made it: this process.
  viewer.is_owner = false;
  viewer.stays = true;
}

ControlServer::Client& ControlServer::admit(Descriptor socket, Time now) {
  ucred peer{};
  socklen_t size = sizeof peer;
  const bool is_known = getsockopt(socket.number(), SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0;
  Client& client = clients_.emplace_back();
  client.id = ++last_id_;
  client.socket = std::move(socket);
  client.is_owner = is_known && (peer.uid == 0 || peer.uid == own_user_);
  client.heard = client.progressed = now;
  client.out = line_of({{"ftpalg", FTPALG_VERSION}, {"protocol", protocol_version}});
  send_to(client, now);
  return client;
}

/// Whoever has been silent longest makes room: what is kept waiting does less harm than a person
/// who cannot look.
void ControlServer::make_room() {
  if (clients_.size() < clients_max) return;
  clients_.erase(std::ranges::min_element(clients_, {}, [](const Client& client) {
    return std::tuple{client.stays, client.is_busy(), client.heard};
  }));
}

void ControlServer::listen_to(Client& client, Time now) {
  std::array<char, 4096> bytes{};
  const ssize_t received = recv(client.socket.number(), bytes.data(), bytes.size(), MSG_DONTWAIT);
  if (received < 0) {
    client.is_gone = errno != EAGAIN && errno != EINTR;
    return;
  }
  client.heard = now;
  if (received == 0) client.asks_no_more = true;
  client.in.append(bytes.data(), static_cast<std::size_t>(received));
  take_requests(client);
}

void ControlServer::take_requests(Client& client) {
  std::size_t begin = 0;
  while (!client.is_busy() && !client.is_gone && client.unread() < unread_bytes_max) {
    const std::size_t end = client.in.find('\n', begin);
    if (end == std::string::npos) break;
    take_request(client, std::string_view{client.in}.substr(begin, end - begin));
    begin = end + 1;
  }
  client.in.erase(0, begin);
  if (client.in.size() > request_bytes_max && client.in.find('\n') == std::string::npos) {
    complain(client, fmt::format("the request has more than {} bytes", request_bytes_max));
    client.in.clear();
    client.asks_no_more = true;
  }
}

void ControlServer::take_request(Client& client, std::string_view line) {
  if (line.empty() || line == "\r") return;
  const json request = json::parse(line, nullptr, false);
  if (!request.is_object()) {
    return complain(client,
                    "the request is no JSON object; send one a line, as {\"ask\":\"status\"}");
  }
  const std::string question = text_of(request, "ask");
  const auto filter = filter_of(request);
  if (!filter) return complain(client, filter.error());
  if (question == "sessions") {
    client.lines = std::make_unique<SessionLines>(
        records_, view_,
        SessionLines::Wish{*filter, limit_of(request), wants(request, "ended"),
                           wants(request, "stuck")});
  } else if (question == "events") {
    if (const auto last = last_of(request)) {
      client.lines = std::make_unique<LatestEventLines>(records_, view_, *filter, *last);
    } else {
      client.lines = std::make_unique<EventLines>(records_, view_, *filter);
    }
  } else if (question == "session") {
    const std::string text = text_of(request, "id");
    const auto id = SessionId::parse(text);
    std::optional<Records::Portrait> found;
    for (const Records* each : records_) {
      if (id && !found) found = each->find(*id);
    }
    if (!found) {
      return complain(
          client, fmt::format("there is no session '{}'; ftpalg sessions lists those that there "
                              "are, and the last ones that ended are kept for a while",
                              text));
    }
    const Viewpoint view = view_();
    ordered_json session = session_json(text, found->shown.record, view);
    session["ladder"] = ladder_json(found->ladder, view);
    client.out += line_of({{"session", std::move(session)}});
  } else if (const auto answer = answers_.find(question); answer != answers_.end()) {
    // Whoever answers later may do so at once.
    client.awaits_answer = true;
    if (const auto json = answer->second({client.id, client.is_owner}, request)) {
      this->answer(client.id, *json);
    }
  } else {
    complain(client, fmt::format("'{}' cannot be asked; ask status, sessions, session, events, {}",
                                 question, "reload or what else PROTOCOL.md knows"));
  }
}

void ControlServer::send_to(Client& client, Time now) {
  for (unsigned turn = 0; turn < turns_max; ++turn) {
    client.has_more = false;
    if (client.lines != nullptr && client.unread() < unread_bytes_max) {
      const AnswerLines::Next next = client.lines->append_to(client.out);
      client.has_more = next == AnswerLines::Next::at_once;
      if (next == AnswerLines::Next::never) client.lines.reset();
    }
    send_unread(client, now);
    if (client.unread() > 0 || !client.has_more) break;
  }
  if (client.unread() > 0) {
    if (now - client.progressed > stall_max) client.is_gone = true;
    return;
  }
  client.progressed = now;
  // What it has asked meanwhile.
  if (!client.is_busy() && !client.in.empty()) take_requests(client);
  const bool is_served = !client.is_busy() && client.unread() == 0;
  if (client.asks_no_more && is_served) client.is_gone = true;
}

void ControlServer::send_unread(Client& client, Time now) {
  while (client.unread() > 0) {
    const ssize_t sent = send(client.socket.number(), client.out.data() + client.sent,
                              client.unread(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent <= 0) {
      if (errno != EAGAIN && errno != EINTR) client.is_gone = true;
      break;
    }
    client.sent += static_cast<std::size_t>(sent);
    client.progressed = now;
  }
  client.out.erase(0, std::exchange(client.sent, 0));
}

void ControlServer::complain(Client& client, const std::string& what) {
  client.out += line_of(error_json(what));
}

}  // namespace ftpalg::tools
