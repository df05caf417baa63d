// SPDX-License-Identifier: GPL-2.0-or-later
// accept_only QUEUE...: the floor of NFQUEUE. Takes one packet and lets it pass, and again: one
// recv, one send, and nothing in between. Queues after the first have a thread each.
#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <libnetfilter_queue/libnetfilter_queue.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nfnetlink_queue.h>
#include <sys/socket.h>

#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

namespace {

constexpr std::size_t message_bytes_max = 0xffff + 4096;
constexpr int room_bytes = 16 * 1024 * 1024;

[[noreturn]] void fail(const char* what) {
  std::perror(what);
  std::exit(EXIT_FAILURE);
}

void serve(std::uint16_t queue) {
  mnl_socket* socket = mnl_socket_open(NETLINK_NETFILTER);
  if (socket == nullptr || mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) < 0) fail("netlink");
  std::vector<char> buffer(message_bytes_max);

  nlmsghdr* request = nfq_nlmsg_put(buffer.data(), NFQNL_MSG_CONFIG, queue);
  nfq_nlmsg_cfg_put_cmd(request, AF_UNSPEC, NFQNL_CFG_CMD_BIND);
  if (mnl_socket_sendto(socket, request, request->nlmsg_len) < 0) fail("bind");
  request = nfq_nlmsg_put(buffer.data(), NFQNL_MSG_CONFIG, queue);
  nfq_nlmsg_cfg_put_params(request, NFQNL_COPY_PACKET, 0xffff);
  nfq_nlmsg_cfg_put_qmaxlen(request, 1U << 20);
  mnl_attr_put_u32(request, NFQA_CFG_FLAGS, htonl(NFQA_CFG_F_FAIL_OPEN));
  mnl_attr_put_u32(request, NFQA_CFG_MASK, htonl(NFQA_CFG_F_FAIL_OPEN));
  if (mnl_socket_sendto(socket, request, request->nlmsg_len) < 0) fail("parameters");
  setsockopt(mnl_socket_get_fd(socket), SOL_SOCKET, SO_RCVBUFFORCE, &room_bytes, sizeof room_bytes);
  std::printf("ready on queue %u\n", unsigned{queue});
  std::fflush(stdout);

  std::array<char, 256> answer;
  for (;;) {
    const ssize_t bytes = mnl_socket_recvfrom(socket, buffer.data(), buffer.size());
    if (bytes < 0) continue;
    const auto* message = reinterpret_cast<const nlmsghdr*>(buffer.data());
    std::array<nlattr*, NFQA_MAX + 1> attributes{};
    if (message->nlmsg_type != (NFNL_SUBSYS_QUEUE << 8 | NFQNL_MSG_PACKET) ||
        nfq_nlmsg_parse(message, attributes.data()) < 0 || attributes[NFQA_PACKET_HDR] == nullptr) {
      continue;
    }
    const auto* header =
        static_cast<const nfqnl_msg_packet_hdr*>(mnl_attr_get_payload(attributes[NFQA_PACKET_HDR]));
    nlmsghdr* verdict = nfq_nlmsg_put(answer.data(), NFQNL_MSG_VERDICT, queue);
    nfq_nlmsg_verdict_put(verdict, static_cast<int>(ntohl(header->packet_id)), NF_ACCEPT);
    if (mnl_socket_sendto(socket, verdict, verdict->nlmsg_len) < 0) fail("verdict");
  }
}

}  // namespace

int main(int count, char** words) {
  if (count < 2) {
    std::fprintf(stderr, "usage: accept_only QUEUE...\n");
    return EXIT_FAILURE;
  }
  std::vector<std::thread> threads;
  for (int word = 1; word < count; ++word) {
    threads.emplace_back(serve, static_cast<std::uint16_t>(std::stoul(words[word])));
  }
  for (auto& thread : threads) thread.join();
}
