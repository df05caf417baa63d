// SPDX-License-Identifier: GPL-2.0-or-later
#include "tools/demo/host.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <thread>

#include "rules/nft_transaction.h"
#include "rules/program.h"

namespace ftpalg::tools {
namespace {

// A thread belongs to one network namespace; this one's ends with its work, so that there is no way
// back that could fail.
void on_own_thread(const std::function<void()>& work) {
  std::jthread(work).join();
}

}  // namespace

tl::expected<Host, std::string> Host::make(std::string name) {
  Descriptor descriptor;
  int failure = 0;
  on_own_thread([&] {
    if (unshare(CLONE_NEWNET) == 0) {
      descriptor = Descriptor{open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC)};
    }
    if (!descriptor.is_open()) failure = errno;
  });
  if (failure != 0) {
    return tl::unexpected(
        fmt::format("cannot make a network namespace: {}; run it as root, and outside of "
                    "containers that forbid it",
                    std::strerror(failure)));
  }
  Host host{std::move(name), std::move(descriptor)};
  if (const auto up = host.ip("link set lo up"); !up) return tl::unexpected(up.error());
  return host;
}

std::string Host::path() const {
  return fmt::format("/proc/{}/fd/{}", getpid(), descriptor());
}

tl::expected<void, std::string> Host::run(
    const std::function<tl::expected<void, std::string>()>& work) const {
  tl::expected<void, std::string> result;
  on_own_thread([&] {
    if (setns(descriptor(), CLONE_NEWNET) == 0) {
      result = work();
    } else {
      result = tl::unexpected(
          fmt::format("cannot enter the network of the {}: {}", name_, std::strerror(errno)));
    }
  });
  return result;
}

tl::expected<void, std::string> Host::ip(const std::string& lines) const {
  return run([&]() -> tl::expected<void, std::string> {
    const auto program = rules::find_program("ip");
    if (!program) {
      return tl::unexpected(std::string{
          "the program 'ip' is not installed; install it with: apt-get install iproute2"});
    }
    const auto result = rules::run_program({*program, "-batch", "-"}, lines);
    if (!result) return tl::unexpected(result.error());
    if (result->exit_status != 0) {
      return tl::unexpected(fmt::format("'ip' cannot set up the {}: {}", name_, result->err));
    }
    return {};
  });
}

tl::expected<void, std::string> Host::nft(const std::string& commands) const {
  return run([&]() -> tl::expected<void, std::string> {
    const auto result = rules::run_nft(commands);
    if (!result) {
      return tl::unexpected(
          fmt::format("nft cannot set up the firewall of the {}: {}", name_, result.error()));
    }
    return {};
  });
}

tl::expected<void, std::string> Host::set_sysctl(const std::string& name,
                                                 const std::string& value) const {
  return run([&]() -> tl::expected<void, std::string> {
    const std::string path = "/proc/sys/" + name;
    const Descriptor file{open(path.c_str(), O_WRONLY | O_CLOEXEC)};
    if (!file.is_open() || write(file.number(), value.data(), value.size()) < 0) {
      return tl::unexpected(
          fmt::format("cannot write '{}' to {}: {}", value, path, std::strerror(errno)));
    }
    return {};
  });
}

tl::expected<void, std::string> connect(const Host& left, const std::string& left_device,
                                        const Host& right, const std::string& right_device) {
  return left
      .ip(fmt::format("link add {0} type veth peer name {1} netns {2}\nlink set {0} up\n",
                      left_device, right_device, right.path()))
      .and_then([&] { return right.ip(fmt::format("link set {} up\n", right_device)); });
}

}  // namespace ftpalg::tools
