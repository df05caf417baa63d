// SPDX-License-Identifier: GPL-2.0-or-later
#include "conntrack/netlink/connection_events.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <libnetfilter_conntrack/libnetfilter_conntrack_tcp.h>
#include <linux/filter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "conntrack/netlink/conntrack_object.h"

namespace ftpalg {
namespace {

/// Of the socket for news. A message is 300 bytes, and the kernel counts thrice as much for it.
constexpr int news_bytes_max = 4 << 20;
/// What is taken at once.
constexpr int messages_max = 512;

constexpr std::uint16_t type_of(std::uint8_t message) {
  return static_cast<std::uint16_t>(NFNL_SUBSYS_CTNETLINK << 8 | message);
}

constexpr sock_filter statement(int code, std::uint32_t operand) {
  return {static_cast<std::uint16_t>(code), 0, 0, operand};
}

constexpr sock_filter jump(int code, std::uint32_t operand, std::uint8_t if_true,
                           std::uint8_t if_false) {
  return {static_cast<std::uint16_t>(code), if_true, if_false, operand};
}

/// Lets by what is about a connection that was expected: a beginning that names its master, and an
/// end that says so in its status.
int let_by_expected(const NetlinkSocket& socket) {
  constexpr std::uint32_t type_at = offsetof(nlmsghdr, nlmsg_type);
  constexpr std::uint32_t attributes_at = sizeof(nlmsghdr) + sizeof(nfgenmsg);
  constexpr auto find_attribute = static_cast<std::uint32_t>(SKF_AD_OFF + SKF_AD_NLATTR);
  constexpr std::uint32_t all = 0xffffffff;
  // The filter reads in network order, and types are in the host's.
  const std::uint32_t end_type = htons(type_of(IPCTNL_MSG_CT_DELETE));
  std::array program{
      statement(BPF_LD | BPF_H | BPF_ABS, type_at),
      jump(BPF_JMP | BPF_JEQ | BPF_K, end_type, 4, 0),
      // A beginning: is there a master? The jump behind it leads to the last question.
      statement(BPF_LD | BPF_IMM, attributes_at),
      statement(BPF_LDX | BPF_IMM, CTA_TUPLE_MASTER),
      statement(BPF_LD | BPF_W | BPF_ABS, find_attribute),
      statement(BPF_JMP | BPF_JA, 6),
      // An end: was it expected?
      statement(BPF_LD | BPF_IMM, attributes_at),
      statement(BPF_LDX | BPF_IMM, CTA_STATUS),
      statement(BPF_LD | BPF_W | BPF_ABS, find_attribute),
      statement(BPF_MISC | BPF_TAX, 0),
      statement(BPF_LD | BPF_W | BPF_IND, sizeof(nlattr)),
      statement(BPF_ALU | BPF_AND | BPF_K, IPS_EXPECTED),
      jump(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1),
      statement(BPF_RET | BPF_K, 0),
      statement(BPF_RET | BPF_K, all),
  };
  const sock_fprog filter{static_cast<std::uint16_t>(program.size()), program.data()};
  return setsockopt(socket.descriptor(), SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter);
}

Progress::Stage stage_of(const nf_conntrack* entry) {
  // At its end an entry may have lost its state.
  if (nfct_attr_is_set(entry, ATTR_TCP_STATE) <= 0) return Progress::Stage::ended;
  switch (nfct_get_attr_u8(entry, ATTR_TCP_STATE)) {
    case TCP_CONNTRACK_NONE:
    case TCP_CONNTRACK_SYN_SENT:
    case TCP_CONNTRACK_SYN_SENT2:
    case TCP_CONNTRACK_SYN_RECV:
      return Progress::Stage::opening;
    case TCP_CONNTRACK_TIME_WAIT:
    case TCP_CONNTRACK_CLOSE:
      return Progress::Stage::ended;
    default:
      return Progress::Stage::open;
  }
}

std::optional<BothTraffic> traffic_of(const nf_conntrack* entry) {
  if (nfct_attr_is_set(entry, ATTR_ORIG_COUNTER_PACKETS) <= 0 ||
      nfct_attr_is_set(entry, ATTR_REPL_COUNTER_PACKETS) <= 0) {
    return std::nullopt;
  }
  return BothTraffic{Traffic{nfct_get_attr_u64(entry, ATTR_ORIG_COUNTER_PACKETS),
                             nfct_get_attr_u64(entry, ATTR_ORIG_COUNTER_BYTES)},
                     Traffic{nfct_get_attr_u64(entry, ATTR_REPL_COUNTER_PACKETS),
                             nfct_get_attr_u64(entry, ATTR_REPL_COUNTER_BYTES)}};
}

Progress progress_of(const nf_conntrack* entry) {
  const std::uint32_t status = nfct_get_attr_u32(entry, ATTR_STATUS);
  return {stage_of(entry), (status & IPS_ASSURED) != 0, traffic_of(entry)};
}

/// Nothing where it is not of TCP, or not told of whole.
ConntrackObject parsed(const nlmsghdr* message) {
  ConntrackObject entry(nfct_new());
  if (nfct_nlmsg_parse(message, entry.get()) < 0 ||
      nfct_attr_is_set(entry.get(), ATTR_ORIG_L4PROTO) <= 0 ||
      nfct_get_attr_u8(entry.get(), ATTR_ORIG_L4PROTO) != IPPROTO_TCP ||
      nfct_attr_is_set(entry.get(), ATTR_ID) <= 0) {
    return nullptr;
  }
  return entry;
}

std::uint32_t id_of(const nf_conntrack* entry) {
  return nfct_get_attr_u32(entry, ATTR_ID);
}

/// Nothing of a connection that has no master.
std::optional<RelatedConnection> related_connection(const nf_conntrack* entry) {
  if (nfct_attr_is_set(entry, ATTR_MASTER_PORT_SRC) <= 0) return std::nullopt;
  const std::uint16_t zone = nfct_attr_is_set(entry, ATTR_ZONE) > 0
                                 ? nfct_get_attr_u16(entry, ATTR_ZONE)
                                 : std::uint16_t{0};
  return RelatedConnection{id_of(entry), read_original_of_master(entry), zone, read_original(entry),
                           read_reply(entry)};
}

int note(const nlmsghdr* message, void* data) {
  auto& news = *static_cast<ConnectionNews*>(data);
  const ConntrackObject entry = parsed(message);
  if (!entry) return MNL_CB_OK;
  if (message->nlmsg_type == type_of(IPCTNL_MSG_CT_DELETE)) {
    Progress last = progress_of(entry.get());
    last.stage = Progress::Stage::ended;
    news.gone.push_back({id_of(entry.get()), read_original(entry.get()), last});
  } else if (auto connection = related_connection(entry.get())) {
    news.begun.push_back(*connection);
  }
  return MNL_CB_OK;
}

std::string cannot_listen() {
  return fmt::format("cannot listen to conntrack's events: {}", std::strerror(errno));
}

}  // namespace

tl::expected<ConnectionEvents, std::string> ConnectionEvents::open() {
  auto news = NetlinkSocket::open();
  if (!news) return tl::unexpected(news.error());
  auto questions = NetlinkSocket::open();
  if (!questions) return tl::unexpected(questions.error());

  // Without the right to more than others have, it has as much as they.
  if (setsockopt(news->descriptor(), SOL_SOCKET, SO_RCVBUFFORCE, &news_bytes_max,
                 sizeof news_bytes_max) != 0) {
    setsockopt(news->descriptor(), SOL_SOCKET, SO_RCVBUF, &news_bytes_max, sizeof news_bytes_max);
  }
  if (let_by_expected(*news) != 0) return tl::unexpected(cannot_listen());
  for (int group : {NFNLGRP_CONNTRACK_NEW, NFNLGRP_CONNTRACK_DESTROY}) {
    if (mnl_socket_setsockopt(news->get(), NETLINK_ADD_MEMBERSHIP, &group, sizeof group) != 0) {
      return tl::unexpected(cannot_listen());
    }
  }
  return ConnectionEvents(std::move(*news), std::move(*questions));
}

ConnectionNews ConnectionEvents::take() {
  ConnectionNews news;
  alignas(nlmsghdr) std::array<char, 8192> buffer;
  for (int message = 0; message < messages_max; ++message) {
    const ssize_t bytes = recv(news_.descriptor(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (bytes >= 0) {
      mnl_cb_run(buffer.data(), static_cast<std::size_t>(bytes), 0, 0, note, &news);
    } else if (errno == ENOBUFS) {
      news.has_gaps = true;
    } else if (errno != EINTR) {
      break;
    }
  }
  return news;
}

std::optional<Progress> ConnectionEvents::look(const RelatedConnection& connection) {
  NetlinkSocket::RequestBuffer buffer;
  nlmsghdr* message = begin_message(buffer, NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_GET, 0,
                                    protocol_family(connection.original.source.address));
  nfct_nlmsg_build(message, object_with(connection.original, connection.zone).get());
  std::optional<Progress> progress;
  questions_.transact(message, [&](const nlmsghdr* answer) {
    const ConntrackObject entry = parsed(answer);
    // Another may have the same addresses and ports by now.
    if (entry && id_of(entry.get()) == connection.id) progress = progress_of(entry.get());
  });
  return progress;
}

tl::expected<std::vector<RelatedConnection>, int> ConnectionEvents::list() {
  NetlinkSocket::RequestBuffer buffer;
  nlmsghdr* message =
      begin_message(buffer, NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_GET, NLM_F_DUMP, AF_UNSPEC);
  // Old kernels do not know the condition, and list all.
  mnl_attr_put_u32(message, CTA_STATUS, htonl(IPS_EXPECTED));
  mnl_attr_put_u32(message, CTA_STATUS_MASK, htonl(IPS_EXPECTED));
  std::vector<RelatedConnection> connections;
  const int error = questions_.transact(message, [&](const nlmsghdr* answer) {
    const ConntrackObject entry = parsed(answer);
    if (!entry) return;
    if (auto connection = related_connection(entry.get())) {
      connections.push_back(*connection);
    }
  });
  if (error != 0) return tl::unexpected(error);
  return connections;
}

}  // namespace ftpalg
