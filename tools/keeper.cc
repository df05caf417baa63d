// SPDX-License-Identifier: GPL-2.0-or-later
#include "tools/keeper.h"

#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <utility>

namespace ftpalg::tools {
namespace {

/// More than any configuration file. What is longer is not sent, so that neither end believes a
/// length that the other made up.
constexpr std::uint32_t message_bytes_max = 4 * 1024 * 1024;

enum class Kind : std::uint8_t { errand, success, failure };

struct Message {
  Kind kind;
  std::string text;
};

struct Header {
  std::uint32_t text_bytes;
  Kind kind;
};

bool send_all(int channel, std::span<const char> bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(channel, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) return false;
    bytes = bytes.subspan(static_cast<std::size_t>(sent));
  }
  return true;
}

bool receive_all(int channel, std::span<char> bytes) {
  while (!bytes.empty()) {
    const ssize_t received = ::recv(channel, bytes.data(), bytes.size(), 0);
    if (received < 0 && errno == EINTR) continue;
    if (received <= 0) return false;
    bytes = bytes.subspan(static_cast<std::size_t>(received));
  }
  return true;
}

bool send_message(int channel, Kind kind, std::string_view text) {
  if (text.size() > message_bytes_max) {
    errno = EMSGSIZE;
    return false;
  }
  const Header header{static_cast<std::uint32_t>(text.size()), kind};
  std::array<char, sizeof header> bytes{};
  std::memcpy(bytes.data(), &header, sizeof header);
  return send_all(channel, bytes) && send_all(channel, text);
}

std::optional<Message> receive_message(int channel) {
  std::array<char, sizeof(Header)> bytes{};
  if (!receive_all(channel, bytes)) return std::nullopt;
  Header header{};
  std::memcpy(&header, bytes.data(), sizeof header);
  if (header.text_bytes > message_bytes_max) return std::nullopt;
  Message message{header.kind, std::string(header.text_bytes, '\0')};
  if (!receive_all(channel, message.text)) return std::nullopt;
  return message;
}

[[noreturn]] void do_errands(const Descriptor& channel, const Keeper::Errands& errands) {
  prctl(PR_SET_NAME, "ftpalg-keeper");
  sigset_t meant_for_worker;
  sigemptyset(&meant_for_worker);
  for (const int signal : {SIGHUP, SIGINT, SIGTERM}) sigaddset(&meant_for_worker, signal);
  sigprocmask(SIG_BLOCK, &meant_for_worker, nullptr);
  while (const auto message = receive_message(channel.number())) {
    const Answer answer = errands(message->text);
    const bool sent = answer ? send_message(channel.number(), Kind::success, *answer)
                             : send_message(channel.number(), Kind::failure, answer.error());
    if (!sent) break;
  }
  // The worker's destructors are not the keeper's to run.
  _exit(EXIT_SUCCESS);
}

constexpr std::string_view gone =
    "the process that keeps the daemon's rights (ftpalg-keeper) is gone";

}  // namespace

tl::expected<Keeper, std::string> Keeper::start(const Errands& errands,
                                                std::span<const int> not_its_own) {
  std::array<int, 2> ends{};
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) {
    return tl::make_unexpected(fmt::format("cannot make a socket pair: {}", std::strerror(errno)));
  }
  Descriptor ours{ends[0]};
  Descriptor theirs{ends[1]};
  const pid_t process = fork();
  if (process < 0) {
    return tl::make_unexpected(fmt::format("cannot start a process: {}", std::strerror(errno)));
  }
  if (process == 0) {
    ours.close();
    for (const int descriptor : not_its_own) ::close(descriptor);
    do_errands(theirs, errands);
  }
  return Keeper(std::move(ours), process);
}

tl::expected<void, std::string> Keeper::send(std::string_view errand) {
  if (send_message(channel_.number(), Kind::errand, errand)) return {};
  is_gone_ = true;
  return tl::make_unexpected(std::string{gone});
}

Answer Keeper::answer() {
  auto message = receive_message(channel_.number());
  if (!message) {
    is_gone_ = true;
    return tl::make_unexpected(std::string{gone});
  }
  if (message->kind == Kind::success) return std::move(message->text);
  return tl::make_unexpected(std::move(message->text));
}

Answer Keeper::ask(std::string_view errand) {
  if (auto sent = send(errand); !sent) return tl::make_unexpected(std::move(sent.error()));
  return answer();
}

Keeper::Keeper(Keeper&& other) noexcept
    : channel_(std::move(other.channel_)), process_(std::exchange(other.process_, -1)) {}

Keeper::~Keeper() {
  if (process_ < 0) return;
  channel_.close();
  while (waitpid(process_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

}  // namespace ftpalg::tools
