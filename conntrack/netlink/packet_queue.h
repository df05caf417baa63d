// SPDX-License-Identifier: GPL-2.0-or-later
// An NFQUEUE queue: packets come out of the kernel, verdicts go back.
#pragma once

#include <sys/socket.h>

#include <optional>
#include <span>
#include <string>
#include <tl/expected.hpp>
#include <vector>

#include "conntrack/netlink/netlink_socket.h"
#include "conntrack/verdict.h"

namespace ftpalg {

/// What the kernel hands out; valid until packets are received again.
struct QueuedPacket {
  std::uint32_t id = 0;                 ///< the kernel's number for it
  std::span<const std::uint8_t> bytes;  ///< from the IP header on
  /// The connection's attributes as conntrack has them (NFQA_CT), for master_of(). Empty where the
  /// kernel does not tell.
  std::span<const std::uint8_t> connection;
};

class PacketQueue {
 public:
  /// Room in the kernel for packets on their way to us: some 20000 small ones.
  static constexpr std::size_t default_room_bytes = std::size_t{16} * 1024 * 1024;

  /// Takes the queue, which no other program may have. When `room_bytes` are full, packets pass
  /// unseen (NFQA_CFG_F_FAIL_OPEN). An error names the cause and the mend.
  static tl::expected<PacketQueue, std::string> open(std::uint16_t number,
                                                     std::size_t room_bytes = default_room_bytes);

  /// Goes on with a queue that another process has taken and reads no more: an NFQUEUE queue
  /// belongs to its netlink socket, and whoever has a descriptor of that has the queue.
  /// `descriptor` belongs to this one from now on.
  struct Standing {
    bool tells_connections = false;
    /// Of the last packet that was answered. Nothing when nobody knows, because the other was
    /// killed: the first packet then shows which ones it had read and not answered. They are
    /// dropped, for their senders to send again, since nobody can read them a second time.
    std::optional<std::uint32_t> last_packet_id;
  };
  static tl::expected<PacketQueue, std::string> take_over(int descriptor, std::uint16_t number,
                                                          const Standing& standing);
  /// As it stands when all that was received is answered.
  Standing standing() const { return {tells_connections_, last_packet_id_}; }
  /// Drops a packet that another process has read. Returns whether it had not been answered. To be
  /// called before receive(): packets that come meanwhile are lost, and come again.
  bool drop_unanswered(std::uint32_t packet_id);

  /// Whether the kernel tells of the connection with each packet.
  bool tells_connections() const { return tells_connections_; }

  std::uint16_t number() const { return number_; }
  int descriptor() const { return socket_.descriptor(); }

  /// Takes the packets that are there, up to packets_per_turn. Where none is, waits for one, or
  /// until wake() is called or a second is over. Returns 0, or an errno: the queue is of no more
  /// use then.
  int receive();

  /// Gives each packet that was received the verdict that decide(packet) returns for it. They all
  /// leave together and in order, once the last is decided upon.
  template <typename Decide>
  void answer(Decide decide) {
    for (const auto& message : received_) {
      if (const auto packet = read(message)) put_verdict(packet->id, decide(*packet));
    }
    send_verdicts();
  }

  /// Has receive() return, which another thread is in.
  void wake() const;

  /// Packets that have passed unseen, for want of room, until the last one that was served.
  std::uint64_t lost() const { return lost_; }

 private:
  static constexpr std::size_t packets_per_turn = 32;

  /// A message's place in buffer_.
  using Message = std::span<const char>;

  PacketQueue(NetlinkSocket socket, std::uint16_t number);
  int configure(std::size_t room_bytes);
  void note_number(std::uint32_t packet_id);
  void drop_until(std::uint32_t packet_id);
  void put_batch(std::uint32_t packet_id, int verdict);
  std::optional<QueuedPacket> read(Message message);
  void put_verdict(std::uint32_t packet_id, const Verdict& verdict);
  void put_accepted();
  void send_verdicts();

  NetlinkSocket socket_;
  std::uint16_t number_;
  bool tells_connections_ = false;
  std::uint32_t last_packet_id_ = 0;
  bool knows_last_packet_id_ = true;
  std::uint64_t lost_ = 0;
  std::vector<char> buffer_;  ///< an equal part for each packet of a turn
  std::vector<Message> received_;
  std::vector<char> answer_;
  std::size_t answer_bytes_ = 0;
  /// The last of the packets that are to pass, and of which answer_ does not tell yet.
  std::optional<std::uint32_t> accepted_;
};

}  // namespace ftpalg
