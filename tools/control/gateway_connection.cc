// SPDX-License-Identifier: GPL-2.0-or-later
#include "tools/control/gateway_connection.h"

#include <fmt/format.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "tools/control/control_socket.h"
#include "tools/control/protocol.h"

namespace ftpalg::tools {

using nlohmann::ordered_json;

tl::expected<GatewayConnection, std::string> GatewayConnection::open(const std::string& socket) {
  auto channel = connect_to_gateway(socket);
  if (!channel) return tl::make_unexpected(channel.error());
  GatewayConnection connection(std::move(*channel));
  const auto greeting = connection.receive();
  if (!greeting) return tl::make_unexpected(greeting.error());
  const auto version = greeting->find("protocol");
  if (version == greeting->end() || *version != protocol_version) {
    return tl::make_unexpected(fmt::format(
        "the gateway on {} is of another version, which this program does not understand; use the "
        "program that it runs",
        socket));
  }
  return connection;
}

tl::expected<void, std::string> GatewayConnection::send(const ordered_json& request) {
  const std::string line =
      request.dump(-1, ' ', true, ordered_json::error_handler_t::replace) + '\n';
  std::string_view rest = line;
  while (!rest.empty()) {
    const ssize_t sent = ::send(channel_.number(), rest.data(), rest.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) return tl::make_unexpected("the gateway has ended the connection");
    rest.remove_prefix(static_cast<std::size_t>(sent));
  }
  return {};
}

tl::expected<ordered_json, std::string> GatewayConnection::receive() {
  std::size_t end = received_.find('\n');
  while (end == std::string::npos) {
    std::array<char, 16384> bytes{};
    const ssize_t count = recv(channel_.number(), bytes.data(), bytes.size(), 0);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return tl::make_unexpected("the gateway has ended");
    const std::size_t searched = received_.size();
    received_.append(bytes.data(), static_cast<std::size_t>(count));
    end = received_.find('\n', searched);
  }
  auto json = ordered_json::parse(
      received_.begin(), received_.begin() + static_cast<std::ptrdiff_t>(end), nullptr, false);
  received_.erase(0, end + 1);
  if (!json.is_object()) return tl::make_unexpected("what answers there is no ftpalg gateway");
  if (const auto error = json.find("error"); error != json.end() && error->is_string()) {
    return tl::make_unexpected(error->get<std::string>());
  }
  return json;
}

tl::expected<ordered_json, std::string> GatewayConnection::ask(const ordered_json& request) {
  if (auto sent = send(request); !sent) return tl::make_unexpected(std::move(sent.error()));
  return receive();
}

}  // namespace ftpalg::tools
