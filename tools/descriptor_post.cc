// SPDX-License-Identifier: GPL-2.0-or-later
#include "tools/descriptor_post.h"

#include <fmt/format.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace ftpalg::tools {
namespace {

/// A message of one byte, which has to be, with room for one descriptor.
struct Letter {
  char byte = 0;
  iovec part{&byte, sizeof byte};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> enclosure{};
  msghdr header{};

  Letter() {
    header.msg_iov = &part;
    header.msg_iovlen = 1;
    header.msg_control = enclosure.data();
    header.msg_controllen = enclosure.size();
  }
  Letter(const Letter&) = delete;
  Letter& operator=(const Letter&) = delete;
};

}  // namespace

tl::expected<DescriptorPost, std::string> DescriptorPost::open() {
  std::array<int, 2> ends{};
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0) {
    return tl::make_unexpected(fmt::format("cannot make a socket pair: {}", std::strerror(errno)));
  }
  return DescriptorPost(Descriptor{ends[0]}, Descriptor{ends[1]});
}

bool DescriptorPost::send(const Descriptor& file) const {
  Letter letter;
  cmsghdr* const enclosure = CMSG_FIRSTHDR(&letter.header);
  enclosure->cmsg_level = SOL_SOCKET;
  enclosure->cmsg_type = SCM_RIGHTS;
  enclosure->cmsg_len = CMSG_LEN(sizeof(int));
  const int number = file.number();
  std::memcpy(CMSG_DATA(enclosure), &number, sizeof number);
  return sendmsg(from_.number(), &letter.header, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0;
}

Descriptor DescriptorPost::receive() const {
  Letter letter;
  if (recvmsg(to_.number(), &letter.header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) < 0) return {};
  const cmsghdr* const enclosure = CMSG_FIRSTHDR(&letter.header);
  if (enclosure == nullptr || enclosure->cmsg_type != SCM_RIGHTS) return {};
  int number = -1;
  std::memcpy(&number, CMSG_DATA(enclosure), sizeof number);
  return Descriptor{number};
}

}  // namespace ftpalg::tools
