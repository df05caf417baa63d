// SPDX-License-Identifier: GPL-2.0-or-later
#include "tools/demo/process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <grp.h>
#include <poll.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <optional>

namespace ftpalg::tools {
namespace {

using Clock = std::chrono::steady_clock;

constexpr unsigned nobody_id = 65534;

struct Pipe {
  Descriptor reading;
  Descriptor writing;
};

std::optional<Pipe> make_pipe() {
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) return std::nullopt;
  return Pipe{Descriptor{ends[0]}, Descriptor{ends[1]}};
}

// Between fork and exec: sets everything up for the program, and returns only when that fails.
// Signals go back to what a program expects; a process group of its own keeps a terminal's Ctrl-C
// from it, which is ours to handle.
void become_program(const Host& host, Rights rights, pid_t parent, int output, char* const* argv,
                    char* const* environment) {
  sigset_t none;
  sigemptyset(&none);
  if (setpgid(0, 0) != 0 || setns(host.descriptor(), CLONE_NEWNET) != 0) return;
  if (rights == Rights::nobody &&
      (setgroups(0, nullptr) != 0 || setgid(nobody_id) != 0 || setuid(nobody_id) != 0)) {
    return;
  }
  // After the change of user, which takes it back.
  if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) return;
  if (getppid() != parent) _exit(EXIT_FAILURE);
  const int input = open("/dev/null", O_RDONLY);
  if (input < 0 || dup2(input, STDIN_FILENO) < 0) return;
  if (dup2(output, STDOUT_FILENO) < 0 || dup2(output, STDERR_FILENO) < 0) return;
  if (sigprocmask(SIG_SETMASK, &none, nullptr) != 0) return;
  execve(argv[0], argv, environment);
}

// Not by pidfd_open(3): in Debian 12 its header is not made for C++.
Descriptor open_pidfd(pid_t process) {
  return Descriptor{static_cast<int>(syscall(SYS_pidfd_open, process, 0))};
}

int exit_status_of(int wait_status) {
  return WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
}

}  // namespace

tl::expected<Process, std::string> Process::start(std::string name, const Host& host, Rights rights,
                                                  std::vector<std::string> arguments) {
  const auto error = [&](int number) {
    return tl::unexpected(fmt::format("cannot start {}: {}", name, std::strerror(number)));
  };
  auto output = make_pipe();
  if (!output) return error(errno);
  auto failure = make_pipe();
  if (!failure) return error(errno);
  fcntl(output->reading.number(), F_SETFL, O_NONBLOCK);

  std::vector<char*> argv;
  for (std::string& word : arguments) argv.push_back(word.data());
  argv.push_back(nullptr);
  std::string language = "LC_ALL=C";
  std::string path = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";
  std::array<char*, 3> environment{language.data(), path.data(), nullptr};

  const pid_t parent = getpid();
  const pid_t child = fork();
  if (child < 0) return error(errno);
  if (child == 0) {
    become_program(host, rights, parent, output->writing.number(), argv.data(), environment.data());
    const int number = errno;
    [[maybe_unused]] const auto written = write(failure->writing.number(), &number, sizeof number);
    _exit(EXIT_FAILURE);
  }
  output->writing.close();
  failure->writing.close();
  Process process{name, child, open_pidfd(child), std::move(output->reading)};
  // The exec closes the pipe; before that comes only the reason why there is none.
  int number = 0;
  ssize_t received = 0;
  do {
    received = read(failure->reading.number(), &number, sizeof number);
  } while (received < 0 && errno == EINTR);
  if (received == sizeof number) return error(number);
  if (!process.exit_.is_open()) return error(ENOSYS);
  return process;
}

Process::Process(Process&& other) noexcept
    : name_(std::move(other.name_)),
      id_(std::exchange(other.id_, 0)),
      exit_(std::move(other.exit_)),
      pipe_(std::move(other.pipe_)),
      output_(std::move(other.output_)),
      exit_status_(other.exit_status_) {}

Process::~Process() {
  if (id_ == 0) return;
  send_signal(SIGKILL);
  collect();
}

void Process::send_signal(int number) const {
  if (id_ != 0) kill(id_, number);
}

void Process::collect() {
  int status = 0;
  while (waitpid(id_, &status, 0) < 0 && errno == EINTR) {
  }
  exit_status_ = exit_status_of(status);
  id_ = 0;
}

bool Process::drain() {
  std::array<char, 4096> buffer;
  for (;;) {
    const ssize_t received = read(pipe_.number(), buffer.data(), buffer.size());
    if (received > 0) {
      output_.append(buffer.data(), static_cast<std::size_t>(received));
    } else if (received == 0 || errno != EINTR) {
      return received != 0;
    }
  }
}

std::string Process::take_output() {
  drain();
  return std::exchange(output_, {});
}

// Waits for one thing to happen: new output, or the end.
tl::expected<Process::Event, std::string> Process::wait(Clock::time_point deadline,
                                                        Interruption& interruption,
                                                        std::string_view what) {
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
    std::array<pollfd, 3> events{pollfd{interruption.descriptor(), POLLIN, 0},
                                 pollfd{pipe_.number(), POLLIN, 0},
                                 pollfd{exit_.number(), POLLIN, 0}};
    const int ready = poll(events.data(), events.size(), static_cast<int>(std::max(left, 0L)));
    if (ready < 0 && errno != EINTR) {
      return tl::unexpected(fmt::format("cannot wait for {}: {}", name_, std::strerror(errno)));
    }
    if (ready < 0) continue;
    if (interruption.signal()) return tl::unexpected(std::string{"interrupted"});
    // Output first: what a program said before its end counts.
    if (events[1].revents != 0) {
      if (drain()) return Event::output;
      pipe_.close();
      continue;
    }
    if (events[2].revents != 0) {
      collect();
      return Event::exit;
    }
    if (ready == 0) {
      return tl::unexpected(fmt::format("{} has not {} in time", name_, what));
    }
  }
}

tl::expected<void, std::string> Process::wait_for_output(std::string_view text, Limit limit,
                                                         Interruption& interruption) {
  const auto deadline = Clock::now() + limit;
  while (output_.find(text) == std::string::npos) {
    const auto event = wait(deadline, interruption, "become ready");
    if (!event) return tl::unexpected(event.error());
    if (*event == Event::exit) return tl::unexpected(end_text());
  }
  return {};
}

tl::expected<int, std::string> Process::wait_for_exit(Limit limit, Interruption& interruption) {
  const auto deadline = Clock::now() + limit;
  while (id_ != 0) {
    const auto event = wait(deadline, interruption, "ended");
    if (!event) return tl::unexpected(event.error());
  }
  return exit_status_;
}

tl::expected<void, std::string> Process::still_runs() {
  pollfd exit{exit_.number(), POLLIN, 0};
  if (id_ != 0 && poll(&exit, 1, 0) == 1) collect();
  if (id_ != 0) return {};
  drain();
  return tl::unexpected(end_text());
}

std::string Process::end_text() const {
  std::string said = output_;
  while (said.ends_with('\n')) said.pop_back();
  return fmt::format("{} ended with exit status {}{}{}", name_, exit_status_,
                     said.empty() ? "" : ": ", said);
}

}  // namespace ftpalg::tools
