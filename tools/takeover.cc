// SPDX-License-Identifier: GPL-2.0-or-later
#include "tools/takeover.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>
#include <vector>

#include "alg/engine_state.h"
#include "tools/handover.h"

namespace ftpalg::tools {
namespace {

using nlohmann::ordered_json;

/// For the other to answer each question; more than it needs to come to a standstill.
constexpr timeval answer_time_max{.tv_sec = 10, .tv_usec = 0};
/// For a process that has closed its connections to be gone.
constexpr int end_milliseconds_max = 2000;

/// Those that come with the next byte.
tl::expected<std::vector<Descriptor>, std::string> receive_descriptors(int channel,
                                                                       std::size_t count) {
  char byte = 0;
  iovec part{.iov_base = &byte, .iov_len = 1};
  std::vector<char> control(CMSG_SPACE(count * sizeof(int)));
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  ssize_t received = 0;
  do {
    received = recvmsg(channel, &message, MSG_CMSG_CLOEXEC);
  } while (received < 0 && errno == EINTR);
  std::vector<Descriptor> descriptors;
  for (cmsghdr* header = received > 0 ? CMSG_FIRSTHDR(&message) : nullptr; header != nullptr;
       header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t bytes = header->cmsg_len - CMSG_LEN(0);
    for (std::size_t at = 0; at + sizeof(int) <= bytes; at += sizeof(int)) {
      int descriptor = -1;
      std::memcpy(&descriptor, CMSG_DATA(header) + at, sizeof descriptor);
      descriptors.emplace_back(descriptor);
    }
  }
  if (received <= 0 || descriptors.size() != count) {
    return tl::unexpected(fmt::format("of {} descriptors {} have come", count, descriptors.size()));
  }
  return descriptors;
}

/// The process is gone, or is before long.
bool ends(pid_t process) {
  const Descriptor watched{static_cast<int>(syscall(SYS_pidfd_open, process, 0))};
  if (!watched.is_open()) return errno == ESRCH;
  pollfd source{watched.number(), POLLIN, 0};
  return poll(&source, 1, end_milliseconds_max) > 0;
}

}  // namespace

tl::expected<Takeover, std::string> Takeover::ask(const std::string& socket,
                                                  const rules::Ruleset& ruleset) {
  auto connection = GatewayConnection::open(socket);
  if (!connection) return tl::unexpected(connection.error());
  setsockopt(connection->descriptor(), SOL_SOCKET, SO_RCVTIMEO, &answer_time_max,
             sizeof answer_time_max);
  const auto answer = connection->ask({{"ask", "takeover"},
                                       {"state_version", engine_state_version},
                                       {"rules", rules_json(ruleset)}});
  if (!answer) return tl::unexpected("the running gateway does not give way: " + answer.error());

  Takeover takeover(std::move(*connection));
  const ordered_json terms = answer->value("takeover", ordered_json::object());
  takeover.pid_ = terms.value("pid", 0);
  if (const auto format = terms.find("rules_format");
      format != terms.end() && format->is_string()) {
    takeover.rules_format_ = format->get<std::string>();
  }
  std::vector<std::uint16_t> queues;
  for (unsigned queue = ruleset.queue; queue <= ruleset.last_queue(); ++queue) {
    queues.push_back(static_cast<std::uint16_t>(queue));
  }
  const std::size_t count = 2 * queues.size() + 1;
  if (auto sent = takeover.connection_.send({{"ask", "descriptors"}}); !sent) {
    return tl::unexpected(sent.error());
  }
  auto descriptors = receive_descriptors(takeover.connection_.descriptor(), count);
  if (!descriptors) return tl::unexpected(descriptors.error());
  if (const auto told = takeover.connection_.receive(); !told) return tl::unexpected(told.error());

  for (std::size_t place = 0; place < queues.size(); ++place) {
    auto legacy = Legacy::read(queues[place], std::move((*descriptors)[2 * place]),
                               std::move((*descriptors)[2 * place + 1]));
    if (!legacy) return tl::unexpected(legacy.error());
    if (!legacy->sessions) {
      return tl::unexpected(
          fmt::format("the sessions of queue {} cannot be taken over: {}", queues[place],
                      legacy->trouble.empty() ? "nothing is said of them" : legacy->trouble));
    }
    takeover.queues_.emplace(queues[place], std::move(*legacy));
  }
  takeover.socket_.listener = std::move(descriptors->back());
  takeover.socket_.file =
      ControlSocketFile::at(socket, terms.value("socket_directory_is_ours", false));
  takeover.socket_file_ = takeover.socket_.file;
  return takeover;
}

tl::expected<void, std::string> Takeover::complete() {
  const auto left = connection_.ask({{"ask", "leave"}});
  if (left && left->value("left", false)) return {};
  // One that has died has left too; one that lives has gone on serving.
  if (!left && pid_ > 0 && ends(pid_)) return {};
  return tl::unexpected("the running gateway has not left: " +
                        (left ? left->dump() : left.error()));
}

}  // namespace ftpalg::tools
