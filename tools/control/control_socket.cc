// SPDX-License-Identifier: GPL-2.0-or-later
#include "tools/control/control_socket.h"

#include <fmt/format.h>
#include <grp.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <optional>

namespace ftpalg::tools {
namespace {

constexpr int waiting_clients_max = 16;
constexpr mode_t socket_mode = S_IRUSR | S_IWUSR | S_IRGRP | S_IWGRP;
constexpr mode_t directory_mode = S_IRWXU | S_IRGRP | S_IXGRP | S_IROTH | S_IXOTH;

std::optional<sockaddr_un> address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path) return std::nullopt;
  path.copy(address.sun_path, path.size());
  return address;
}

const sockaddr* any(const sockaddr_un& address) {
  return reinterpret_cast<const sockaddr*>(&address);
}

std::string too_long(const std::string& path) {
  return fmt::format("'{}' is no path of a socket; give one of 1 to {} bytes", path,
                     sizeof(sockaddr_un::sun_path) - 1);
}

tl::unexpected<std::string> failure(const std::string& path, std::string_view mend) {
  return tl::unexpected(
      fmt::format("cannot make the control socket {}: {}; {}", path, std::strerror(errno), mend));
}

Descriptor stream_socket() {
  return Descriptor{socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
}

/// 0 where somebody answers, else the errno.
int try_to_connect(const sockaddr_un& address) {
  const Descriptor probe = stream_socket();
  return connect(probe.number(), any(address), sizeof address) == 0 ? 0 : errno;
}

std::optional<gid_t> group_number(const std::string& name) {
  const group* const found = getgrnam(name.c_str());
  if (found == nullptr) return std::nullopt;
  return found->gr_gid;
}

}  // namespace

ControlSocketFile ControlSocketFile::at(const std::string& path, bool directory_is_ours) {
  struct stat there {};
  if (path.empty() || stat(path.c_str(), &there) != 0) return {};
  return {path, there.st_dev, there.st_ino, directory_is_ours};
}

void ControlSocketFile::remove() const {
  struct stat there {};
  if (path_.empty() || stat(path_.c_str(), &there) != 0) return;
  if (there.st_dev != device_ || there.st_ino != inode_) return;
  unlink(path_.c_str());
  // Where others have put something in it, it stays.
  if (directory_is_ours_) rmdir(std::filesystem::path(path_).parent_path().c_str());
}

tl::expected<ControlSocket, std::string> ControlSocket::open(const std::string& path,
                                                             const std::string& group) {
  constexpr std::string_view mend =
      "ftpalg status and its like will not reach this gateway; mend: name a path that can be made, "
      "with --socket or service.socket";
  const auto address = address_of(path);
  if (!address) return tl::make_unexpected(too_long(path));
  std::optional<gid_t> owner;
  if (!group.empty()) {
    owner = group_number(group);
    if (!owner) {
      return tl::make_unexpected(
          fmt::format("service.group: there is no group '{}'; name one of getent group", group));
    }
  }

  const std::string directory = std::filesystem::path(path).parent_path().string();
  const bool directory_is_ours =
      !directory.empty() && mkdir(directory.c_str(), directory_mode) == 0;
  // Of two gateways that start at once one has to wait until the other answers.
  const Descriptor lock{
      ::open(directory.empty() ? "." : directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (!lock.is_open()) return failure(path, mend);
  flock(lock.number(), LOCK_EX);

  struct stat there {};
  if (lstat(path.c_str(), &there) == 0) {
    if (!S_ISSOCK(there.st_mode)) {
      return tl::make_unexpected(fmt::format(
          "cannot make the control socket {}: something else is there that is no socket; {}", path,
          mend));
    }
    const int error = try_to_connect(*address);
    if (error == 0 || error == EAGAIN) {
      return tl::make_unexpected(
          fmt::format("another gateway answers on the control socket {}, and goes on doing so; {}",
                      path, mend));
    }
    if (error != ECONNREFUSED || unlink(path.c_str()) != 0) return failure(path, mend);
  }

  ControlSocket made;
  made.listener = stream_socket();
  // Nobody may use it before it has its mode.
  const mode_t mask = umask(~socket_mode & (S_IRWXU | S_IRWXG | S_IRWXO));
  const bool bound =
      made.listener.is_open() && bind(made.listener.number(), any(*address), sizeof *address) == 0;
  umask(mask);
  if (!bound) return failure(path, mend);
  if (owner && chown(path.c_str(), static_cast<uid_t>(-1), *owner) != 0) {
    auto failed = failure(path, "service.group can be given by root alone");
    unlink(path.c_str());
    return failed;
  }
  if (listen(made.listener.number(), waiting_clients_max) != 0 || stat(path.c_str(), &there) != 0) {
    return failure(path, mend);
  }
  made.file = {path, there.st_dev, there.st_ino, directory_is_ours};
  return made;
}

tl::expected<Descriptor, std::string> connect_to_gateway(const std::string& path) {
  const auto address = address_of(path);
  if (!address) return tl::make_unexpected(too_long(path));
  Descriptor channel{socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  if (connect(channel.number(), any(*address), sizeof *address) == 0) return channel;
  switch (errno) {
    case ENOENT:
    case ECONNREFUSED:
      return tl::make_unexpected(
          fmt::format("no gateway answers on {}; start one with ftpalg run (or systemctl start "
                      "ftpalg), or name "
                      "its socket with --socket",
                      path));
    case EACCES:
    case EPERM:
      return tl::make_unexpected(fmt::format(
          "you may not use {}; use sudo, or have service.group name a group that you are in",
          path));
    default:
      return tl::make_unexpected(
          fmt::format("cannot reach the gateway on {}: {}", path, std::strerror(errno)));
  }
}

}  // namespace ftpalg::tools
