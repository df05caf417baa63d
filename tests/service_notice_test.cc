// SPDX-License-Identifier: GPL-2.0-or-later
#include "tools/service_notice.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <catch2/catch.hpp>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <string>

namespace ftpalg::tools {
namespace {

using namespace std::chrono_literals;

/// What a service manager has: a socket that it is told things through, named in the environment.
class Listener {
 public:
  explicit Listener(std::string name) : name_(std::move(name)) {
    socket_ = Descriptor{socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    name_.copy(static_cast<char*>(address.sun_path), sizeof address.sun_path - 1);
    if (name_[0] == '@') address.sun_path[0] = '\0';
    const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name_.size() +
                                               (name_[0] == '@' ? 0U : 1U));
    REQUIRE(bind(socket_.number(), reinterpret_cast<const sockaddr*>(&address), length) == 0);
    setenv("NOTIFY_SOCKET", name_.c_str(), 1);
  }
  ~Listener() {
    unsetenv("NOTIFY_SOCKET");
    if (name_[0] == '/') std::filesystem::remove(name_);
  }
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  /// The next thing that it has been told; nothing where there is none.
  std::string heard() const {
    std::array<char, 4096> buffer{};
    const ssize_t bytes = recv(socket_.number(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    return bytes < 0 ? std::string{} : std::string{buffer.data(), static_cast<std::size_t>(bytes)};
  }

 private:
  std::string name_;
  Descriptor socket_;
};

std::string path() {
  return fmt::format("{}/ftpalg-notice-{}", std::filesystem::temp_directory_path().native(),
                     getpid());
}

void watchdog_of(std::chrono::microseconds period) {
  setenv("WATCHDOG_USEC", std::to_string(period.count()).c_str(), 1);
  setenv("WATCHDOG_PID", std::to_string(getpid()).c_str(), 1);
}

bool is_due(const ServiceNotice& notice, std::chrono::milliseconds limit) {
  pollfd timer{notice.descriptor(), POLLIN, 0};
  return poll(&timer, 1, static_cast<int>(limit.count())) == 1;
}

TEST_CASE("a service manager hears what becomes of the daemon") {
  for (const std::string& name : {path(), fmt::format("@ftpalg-notice-{}", getpid())}) {
    CAPTURE(name);
    const Listener listener(name);
    const auto notice = ServiceNotice::open();
    REQUIRE(notice);
    CHECK(notice->has_listener());
    CHECK(std::getenv("NOTIFY_SOCKET") == nullptr);
    notice->ready();
    CHECK(listener.heard() == "READY=1");
    notice->status("serving queues 21-22");
    CHECK(listener.heard() == "STATUS=serving queues 21-22");
    notice->reloading();
    CHECK_THAT(listener.heard(), Catch::Matchers::Matches("RELOADING=1\nMONOTONIC_USEC=[0-9]+"));
    notice->stopping();
    CHECK(listener.heard() == "STOPPING=1");
    CHECK(listener.heard().empty());
    CHECK(notice->descriptor() < 0);
  }
}

TEST_CASE("without a service manager nothing is said, and there is no watchdog") {
  watchdog_of(2ms);
  auto notice = ServiceNotice::open();
  REQUIRE(notice);
  CHECK_FALSE(notice->has_listener());
  CHECK(notice->descriptor() < 0);
  notice->ready();
}

TEST_CASE("a service manager that cannot be reached is an error with its name") {
  for (const auto* name : {"/nowhere/notify", "not/absolute", "", "@"}) {
    CAPTURE(name);
    setenv("NOTIFY_SOCKET", name, 1);
    const auto notice = ServiceNotice::open();
    REQUIRE_FALSE(notice);
    CHECK_THAT(notice.error(), Catch::Matchers::Contains(name));
    CHECK(std::getenv("NOTIFY_SOCKET") == nullptr);
  }
  setenv("NOTIFY_SOCKET", ("/" + std::string(200, 'x')).c_str(), 1);
  CHECK_FALSE(ServiceNotice::open());
}

TEST_CASE("a service manager that ends or does not listen is no harm") {
  std::optional<Listener> listener(path());
  const auto notice = ServiceNotice::open();
  REQUIRE(notice);
  // More than fits into its socket.
  for (int line = 0; line < 10'000; ++line) notice->status(std::string(1000, 'x'));
  listener.reset();
  notice->ready();
}

TEST_CASE("the watchdog is due twice in its time, and fed while all workers come round") {
  const Listener listener(path());
  watchdog_of(20ms);
  auto notice = ServiceNotice::open();
  REQUIRE(notice);
  CHECK(std::getenv("WATCHDOG_USEC") == nullptr);
  REQUIRE(is_due(*notice, 5000ms));

  CHECK(notice->feed(std::vector<std::uint64_t>{1, 7}).empty());
  CHECK(listener.heard() == "WATCHDOG=1");
  CHECK(notice->feed(std::vector<std::uint64_t>{2, 7}) == std::vector<std::size_t>{1});
  CHECK(listener.heard().empty());
  CHECK(notice->feed(std::vector<std::uint64_t>{2, 7}) == std::vector<std::size_t>{0, 1});
  CHECK(listener.heard().empty());
  CHECK(notice->feed(std::vector<std::uint64_t>{3, 8}).empty());
  CHECK(listener.heard() == "WATCHDOG=1");
  REQUIRE(is_due(*notice, 5000ms));
}

TEST_CASE("a worker that has not begun is not one that comes round") {
  const Listener listener(path());
  watchdog_of(1h);
  auto notice = ServiceNotice::open();
  REQUIRE(notice);
  CHECK_FALSE(is_due(*notice, 0ms));
  CHECK(notice->feed(std::vector<std::uint64_t>{1, 0}) == std::vector<std::size_t>{1});
  CHECK(listener.heard().empty());
}

TEST_CASE("a watchdog that is another process's is none") {
  const Listener listener(path());
  watchdog_of(1s);
  setenv("WATCHDOG_PID", std::to_string(getppid()).c_str(), 1);
  const auto notice = ServiceNotice::open();
  REQUIRE(notice);
  CHECK(notice->descriptor() < 0);
}

}  // namespace
}  // namespace ftpalg::tools
