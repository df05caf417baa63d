// SPDX-License-Identifier: GPL-2.0-or-later
#include "tools/web/web_process.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <malloc.h>
#include <poll.h>
#include <spdlog/spdlog.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "tools/privileges.h"
#include "tools/web/gateway_link.h"
#include "tools/web/http_server.h"
#include "tools/web/site.h"

namespace ftpalg::tools {
namespace {

/// As it is in the child: the gateway's is another.
constexpr int retry_milliseconds = 500;

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t bytes = 0;

  explicit SocketAddress(const Endpoint& endpoint) {
    const auto bytes_of_address = endpoint.address.bytes();
    if (endpoint.address.family() == Family::ipv4) {
      sockaddr_in address{};
      address.sin_family = AF_INET;
      address.sin_port = htons(endpoint.port.number);
      std::memcpy(&address.sin_addr, bytes_of_address.data(), bytes_of_address.size());
      std::memcpy(&storage, &address, sizeof address);
      bytes = sizeof address;
    } else {
      sockaddr_in6 address{};
      address.sin6_family = AF_INET6;
      address.sin6_port = htons(endpoint.port.number);
      std::memcpy(&address.sin6_addr, bytes_of_address.data(), bytes_of_address.size());
      std::memcpy(&storage, &address, sizeof address);
      bytes = sizeof address;
    }
  }
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

/// The error is errno's.
tl::expected<Descriptor, int> listen_on(const Endpoint& endpoint) {
  const SocketAddress address{endpoint};
  Descriptor listener{
      socket(address.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
  if (!listener.is_open()) return tl::make_unexpected(errno);
  const int yes = 1;
  setsockopt(listener.number(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  if (endpoint.address.family() == Family::ipv6) {
    setsockopt(listener.number(), IPPROTO_IPV6, IPV6_V6ONLY, &yes, sizeof yes);
  }
  if (bind(listener.number(), address.get(), address.bytes) != 0 ||
      listen(listener.number(), static_cast<int>(HttpServer::connections_max)) != 0) {
    return tl::make_unexpected(errno);
  }
  return listener;
}

/// What passes by itself: the gateway from which this one takes over ends, an address is given.
bool may_pass(int error) {
  return error == EADDRINUSE || error == EADDRNOTAVAIL;
}

/// Listens as soon as that is possible. Nothing when the gateway has ended, or it never will be.
Descriptor await_listener(const Endpoint& endpoint, int life_line) {
  bool is_told = false;
  for (;;) {
    auto listener = listen_on(endpoint);
    if (listener) return std::move(*listener);
    if (!std::exchange(is_told, true)) {
      spdlog::warn(
          "http.listen: cannot listen on {}: {}; {}", endpoint.text(),
          std::strerror(listener.error()),
          may_pass(listener.error())
              ? "it is tried again and again; mend: choose another address or port"
              : "there is no page, and packets go on; mend: choose another address or port");
    }
    if (!may_pass(listener.error())) return {};
    pollfd source{life_line, POLLIN, 0};
    if (poll(&source, 1, retry_milliseconds) > 0) return {};
  }
}

void close_all_but(std::array<int, 2> kept) {
  std::ranges::sort(kept);
  unsigned first = STDERR_FILENO + 1;
  for (const int descriptor : kept) {
    const auto next = static_cast<unsigned>(descriptor);
    if (first < next) close_range(first, next - 1, 0);
    first = next + 1;
  }
  close_range(first, ~0U, 0);
}

/// Everything from the rights to the last answer.
void show(const Endpoint& endpoint, int life_line, Descriptor channel) {
  Descriptor listener = await_listener(endpoint, life_line);
  if (!listener.is_open()) return;
  if (const auto dropped = drop_capabilities(Role::web); !dropped) {
    spdlog::warn("there is no page at http://{}/: {}", endpoint.text(), dropped.error());
    return;
  }
  // After that, because who gives up capabilities is not told any more.
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  mallopt(M_ARENA_MAX, 1);
  if (const auto restricted = restrict_system_calls(Duty::web); !restricted) {
    spdlog::warn("{}; the page is shown without this protection", restricted.error());
  }
  spdlog::info("there is a page to look at on http://{}/", endpoint.text());
  if (!endpoint.address.is_loopback()) {
    spdlog::warn(
        "http.listen: whoever reaches {} sees who talks to whom, and is asked for no password; "
        "mend: let the firewall choose who reaches it, or listen on 127.0.0.1 and come by ssh -L",
        endpoint.text());
  }
  GatewayLink link{std::move(channel)};
  const Site site{endpoint, [&](const nlohmann::json& question) { return link.ask(question); }};
  const auto respond = [&](const HttpRequest& request) -> HttpResponse {
    // An answer of the gateway's that is not what it is taken for costs this answer alone.
    try {
      return site.respond(request);
    } catch (const nlohmann::json::exception& error) {
      return refusal(500, error.what());
    }
  };
  HttpServer server{std::move(listener), respond};
  server.serve(life_line);
}

[[noreturn]] void live(const Endpoint& endpoint, Descriptor life_line, Descriptor channel) {
  prctl(PR_SET_NAME, "ftpalg-web");
  sigset_t meant_for_gateway;
  sigemptyset(&meant_for_gateway);
  for (const int signal : {SIGHUP, SIGINT, SIGTERM}) sigaddset(&meant_for_gateway, signal);
  sigprocmask(SIG_BLOCK, &meant_for_gateway, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  close_all_but({life_line.number(), channel.number()});
  show(endpoint, life_line.number(), std::move(channel));
  // The gateway's destructors are not this process's to run.
  _exit(EXIT_SUCCESS);
}

/// Two ends that are connected. The error is a sentence.
tl::expected<std::pair<Descriptor, Descriptor>, std::string> connected() {
  std::array<int, 2> ends{};
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends.data()) != 0) {
    return tl::make_unexpected(fmt::format("cannot make a socket pair: {}", std::strerror(errno)));
  }
  return std::pair{Descriptor{ends[0]}, Descriptor{ends[1]}};
}

}  // namespace

tl::expected<WebProcess, std::string> WebProcess::start(const Endpoint& listen) {
  auto life_line = connected();
  auto channel = connected();
  if (!life_line || !channel) {
    return tl::make_unexpected(!life_line ? life_line.error() : channel.error());
  }
  const pid_t process = fork();
  if (process < 0) {
    return tl::make_unexpected(fmt::format("cannot start a process: {}", std::strerror(errno)));
  }
  if (process == 0) live(listen, std::move(life_line->second), std::move(channel->second));
  return WebProcess(std::move(life_line->first), std::move(channel->first), process);
}

void WebProcess::bury() {
  life_line_.close();
  // Who has closed its end may not have ended yet, and is not waited for.
  while (waitpid(process_, nullptr, WNOHANG) < 0 && errno == EINTR) {
  }
}

}  // namespace ftpalg::tools
