// SPDX-License-Identifier: GPL-2.0-or-later
#include "tools/privileges.h"

#include <cap-ng.h>
#include <fmt/format.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <span>
#include <vector>

namespace ftpalg::tools {
namespace {

/// To everybody.
constexpr std::array allowed_calls{
    // To wait, and to tell the time where the vDSO has to ask the kernel for it.
    SCMP_SYS(poll),
    SCMP_SYS(ppoll),
    SCMP_SYS(ppoll_time64),
    SCMP_SYS(restart_syscall),
    SCMP_SYS(clock_gettime),
    SCMP_SYS(clock_gettime64),
    SCMP_SYS(gettimeofday),
    SCMP_SYS(time),
    SCMP_SYS(futex),
    SCMP_SYS(futex_time64),
    // Sockets and the log, all of them open already.
    SCMP_SYS(recvfrom),
    SCMP_SYS(sendto),
    SCMP_SYS(read),
    SCMP_SYS(write),
    SCMP_SYS(writev),
    SCMP_SYS(pwrite64),  // a state file
    SCMP_SYS(close),
    // Memory; what maps it has conditions (below).
    SCMP_SYS(brk),
    SCMP_SYS(munmap),
    SCMP_SYS(mremap),
    SCMP_SYS(madvise),
    SCMP_SYS(getrandom),
    // To end, in order or by abort(3), which signals its own process.
    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(rt_sigaction),
    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(getpid),
    SCMP_SYS(gettid),
    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
};

constexpr std::array calls_of_worker{
    // Packets, verdicts, conntrack and the keeper.
    SCMP_SYS(recvmsg),
    SCMP_SYS(recvmmsg),
    SCMP_SYS(recvmmsg_time64),
    SCMP_SYS(sendmsg),
    // Its children's ends.
    SCMP_SYS(wait4),
};

constexpr std::array calls_of_web{
    SCMP_SYS(accept4),
    SCMP_SYS(shutdown),
};

struct Condition {
  int call;
  scmp_arg_cmp argument;
};

// These go by arguments too.
std::array<Condition, 4> conditions() {
  const auto not_executable =
      scmp_arg_cmp{.arg = 2, .op = SCMP_CMP_MASKED_EQ, .datum_a = PROT_EXEC, .datum_b = 0};
  const auto itself = scmp_arg_cmp{
      .arg = 0, .op = SCMP_CMP_EQ, .datum_a = static_cast<scmp_datum_t>(getpid()), .datum_b = 0};
  return {Condition{SCMP_SYS(mmap), not_executable}, Condition{SCMP_SYS(mmap2), not_executable},
          Condition{SCMP_SYS(mprotect), not_executable}, Condition{SCMP_SYS(tgkill), itself}};
}

/// Of attendance alone.
std::array<Condition, 2> attendance_conditions() {
  const auto socket_level =
      scmp_arg_cmp{.arg = 1, .op = SCMP_CMP_EQ, .datum_a = SOL_SOCKET, .datum_b = 0};
  const auto usual_flags = scmp_arg_cmp{
      .arg = 3, .op = SCMP_CMP_EQ, .datum_a = SOCK_CLOEXEC | SOCK_NONBLOCK, .datum_b = 0};
  return {Condition{SCMP_SYS(accept4), usual_flags}, Condition{SCMP_SYS(getsockopt), socket_level}};
}

struct ReleaseFilter {
  void operator()(scmp_filter_ctx filter) const { seccomp_release(filter); }
};

tl::expected<void, std::string> failure(std::string_view what, int error) {
  return tl::make_unexpected(fmt::format("{}: {}", what, std::strerror(error)));
}

}  // namespace

tl::expected<void, std::string> drop_capabilities(Role role) {
  constexpr std::string_view what = "capabilities cannot be given up";
  constexpr std::array<unsigned, 3> needed{CAP_NET_ADMIN, CAP_NET_RAW, CAP_DAC_READ_SEARCH};
  if (capng_get_caps_process() != 0) return failure(what, errno);
  const bool may_shrink_bounding_set = capng_have_capability(CAPNG_EFFECTIVE, CAP_SETPCAP) != 0;
  std::vector<unsigned> kept;
  for (const unsigned capability : needed) {
    if (role == Role::web || (role == Role::worker && capability == CAP_DAC_READ_SEARCH)) continue;
    if (capng_have_capability(CAPNG_PERMITTED, capability) != 0) kept.push_back(capability);
  }

  capng_clear(CAPNG_SELECT_ALL);
  unsigned sets = CAPNG_EFFECTIVE | CAPNG_PERMITTED | CAPNG_BOUNDING_SET;
  // For the keeper's programs where it is not root's: root's have them by the bounding set.
  if (role == Role::keeper) sets |= CAPNG_INHERITABLE | CAPNG_AMBIENT;
  for (const unsigned capability : kept) {
    capng_update(CAPNG_ADD, static_cast<capng_type_t>(sets), capability);
  }
  // Where the bounding set may not be changed, no_new_privs alone keeps programs from gaining any.
  const auto selected =
      may_shrink_bounding_set ? CAPNG_SELECT_ALL : CAPNG_SELECT_CAPS | CAPNG_SELECT_AMBIENT;
  if (capng_apply(static_cast<capng_select_t>(selected)) != 0) return failure(what, errno);
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return failure(what, errno);
  return {};
}

tl::expected<void, std::string> restrict_system_calls(Duty duty) {
  constexpr std::string_view what = "system calls cannot be restricted";
  const std::unique_ptr<void, ReleaseFilter> filter(seccomp_init(SCMP_ACT_ERRNO(EPERM)));
  if (!filter) return failure(what, ENOMEM);
  // What is refused is logged, where the kernel knows how (4.14).
  static_cast<void>(seccomp_attr_set(filter.get(), SCMP_FLTATR_CTL_LOG, 1));
  // A call that this machine's architecture does not have has a negative number here, and is
  // passed over.
  int error = 0;
  const auto allow_calls = [&](std::span<const int> calls) {
    for (const int call : calls) {
      if (error == 0) error = seccomp_rule_add(filter.get(), SCMP_ACT_ALLOW, call, 0);
    }
  };
  allow_calls(allowed_calls);
  allow_calls(duty == Duty::web ? std::span<const int>{calls_of_web} : calls_of_worker);
  const auto allow = [&](const auto& rules) {
    for (const Condition& condition : rules) {
      if (error != 0) return;
      error = seccomp_rule_add_array(filter.get(), SCMP_ACT_ALLOW, condition.call, 1,
                                     &condition.argument);
    }
  };
  allow(conditions());
  if (duty == Duty::attendance) allow(attendance_conditions());
  if (error == 0) error = seccomp_load(filter.get());
  if (error != 0) return failure(what, -error);
  return {};
}

}  // namespace ftpalg::tools
