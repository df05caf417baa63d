// SPDX-License-Identifier: GPL-2.0-or-later
#include "tools/privileges.h"

#include <cap-ng.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <spawn.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <ctime>
#include <functional>
#include <memory>
#include <stdexcept>
#include <utility>
#include <vector>

namespace ftpalg::tools {
namespace {

constexpr int did = 0;
constexpr int did_not = 1;
constexpr int not_restricted = 2;

/// Runs `act` in a process of its own, whose exit status is what it returns, or 128 + the number of
/// the signal that has ended it.
int in_process(const std::function<int()>& act) {
  const pid_t child = fork();
  if (child == 0) _exit(act());
  int status = 0;
  waitpid(child, &status, 0);
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

int in_restricted_process(const std::function<int()>& act, Duty duty = Duty::packets) {
  return in_process([&] { return restrict_system_calls(duty) ? act() : not_restricted; });
}

/// `call` returns what the system call does; it is made without the library, which may have another
/// way.
int expect_refused(const std::function<long()>& call) {
  errno = 0;
  return call() == -1 && errno == EPERM ? did : did_not;
}

template <typename... Arguments>
std::function<long()> raw(long number, Arguments... arguments) {
  return [=] { return syscall(number, arguments...); };
}

TEST_CASE("a restricted process can start no program, open no file, make no socket") {
  static int pair[2];
  static const char* const arguments[] = {"/bin/true", nullptr};
  static char page[4096];
  REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
  void* const memory =
      mmap(nullptr, sizeof page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  REQUIRE(memory != MAP_FAILED);
  struct Row {
    std::string what;
    std::function<long()> call;
  };
  for (const auto& [what, call] : {
           Row{"execve", raw(SYS_execve, arguments[0], arguments, nullptr)},
           Row{"execveat", raw(SYS_execveat, AT_FDCWD, arguments[0], arguments, nullptr, 0)},
           Row{"clone", raw(SYS_clone, SIGCHLD, 0, 0, 0, 0)},
           Row{"openat to read", raw(SYS_openat, AT_FDCWD, "/etc/passwd", O_RDONLY)},
           Row{"openat to create", raw(SYS_openat, AT_FDCWD, "/tmp/x", O_WRONLY | O_CREAT, 0600)},
           Row{"unlinkat", raw(SYS_unlinkat, AT_FDCWD, "/nowhere", 0)},
           Row{"memfd_create", raw(SYS_memfd_create, "x", 0)},
           Row{"socket", raw(SYS_socket, AF_INET, SOCK_STREAM, 0)},
           Row{"socket to the kernel", raw(SYS_socket, AF_NETLINK, SOCK_RAW, 0)},
           Row{"socketpair", raw(SYS_socketpair, AF_UNIX, SOCK_STREAM, 0, page)},
           Row{"connect", raw(SYS_connect, pair[0], page, 16)},
           Row{"bind", raw(SYS_bind, pair[0], page, 16)},
           Row{"accept4", raw(SYS_accept4, pair[0], nullptr, nullptr, 0)},
           Row{"setsockopt", raw(SYS_setsockopt, pair[0], SOL_SOCKET, SO_REUSEADDR, page, 4)},
           Row{"ioctl", raw(SYS_ioctl, pair[0], FIONREAD, page)},
           Row{"fcntl", raw(SYS_fcntl, pair[0], F_DUPFD, 0)},
           Row{"dup3", raw(SYS_dup3, pair[0], 99, 0)},
           Row{"ptrace", raw(SYS_ptrace, PTRACE_SEIZE, getppid(), 0, 0)},
           Row{"kill", raw(SYS_kill, getpid(), 0)},
           Row{"tgkill another", raw(SYS_tgkill, getppid(), getppid(), 0)},
           Row{"setuid", raw(SYS_setuid, 0)},
           Row{"capset", raw(SYS_capset, page, page)},
           Row{"unshare", raw(SYS_unshare, CLONE_NEWUSER)},
           Row{"setns", raw(SYS_setns, pair[0], 0)},
           Row{"mount", raw(SYS_mount, "none", "/mnt", "tmpfs", 0, nullptr)},
           Row{"prctl", raw(SYS_prctl, PR_SET_DUMPABLE, 1, 0, 0, 0)},
           Row{"memory that can be executed", raw(SYS_mmap, 0, sizeof page, PROT_READ | PROT_EXEC,
                                                  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)},
           Row{"memory made so that it can be executed",
               raw(SYS_mprotect, memory, sizeof page, PROT_READ | PROT_EXEC)},
           Row{"memory made so by another way",
               raw(SYS_pkey_mprotect, memory, sizeof page, PROT_READ | PROT_EXEC, -1)},
       }) {
    CAPTURE(what);
    const auto is_refused = [&call = call] { return expect_refused(call); };
    CHECK(in_restricted_process(is_refused) == did);
    // It accepts, and nothing besides.
    CHECK(in_restricted_process(is_refused, Duty::web) == (what == "accept4" ? did_not : did));
  }
  for (const auto& [what, call] : {
           Row{"a descriptor passed on", raw(SYS_sendmsg, pair[0], page, 0)},
           Row{"a descriptor taken", raw(SYS_recvmsg, pair[0], page, 0)},
           Row{"getsockopt", raw(SYS_getsockopt, pair[0], SOL_SOCKET, SO_PEERCRED, page, page)},
           Row{"wait4", raw(SYS_wait4, -1, nullptr, 0, nullptr)},
       }) {
    CAPTURE(what);
    CHECK(in_restricted_process([&call = call] { return expect_refused(call); }, Duty::web) == did);
  }
  munmap(memory, sizeof page);
  close(pair[0]);
  close(pair[1]);
}

/// The library's own ways may differ from the calls that they are named by.
TEST_CASE("a restricted process cannot do so by the library either") {
  CHECK(in_restricted_process([] { return std::system("true") == 0 ? did_not : did; }) == did);
  CHECK(in_restricted_process([] { return std::fopen("/etc/passwd", "r") ? did_not : did; }) ==
        did);
  CHECK(in_restricted_process([] {
          pid_t program = 0;
          char name[] = "true";
          char* arguments[] = {name, nullptr};
          return posix_spawn(&program, "/bin/true", nullptr, nullptr, arguments, nullptr) == 0
                     ? did_not
                     : did;
        }) == did);
  CHECK(in_restricted_process([] { return fork() == -1 ? did : did_not; }) == did);
}

int allocate() {
  // Small and large, grown and shrunk in place and not, with holes, and the top given back.
  std::vector<std::unique_ptr<char[]>> blocks;
  for (std::size_t round = 0; round < 3; ++round) {
    for (std::size_t bytes = 16; bytes <= (std::size_t{64} << 20); bytes *= 2) {
      blocks.push_back(std::make_unique<char[]>(bytes));
    }
    blocks.resize(blocks.size() / 2);
  }
  void* block = nullptr;
  for (const std::size_t bytes :
       {std::size_t{1} << 20, std::size_t{1} << 26, std::size_t{1} << 18}) {
    void* const other = std::realloc(block, bytes);
    if (other == nullptr) return did_not;
    block = other;
  }
  std::free(block);
  return did;
}

int write_log(int descriptor) {
  const auto logger = spdlog::stderr_logger_st("restricted");
  logger->set_pattern("%^%l%$ %v");
  std::signal(SIGPIPE, SIG_IGN);
  if (descriptor < 0) {
    close(STDERR_FILENO);
  } else {
    dup2(descriptor, STDERR_FILENO);
  }
  if (!restrict_system_calls()) return not_restricted;
  for (int line = 0; line < 1000; ++line) logger->warn("line {} {}", line, std::string(2000, 'x'));
  return did;
}

int wait_for_keeper() {
  const pid_t child = fork();
  if (child == 0) _exit(7);
  if (!restrict_system_calls()) return not_restricted;
  int status = 0;
  return waitpid(child, &status, 0) == child && WEXITSTATUS(status) == 7 ? did : did_not;
}

int poll_interrupted() {
  struct sigaction nothing {};
  nothing.sa_handler = [](int) {};
  sigaction(SIGALRM, &nothing, nullptr);
  alarm(1);
  if (!restrict_system_calls()) return not_restricted;
  return poll(nullptr, 0, 5000) == -1 && errno == EINTR ? did : did_not;
}

int poll_stopped() {
  const pid_t worker = getpid();
  const pid_t other = fork();
  if (other == 0) {
    // The kernel goes on with a poll that was stopped by restart_syscall(2).
    for (const int signal : {SIGSTOP, SIGCONT}) {
      poll(nullptr, 0, 50);
      kill(worker, signal);
    }
    _exit(0);
  }
  if (!restrict_system_calls()) return not_restricted;
  const int polled = poll(nullptr, 0, 300);
  waitpid(other, nullptr, 0);
  return polled == 0 ? did : did_not;
}

TEST_CASE("a restricted process can do what libraries do on their rarer ways") {
  struct Row {
    std::string what;
    std::function<int()> act;
  };
  for (const auto& [what, act] : {
           Row{"allocate", [] { return restrict_system_calls() ? allocate() : not_restricted; }},
           Row{"log to nowhere", [] { return write_log(-1); }},
           Row{"log to a reader who is gone",
               [] {
                 int ends[2];
                 if (pipe(ends) != 0) return did_not;
                 close(ends[0]);
                 return write_log(ends[1]);
               }},
           Row{"wait for the keeper", wait_for_keeper},
           Row{"be interrupted", poll_interrupted},
           Row{"be stopped and go on", poll_stopped},
       }) {
    CAPTURE(what);
    CHECK(in_process(act) == did);
  }
  for (const auto& [what, act] : {
           Row{"random bytes",
               [] {
                 char bytes[32];
                 return getrandom(bytes, sizeof bytes, 0) == sizeof bytes ? did : did_not;
               }},
           Row{"time",
               [] {
                 return std::chrono::system_clock::now().time_since_epoch().count() > 0 &&
                                std::time(nullptr) > 0
                            ? did
                            : did_not;
               }},
           // What the vDSO asks where the machine's clock is not to be read without the kernel.
           Row{"time without the vDSO",
               [] {
                 timespec at{};
                 timeval day{};
                 bool told = syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &at) == 0;
#ifdef SYS_gettimeofday
                 told = told && syscall(SYS_gettimeofday, &day, nullptr) == 0;
#endif
#ifdef SYS_time
                 told = told && syscall(SYS_time, nullptr) > 0;
#endif
                 return told ? did : did_not;
               }},
           Row{"throw",
               [] {
                 try {
                   throw std::runtime_error("x");
                 } catch (const std::runtime_error&) {
                   return did;
                 }
               }},
           Row{"signal mask",
               [] {
                 sigset_t all;
                 sigfillset(&all);
                 return sigprocmask(SIG_BLOCK, &all, nullptr) == 0 ? did : did_not;
               }},
       }) {
    CAPTURE(what);
    CHECK(in_restricted_process(act) == did);
  }
}

/// A listener in the abstract name space, and a client that waits there.
struct Waiting {
  Waiting() {
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    // Without a name it gets one of the kernel's choice.
    bind(listener, reinterpret_cast<const sockaddr*>(&name), sizeof name.sun_family);
    listen(listener, 1);
    socklen_t size = sizeof name;
    getsockname(listener, reinterpret_cast<sockaddr*>(&name), &size);
    client = socket(AF_UNIX, SOCK_STREAM, 0);
    connect(client, reinterpret_cast<const sockaddr*>(&name), size);
  }
  int listener;
  int client;
};

TEST_CASE("a thread that attends may accept clients and ask who they are, and no other may") {
  const auto attend = [](Duty duty) {
    return in_process([&]() -> int {
      const Waiting waiting;
      if (!restrict_system_calls(duty)) return not_restricted;
      const int accepted =
          accept4(waiting.listener, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
      ucred peer{};
      socklen_t size = sizeof peer;
      return getsockopt(accepted, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.pid > 0
                 ? did
                 : did_not;
    });
  };
  CHECK(attend(Duty::attendance) == did);
  CHECK(attend(Duty::packets) == did_not);
}

TEST_CASE("a thread that attends may do no more than that") {
  static char page[64];
  for (const auto& [what, call] : {
           std::pair{"accept4 with a descriptor that programs inherit",
                     raw(SYS_accept4, 0, nullptr, nullptr, 0)},
           std::pair{"getsockopt of TCP", raw(SYS_getsockopt, 0, IPPROTO_TCP, 1, page, page)},
           std::pair{"setsockopt", raw(SYS_setsockopt, 0, SOL_SOCKET, SO_REUSEADDR, page, 4)},
           std::pair{"socket", raw(SYS_socket, AF_UNIX, SOCK_STREAM, 0)},
           std::pair{"connect", raw(SYS_connect, 0, page, 16)},
           std::pair{"bind", raw(SYS_bind, 0, page, 16)},
           std::pair{"listen", raw(SYS_listen, 0, 1)},
           std::pair{"openat to read", raw(SYS_openat, AT_FDCWD, "/etc/passwd", O_RDONLY)},
           std::pair{"unlinkat", raw(SYS_unlinkat, AT_FDCWD, "/nowhere", 0)},
       }) {
    CAPTURE(what);
    CHECK(in_process([&make = call]() -> int {
            return restrict_system_calls(Duty::attendance) ? expect_refused(make) : not_restricted;
          }) == did);
  }
}

TEST_CASE("a restricted process can end itself by abort") {
  CHECK(in_process([]() -> int {
          prctl(PR_SET_DUMPABLE, 0);
          std::signal(SIGABRT, SIG_DFL);
          if (!restrict_system_calls()) return not_restricted;
          std::abort();
        }) == 128 + SIGABRT);
}

TEST_CASE("what is given up cannot be gained anew, by whoever gives it up") {
  for (const Role role : {Role::worker, Role::keeper, Role::web}) {
    CHECK(in_process([&] {
            if (!drop_capabilities(role)) return not_restricted;
            return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 && capng_get_caps_process() == 0 &&
                           capng_have_capability(CAPNG_PERMITTED, CAP_SYS_ADMIN) == 0 &&
                           capng_have_capability(CAPNG_PERMITTED, CAP_SETPCAP) == 0
                       ? did
                       : did_not;
          }) == did);
  }
}

}  // namespace
}  // namespace ftpalg::tools
