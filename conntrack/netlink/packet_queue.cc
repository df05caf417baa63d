// SPDX-License-Identifier: GPL-2.0-or-later
#include "conntrack/netlink/packet_queue.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <libnetfilter_queue/libnetfilter_queue.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nfnetlink_queue.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>

namespace ftpalg {
namespace {

/// The largest packet with its netlink attributes around it.
constexpr std::size_t message_bytes_max = 0xffff + 4096;
/// So many that the room in bytes is always the first limit: the kernel numbers the packets that
/// find no room in it, but not those beyond this number, of which nobody would hear.
constexpr std::uint32_t packets_max = 1U << 30;
/// Of verdicts that leave together; another one fits in behind it.
constexpr std::size_t answer_bytes_max = std::size_t{64} * 1024;

void put_flag(nlmsghdr* message, std::uint32_t flag) {
  mnl_attr_put_u32(message, NFQA_CFG_FLAGS, htonl(flag));
  mnl_attr_put_u32(message, NFQA_CFG_MASK, htonl(flag));
}

/// The port id of the socket that a queue belongs to, in this thread's network namespace; 0 when
/// nobody has it, or nobody knows.
std::uint32_t owner_of(std::uint16_t number) {
  std::ifstream list("/proc/thread-self/net/netfilter/nfnetlink_queue");
  std::uint32_t queue = 0;
  std::uint32_t port_id = 0;
  for (std::string rest; list >> queue >> port_id && std::getline(list, rest);) {
    if (queue == number) return port_id;
  }
  return 0;
}

std::span<const std::uint8_t> payload_of(const nlattr* attribute) {
  if (attribute == nullptr) return {};
  return {static_cast<const std::uint8_t*>(mnl_attr_get_payload(attribute)),
          mnl_attr_get_payload_len(attribute)};
}

}  // namespace

PacketQueue::PacketQueue(NetlinkSocket socket, std::uint16_t number)
    : socket_(std::move(socket)),
      number_(number),
      buffer_(packets_per_turn * message_bytes_max),
      answer_(answer_bytes_max + message_bytes_max) {
  received_.reserve(packets_per_turn);
}

tl::expected<PacketQueue, std::string> PacketQueue::open(std::uint16_t number,
                                                         std::size_t room_bytes) {
  auto socket = NetlinkSocket::open();
  if (!socket) return tl::unexpected(socket.error());
  PacketQueue queue(std::move(*socket), number);
  switch (const int error = queue.configure(room_bytes)) {
    case 0:
      return queue;
    case EPERM:
      return tl::unexpected(
          fmt::format("no right to take queue {}: run as root, or grant CAP_NET_ADMIN", number));
    case EBUSY:
      return tl::unexpected(fmt::format(
          "queue {} is taken by another program, which 'ftpalg check' names; end it, or "
          "choose another queue with --queue, also for the rules",
          number));
    default:
      return tl::unexpected(
          fmt::format("cannot take queue {}: {}; the kernel needs CONFIG_NETFILTER_NETLINK_QUEUE "
                      "(modprobe nfnetlink_queue)",
                      number, std::strerror(error)));
  }
}

tl::expected<PacketQueue, std::string> PacketQueue::take_over(int descriptor, std::uint16_t number,
                                                              const Standing& standing) {
  auto socket = NetlinkSocket::take_over(descriptor);
  if (!socket) return tl::unexpected(socket.error());
  if (owner_of(number) != socket->port_id()) {
    return tl::unexpected(
        fmt::format("queue {} does not belong to the socket that was handed over for it", number));
  }
  PacketQueue queue(std::move(*socket), number);
  queue.tells_connections_ = standing.tells_connections;
  queue.last_packet_id_ = standing.last_packet_id.value_or(0);
  queue.knows_last_packet_id_ = standing.last_packet_id.has_value();
  return queue;
}

int PacketQueue::configure(std::size_t room_bytes) {
  NetlinkSocket::RequestBuffer buffer;
  nlmsghdr* bind = nfq_nlmsg_put(buffer.data(), NFQNL_MSG_CONFIG, number_);
  nfq_nlmsg_cfg_put_cmd(bind, AF_UNSPEC, NFQNL_CFG_CMD_BIND);
  if (const int error = socket_.transact(bind); error != 0) return error;

  nlmsghdr* parameters = nfq_nlmsg_put(buffer.data(), NFQNL_MSG_CONFIG, number_);
  nfq_nlmsg_cfg_put_params(parameters, NFQNL_COPY_PACKET, 0xffff);
  nfq_nlmsg_cfg_put_qmaxlen(parameters, packets_max);
  put_flag(parameters, NFQA_CFG_F_FAIL_OPEN);
  if (const int error = socket_.transact(parameters); error != 0) return error;

  // Refused where the kernel lacks CONFIG_NETFILTER_NETLINK_GLUE_CT. What it tells is only read: a
  // verdict that brought it back would have the kernel set sequence offsets by itself, for a second
  // time (kernel-facts 14).
  nlmsghdr* connections = nfq_nlmsg_put(buffer.data(), NFQNL_MSG_CONFIG, number_);
  put_flag(connections, NFQA_CFG_F_CONNTRACK);
  tells_connections_ = socket_.transact(connections) == 0;

  // Both may be refused; the defaults then serve, with less room for bursts. The kernel doubles
  // what it is asked for (socket(7)).
  const int half_of_room = static_cast<int>(room_bytes / 2);
  setsockopt(descriptor(), SOL_SOCKET, SO_RCVBUFFORCE, &half_of_room, sizeof half_of_room);
  const int on = 1;
  mnl_socket_setsockopt(socket_.get(), NETLINK_NO_ENOBUFS, const_cast<int*>(&on), sizeof on);
  return 0;
}

int PacketQueue::receive() {
  std::array<iovec, packets_per_turn> places;
  std::array<mmsghdr, packets_per_turn> headers{};
  for (std::size_t at = 0; at < packets_per_turn; ++at) {
    places[at] = {buffer_.data() + at * message_bytes_max, message_bytes_max};
    headers[at].msg_hdr.msg_iov = &places[at];
    headers[at].msg_hdr.msg_iovlen = 1;
  }
  received_.clear();
  const int count = recvmmsg(descriptor(), headers.data(), headers.size(), MSG_WAITFORONE, nullptr);
  if (count < 0) {
    const bool goes_on =
        errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR || errno == ENOBUFS;
    return goes_on ? 0 : errno;
  }
  for (std::size_t at = 0; at < static_cast<std::size_t>(count); ++at) {
    if ((headers[at].msg_hdr.msg_flags & MSG_TRUNC) != 0) continue;
    received_.emplace_back(static_cast<const char*>(places[at].iov_base), headers[at].msg_len);
  }
  return 0;
}

/// Nothing where it is no packet: the kernel's complaint about a verdict, or what wake() sent. The
/// kernel puts each packet into a message of its own.
std::optional<QueuedPacket> PacketQueue::read(Message message) {
  const auto* header = reinterpret_cast<const nlmsghdr*>(message.data());
  if (!mnl_nlmsg_ok(header, static_cast<int>(message.size())) ||
      header->nlmsg_type != (NFNL_SUBSYS_QUEUE << 8 | NFQNL_MSG_PACKET)) {
    return std::nullopt;
  }
  std::array<nlattr*, NFQA_MAX + 1> attributes{};
  if (nfq_nlmsg_parse(header, attributes.data()) < 0 || attributes[NFQA_PACKET_HDR] == nullptr) {
    return std::nullopt;
  }
  const auto* packet =
      static_cast<const nfqnl_msg_packet_hdr*>(mnl_attr_get_payload(attributes[NFQA_PACKET_HDR]));
  note_number(ntohl(packet->packet_id));
  return QueuedPacket{ntohl(packet->packet_id), payload_of(attributes[NFQA_PAYLOAD]),
                      payload_of(attributes[NFQA_CT])};
}

/// The kernel numbers packets from 1 on, in the order in which it gives them to us.
void PacketQueue::note_number(std::uint32_t packet_id) {
  if (knows_last_packet_id_) {
    lost_ += packet_id - last_packet_id_ - 1;
  } else {
    drop_until(packet_id - 1);
    knows_last_packet_id_ = true;
  }
  last_packet_id_ = packet_id;
}

bool PacketQueue::drop_unanswered(std::uint32_t packet_id) {
  NetlinkSocket::RequestBuffer buffer;
  nlmsghdr* message = nfq_nlmsg_put(buffer.data(), NFQNL_MSG_VERDICT, number_);
  nfq_nlmsg_verdict_put(message, static_cast<int>(packet_id), NF_DROP);
  return socket_.transact(message) == 0;
}

/// What nobody has answered up to there. Whether there was any the kernel does not tell.
void PacketQueue::drop_until(std::uint32_t packet_id) {
  put_batch(packet_id, NF_DROP);
}

/// For every packet up to that number that has no verdict yet.
void PacketQueue::put_batch(std::uint32_t packet_id, int verdict) {
  nlmsghdr* message =
      nfq_nlmsg_put(answer_.data() + answer_bytes_, NFQNL_MSG_VERDICT_BATCH, number_);
  nfq_nlmsg_verdict_put(message, static_cast<int>(packet_id), verdict);
  answer_bytes_ += NLMSG_ALIGN(message->nlmsg_len);
}

void PacketQueue::put_verdict(std::uint32_t packet_id, const Verdict& verdict) {
  if (verdict.action == Verdict::Action::accept) {
    accepted_ = packet_id;
    return;
  }
  put_accepted();
  if (answer_bytes_ > answer_bytes_max) send_verdicts();
  nlmsghdr* message = nfq_nlmsg_put(answer_.data() + answer_bytes_, NFQNL_MSG_VERDICT, number_);
  nfq_nlmsg_verdict_put(message, static_cast<int>(packet_id),
                        verdict.action == Verdict::Action::drop ? NF_DROP : NF_ACCEPT);
  if (verdict.action == Verdict::Action::replace) {
    nfq_nlmsg_verdict_put_pkt(message, verdict.packet.data(),
                              static_cast<std::uint32_t>(verdict.packet.size()));
  }
  answer_bytes_ += NLMSG_ALIGN(message->nlmsg_len);
}

/// One verdict for a run of packets: those before it have theirs.
void PacketQueue::put_accepted() {
  if (accepted_) put_batch(*accepted_, NF_ACCEPT);
  accepted_.reset();
}

void PacketQueue::send_verdicts() {
  put_accepted();
  if (answer_bytes_ > 0) mnl_socket_sendto(socket_.get(), answer_.data(), answer_bytes_);
  answer_bytes_ = 0;
}

void PacketQueue::wake() const {
  nlmsghdr nothing{};
  nothing.nlmsg_len = sizeof nothing;
  nothing.nlmsg_type = NLMSG_NOOP;
  sockaddr_nl itself{};
  itself.nl_family = AF_NETLINK;
  itself.nl_pid = socket_.port_id();
  // Where there is no room for it, packets wait and receive() does not.
  sendto(descriptor(), &nothing, sizeof nothing, MSG_DONTWAIT,
         reinterpret_cast<const sockaddr*>(&itself), sizeof itself);
}

}  // namespace ftpalg
