// SPDX-License-Identifier: GPL-2.0-or-later
#include "rules/program.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "rules/descriptor.h"

namespace ftpalg::rules {
namespace {

// Our end and the program's end. Sockets, not pipes: a program that does not read its input must
// not end us by SIGPIPE, and send() can say so.
struct Channel {
  Descriptor ours;
  Descriptor theirs;
};

tl::expected<Channel, std::string> make_channel() {
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) {
    return tl::make_unexpected(fmt::format("cannot make a socket pair: {}", std::strerror(errno)));
  }
  return Channel{Descriptor{ends[0]}, Descriptor{ends[1]}};
}

class FileActions {
 public:
  FileActions() { ::posix_spawn_file_actions_init(&actions_); }
  ~FileActions() { ::posix_spawn_file_actions_destroy(&actions_); }
  FileActions(const FileActions&) = delete;
  FileActions& operator=(const FileActions&) = delete;

  void duplicate(const Descriptor& from, int to) {
    ::posix_spawn_file_actions_adddup2(&actions_, from.number(), to);
  }
  const posix_spawn_file_actions_t* get() const { return &actions_; }

 private:
  posix_spawn_file_actions_t actions_;
};

// Sends what the program takes now; closes the channel at the end, or when the program has closed.
void feed(Descriptor& channel, std::string_view& input) {
  const ssize_t sent =
      ::send(channel.number(), input.data(), input.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  if (sent > 0) input.remove_prefix(static_cast<std::size_t>(sent));
  if (input.empty() || (sent < 0 && errno != EAGAIN && errno != EINTR)) channel.close();
}

void drain(Descriptor& channel, std::string& output) {
  std::array<char, 16384> buffer;
  const ssize_t received = ::recv(channel.number(), buffer.data(), buffer.size(), MSG_DONTWAIT);
  if (received > 0) output.append(buffer.data(), static_cast<std::size_t>(received));
  if (received == 0 || (received < 0 && errno != EAGAIN && errno != EINTR)) channel.close();
}

int wait_for(pid_t child) {
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

}  // namespace

std::optional<std::string> find_program(std::string_view program) {
  std::string_view path = "/usr/sbin:/sbin:/usr/bin:/bin:/usr/local/sbin";
  while (!path.empty()) {
    const std::size_t end = std::min(path.find(':'), path.size());
    std::string candidate = fmt::format("{}/{}", path.substr(0, end), program);
    if (::access(candidate.c_str(), X_OK) == 0) return candidate;
    path.remove_prefix(std::min(end + 1, path.size()));
  }
  return std::nullopt;
}

tl::expected<ProgramResult, std::string> run_program(const std::vector<std::string>& arguments,
                                                     std::string_view input) {
  auto in = make_channel();
  auto out = make_channel();
  auto err = make_channel();
  for (const auto* channel : {&in, &out, &err}) {
    if (!*channel) return tl::make_unexpected(channel->error());
  }

  FileActions actions;
  actions.duplicate(in->theirs, STDIN_FILENO);
  actions.duplicate(out->theirs, STDOUT_FILENO);
  actions.duplicate(err->theirs, STDERR_FILENO);

  // posix_spawn takes its words as char*, and leaves them alone.
  std::vector<std::string> copies = arguments;
  std::vector<char*> argv;
  for (std::string& word : copies) argv.push_back(word.data());
  argv.push_back(nullptr);

  // Messages are read by programs here and there; LC_ALL keeps them in one language.
  std::string language = "LC_ALL=C";
  std::string path = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";
  std::array<char*, 3> environment{language.data(), path.data(), nullptr};

  pid_t child = 0;
  const int failure =
      ::posix_spawn(&child, argv.front(), actions.get(), nullptr, argv.data(), environment.data());
  if (failure != 0) {
    return tl::make_unexpected(
        fmt::format("cannot run {}: {}", arguments.front(), std::strerror(failure)));
  }
  in->theirs.close();
  out->theirs.close();
  err->theirs.close();

  ProgramResult result;
  if (input.empty()) in->ours.close();
  while (in->ours.is_open() || out->ours.is_open() || err->ours.is_open()) {
    // A descriptor of -1, as of a closed channel, is skipped by poll.
    std::array<pollfd, 3> events{pollfd{in->ours.number(), POLLOUT, 0},
                                 pollfd{out->ours.number(), POLLIN, 0},
                                 pollfd{err->ours.number(), POLLIN, 0}};
    if (::poll(events.data(), events.size(), -1) < 0) {
      if (errno == EINTR) continue;
      break;
    }
    if (events[0].revents != 0) feed(in->ours, input);
    if (events[1].revents != 0) drain(out->ours, result.out);
    if (events[2].revents != 0) drain(err->ours, result.err);
  }
  result.exit_status = wait_for(child);
  return result;
}

}  // namespace ftpalg::rules
