// SPDX-License-Identifier: GPL-2.0-or-later
// An NFQUEUE queue: packets come out of the kernel, verdicts go back.
#pragma once

#include <functional>
#include <string>
#include <tl/expected.hpp>
#include <vector>

#include "conntrack/netlink/netlink_socket.h"
#include "conntrack/verdict.h"

namespace ftpalg {

class PacketQueue {
 public:
  /// Packets that wait in the kernel at most. Past that they pass unseen (NFQA_CFG_F_FAIL_OPEN).
  static constexpr std::uint32_t packets_max = 8192;

  /// Takes the queue, which no other program may have. An error names the cause and the mend.
  static tl::expected<PacketQueue, std::string> open(std::uint16_t number);

  int descriptor() const { return socket_.descriptor(); }

  /// Decides what becomes of a packet, given from its IP header on.
  using Decide = std::function<Verdict(std::span<const std::uint8_t> packet)>;

  /// Takes what waits in the kernel, without blocking, and gives each packet its verdict. Returns
  /// how many, or an errno as a negative number: the queue is then of no more use.
  int serve(const Decide& decide);

  /// Packets that the kernel could not give us; they have passed unseen.
  std::uint64_t lost() const { return lost_; }

 private:
  PacketQueue(NetlinkSocket socket, std::uint16_t number);
  int configure();
  bool give_verdict(std::uint32_t packet_id, const Verdict& verdict);
  int serve_message(const nlmsghdr* message, const Decide& decide);

  NetlinkSocket socket_;
  std::uint16_t number_;
  std::uint64_t lost_ = 0;
  std::vector<char> received_;
  std::vector<char> answer_;
};

}  // namespace ftpalg
