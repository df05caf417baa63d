// SPDX-License-Identifier: GPL-2.0-or-later
#include "conntrack/netlink/probe.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netfilter/nfnetlink_queue.h>
#include <sched.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <optional>
#include <thread>

#include "conntrack/master.h"
#include "conntrack/tuple.h"

namespace ftpalg {
namespace {

constexpr std::uint32_t entry_timeout_s = 30;
constexpr std::uint16_t any_queue = 21;  // every number is free in a new namespace
constexpr SequenceOffset sample_offset{1000, 3, -7};

struct CloseSocket {
  void operator()(mnl_socket* socket) const { mnl_socket_close(socket); }
};
using Socket = std::unique_ptr<mnl_socket, CloseSocket>;

tl::expected<Socket, std::string> open_netfilter_socket() {
  Socket socket{mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC)};
  if (!socket || mnl_socket_bind(socket.get(), 0, MNL_SOCKET_AUTOPID) < 0) {
    return tl::make_unexpected(
        fmt::format("cannot open a netfilter netlink socket: {}", std::strerror(errno)));
  }
  return socket;
}

// A message in the making. `subsystem` and `message` as in nfnetlink.
class Request {
 public:
  Request(unsigned subsystem, unsigned message, unsigned flags, Family family,
          std::uint16_t resource = 0) {
    header_ = mnl_nlmsg_put_header(buffer_.data());
    header_->nlmsg_type = static_cast<std::uint16_t>((subsystem << 8) | message);
    header_->nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | NLM_F_ACK | flags);
    header_->nlmsg_seq = 1;
    auto* netfilter = static_cast<nfgenmsg*>(mnl_nlmsg_put_extra_header(header_, sizeof(nfgenmsg)));
    netfilter->nfgen_family = family == Family::ipv4 ? AF_INET : AF_INET6;
    netfilter->version = NFNETLINK_V0;
    netfilter->res_id = htons(resource);
  }

  nlmsghdr* header() { return header_; }

 private:
  alignas(NLMSG_ALIGNTO) std::array<char, 4096> buffer_{};
  nlmsghdr* header_ = nullptr;
};

// Sends the request and reads until its acknowledgement; `each` sees what comes before that.
Ability exchange(mnl_socket* socket, Request& request, mnl_cb_t each = nullptr,
                 void* data = nullptr) {
  const auto failed = [] { return tl::make_unexpected(std::string{std::strerror(errno)}); };
  if (mnl_socket_sendto(socket, request.header(), request.header()->nlmsg_len) < 0) return failed();
  alignas(NLMSG_ALIGNTO) std::array<char, 16384> answer;
  int more = MNL_CB_OK;
  while (more > MNL_CB_STOP) {
    const ssize_t size = mnl_socket_recvfrom(socket, answer.data(), answer.size());
    if (size < 0) return failed();
    more = mnl_cb_run(answer.data(), static_cast<std::size_t>(size), 1,
                      mnl_socket_get_portid(socket), each, data);
  }
  if (more == MNL_CB_ERROR) return failed();
  return {};
}

void put_address(nlmsghdr* header, std::uint16_t type, const Address& address) {
  mnl_attr_put(header, type, address.size(), address.bytes().data());
}

void put_tuple(nlmsghdr* header, std::uint16_t type, const Tuple& tuple) {
  const bool ipv4 = tuple.source.address.family() == Family::ipv4;
  nlattr* const whole = mnl_attr_nest_start(header, type);
  nlattr* const addresses = mnl_attr_nest_start(header, CTA_TUPLE_IP);
  put_address(header, ipv4 ? CTA_IP_V4_SRC : CTA_IP_V6_SRC, tuple.source.address);
  put_address(header, ipv4 ? CTA_IP_V4_DST : CTA_IP_V6_DST, tuple.destination.address);
  mnl_attr_nest_end(header, addresses);
  nlattr* const protocol = mnl_attr_nest_start(header, CTA_TUPLE_PROTO);
  mnl_attr_put_u8(header, CTA_PROTO_NUM, IPPROTO_TCP);
  mnl_attr_put_u16(header, CTA_PROTO_SRC_PORT, htons(tuple.source.port.number));
  mnl_attr_put_u16(header, CTA_PROTO_DST_PORT, htons(tuple.destination.port.number));
  mnl_attr_nest_end(header, protocol);
  mnl_attr_nest_end(header, whole);
}

// A control connection between addresses that no network has, source-NATed.
struct SampleConnection {
  Tuple original;
  Address translated_source;
};

SampleConnection sample_connection(Family family) {
  const auto endpoint = [](std::string_view address, std::uint16_t port) {
    return Endpoint{*Address::parse(address), Port{port}};
  };
  if (family == Family::ipv4) {
    return {{endpoint("192.0.2.1", 40000), endpoint("198.51.100.1", 21)},
            *Address::parse("203.0.113.1")};
  }
  return {{endpoint("2001:db8:1::1", 40000), endpoint("2001:db8:2::1", 21)},
          *Address::parse("2001:db8:3::1")};
}

// With an empty carrier the connection gets no helper.
Ability create_connection(mnl_socket* socket, const SampleConnection& connection,
                          const std::string& carrier) {
  const Family family = connection.original.source.address.family();
  Request request{NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_NEW, NLM_F_CREATE | NLM_F_EXCL, family};
  nlmsghdr* const header = request.header();
  put_tuple(header, CTA_TUPLE_ORIG, connection.original);
  put_tuple(header, CTA_TUPLE_REPLY, connection.original.reversed());
  mnl_attr_put_u32(header, CTA_TIMEOUT, htonl(entry_timeout_s));

  nlattr* const protocol = mnl_attr_nest_start(header, CTA_PROTOINFO);
  nlattr* const tcp = mnl_attr_nest_start(header, CTA_PROTOINFO_TCP);
  mnl_attr_put_u8(header, CTA_PROTOINFO_TCP_STATE, TCP_CONNTRACK_ESTABLISHED);
  mnl_attr_nest_end(header, tcp);
  mnl_attr_nest_end(header, protocol);

  if (!carrier.empty()) {
    nlattr* const helper = mnl_attr_nest_start(header, CTA_HELP);
    mnl_attr_put_strz(header, CTA_HELP_NAME, carrier.c_str());
    mnl_attr_nest_end(header, helper);
  }
  nlattr* const nat = mnl_attr_nest_start(header, CTA_NAT_SRC);
  const bool ipv4 = family == Family::ipv4;
  put_address(header, ipv4 ? CTA_NAT_V4_MINIP : CTA_NAT_V6_MINIP, connection.translated_source);
  put_address(header, ipv4 ? CTA_NAT_V4_MAXIP : CTA_NAT_V6_MAXIP, connection.translated_source);
  mnl_attr_nest_end(header, nat);
  return exchange(socket, request);
}

Ability delete_connection(mnl_socket* socket, const SampleConnection& connection) {
  Request request{NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_DELETE, 0,
                  connection.original.source.address.family()};
  put_tuple(request.header(), CTA_TUPLE_ORIG, connection.original);
  return exchange(socket, request);
}

Ability set_offset(mnl_socket* socket, const SampleConnection& connection,
                   const SequenceOffset& offset) {
  Request request{NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_NEW, 0,
                  connection.original.source.address.family()};
  nlmsghdr* const header = request.header();
  put_tuple(header, CTA_TUPLE_ORIG, connection.original);
  nlattr* const adjustment = mnl_attr_nest_start(header, CTA_SEQ_ADJ_ORIG);
  mnl_attr_put_u32(header, CTA_SEQADJ_CORRECTION_POS, htonl(offset.position));
  mnl_attr_put_u32(header, CTA_SEQADJ_OFFSET_BEFORE,
                   htonl(static_cast<std::uint32_t>(offset.before)));
  mnl_attr_put_u32(header, CTA_SEQADJ_OFFSET_AFTER,
                   htonl(static_cast<std::uint32_t>(offset.after)));
  mnl_attr_nest_end(header, adjustment);
  return exchange(socket, request);
}

std::uint32_t host_u32(const nlattr* attribute) {
  return ntohl(mnl_attr_get_u32(attribute));
}

// libmnl's loops over attributes are macros for C; its callbacks do the same.
int read_field(const nlattr* field, void* data) {
  auto& offset = *static_cast<SequenceOffset*>(data);
  switch (mnl_attr_get_type(field)) {
    case CTA_SEQADJ_CORRECTION_POS:
      offset.position = host_u32(field);
      break;
    case CTA_SEQADJ_OFFSET_BEFORE:
      offset.before = static_cast<std::int32_t>(host_u32(field));
      break;
    case CTA_SEQADJ_OFFSET_AFTER:
      offset.after = static_cast<std::int32_t>(host_u32(field));
      break;
    default:
      break;
  }
  return MNL_CB_OK;
}

int read_attribute(const nlattr* attribute, void* data) {
  if (mnl_attr_get_type(attribute) != CTA_SEQ_ADJ_ORIG) return MNL_CB_OK;
  auto& offset = *static_cast<std::optional<SequenceOffset>*>(data);
  return mnl_attr_parse_nested(attribute, read_field, &offset.emplace());
}

int read_entry(const nlmsghdr* header, void* data) {
  return mnl_attr_parse(header, sizeof(nfgenmsg), read_attribute, data);
}

// The offset in the connection's entry, if conntrack keeps one for it.
tl::expected<std::optional<SequenceOffset>, std::string> find_offset(
    mnl_socket* socket, const SampleConnection& connection) {
  Request request{NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_GET, 0,
                  connection.original.source.address.family()};
  put_tuple(request.header(), CTA_TUPLE_ORIG, connection.original);
  std::optional<SequenceOffset> offset;
  return exchange(socket, request, read_entry, &offset).map([&] { return offset; });
}

Address all_ones(Family family) {
  const std::array<std::uint8_t, 16> bytes = [] {
    std::array<std::uint8_t, 16> ones{};
    ones.fill(0xff);
    return ones;
  }();
  return *Address::from_bytes(std::span{bytes}.first(family == Family::ipv4 ? 4 : 16));
}

// What PORT would need: the server connects to the translated address and reaches the client.
Ability add_expectation(mnl_socket* socket, const SampleConnection& connection) {
  const Address& server = connection.original.destination.address;
  const Family family = server.family();
  const Address ones = all_ones(family);
  const Tuple expected{{server, Port{0}}, {connection.translated_source, Port{2000}}};
  const Tuple real{{connection.original.source.address, Port{2000}}, {server, Port{0}}};
  const Tuple mask{{ones, Port{0}}, {ones, Port{0xffff}}};
  constexpr std::uint32_t reply_direction = 1;

  Request request{NFNL_SUBSYS_CTNETLINK_EXP, IPCTNL_MSG_EXP_NEW, NLM_F_CREATE | NLM_F_EXCL, family};
  nlmsghdr* const header = request.header();
  put_tuple(header, CTA_EXPECT_MASTER, connection.original);
  put_tuple(header, CTA_EXPECT_TUPLE, expected);
  put_tuple(header, CTA_EXPECT_MASK, mask);
  mnl_attr_put_u32(header, CTA_EXPECT_TIMEOUT, htonl(entry_timeout_s));
  nlattr* const nat = mnl_attr_nest_start(header, CTA_EXPECT_NAT);
  mnl_attr_put_u32(header, CTA_EXPECT_NAT_DIR, htonl(reply_direction));
  put_tuple(header, CTA_EXPECT_NAT_TUPLE, real);
  mnl_attr_nest_end(header, nat);
  mnl_attr_put_strz(header, CTA_EXPECT_FN, "nat-follow-master");
  return exchange(socket, request);
}

Ability because(std::string_view what, const std::string& cause) {
  return tl::make_unexpected(fmt::format("{}: {}", what, cause));
}

Ability probe_offsets(mnl_socket* socket, const SampleConnection& connection) {
  if (const auto set = set_offset(socket, connection, sample_offset); !set) {
    return because("conntrack refuses sequence offsets", set.error());
  }
  const auto found = find_offset(socket, connection);
  if (!found) return because("the entry cannot be read back", found.error());
  // Without the seqadj extension the request succeeds and changes nothing.
  if (*found != sample_offset) {
    return tl::make_unexpected(
        std::string{"conntrack took sequence offsets and did not keep them"});
  }
  return {};
}

FamilyAbilities probe_family(mnl_socket* socket, Family family, const std::string& carrier) {
  const SampleConnection connection = sample_connection(family);
  const auto created = create_connection(socket, connection, carrier);
  if (!created) {
    // The kernel's own words are "Operation not supported"; where it is not the helper, a
    // connection without one fails too.
    const bool needs_carrier = create_connection(socket, connection, {}).has_value();
    const Ability no_carrier =
        needs_carrier
            ? because(fmt::format("this kernel has no conntrack helper '{}' for {}", carrier,
                                  family == Family::ipv4 ? "IPv4" : "IPv6"),
                      created.error())
            : because("a NATed connection with a helper cannot be created", created.error());
    const Ability not_tried = tl::make_unexpected(std::string{"needs the carrier"});
    return {no_carrier, not_tried, not_tried};
  }
  FamilyAbilities abilities;
  abilities.offsets = probe_offsets(socket, connection);
  if (const auto added = add_expectation(socket, connection); !added) {
    abilities.expectation = because("conntrack refuses an expectation", added.error());
  }
  static_cast<void>(delete_connection(socket, connection));
  return abilities;
}

Ability probe_ctnetlink(mnl_socket* socket) {
  const SampleConnection connection = sample_connection(Family::ipv4);
  if (const auto created = create_connection(socket, connection, {}); !created) {
    return because("conntrack entries cannot be created", created.error());
  }
  if (const auto found = find_offset(socket, connection); !found) {
    return because("conntrack entries cannot be read", found.error());
  }
  return delete_connection(socket, connection);
}

Ability probe_queue() {
  const auto socket = open_netfilter_socket();
  if (!socket) return tl::make_unexpected(socket.error());
  Request bind{NFNL_SUBSYS_QUEUE, NFQNL_MSG_CONFIG, 0, Family::ipv4, any_queue};
  nfqnl_msg_config_cmd command{};
  command.command = NFQNL_CFG_CMD_BIND;
  mnl_attr_put(bind.header(), NFQA_CFG_CMD, sizeof(command), &command);
  if (const auto bound = exchange(socket->get(), bind); !bound) {
    return because("a queue cannot be bound", bound.error());
  }
  Request configure{NFNL_SUBSYS_QUEUE, NFQNL_MSG_CONFIG, 0, Family::ipv4, any_queue};
  nfqnl_msg_config_params parameters{};
  parameters.copy_range = htonl(0xffff);
  parameters.copy_mode = NFQNL_COPY_PACKET;
  mnl_attr_put(configure.header(), NFQA_CFG_PARAMS, sizeof(parameters), &parameters);
  if (const auto configured = exchange(socket->get(), configure); !configured) {
    return because("a queue does not hand out whole packets", configured.error());
  }
  return {};
}

KernelAbilities probe_in_this_namespace(const std::string& carrier) {
  KernelAbilities abilities;
  abilities.nfqueue = probe_queue();
  const auto socket = open_netfilter_socket();
  abilities.ctnetlink =
      socket ? probe_ctnetlink(socket->get()) : tl::make_unexpected(socket.error());
  if (!abilities.ctnetlink) {
    const Ability not_tried = tl::make_unexpected(std::string{"needs ctnetlink"});
    abilities.ipv4 = {not_tried, not_tried, not_tried};
    abilities.ipv6 = abilities.ipv4;
    return abilities;
  }
  abilities.ipv4 = probe_family(socket->get(), Family::ipv4, carrier);
  abilities.ipv6 = probe_family(socket->get(), Family::ipv6, carrier);
  return abilities;
}

}  // namespace

tl::expected<KernelAbilities, std::string> probe_kernel(const std::string& carrier) {
  // The namespace belongs to this thread alone and ends with it.
  tl::expected<KernelAbilities, std::string> abilities;
  std::jthread([&] {
    if (::unshare(CLONE_NEWNET) != 0) {
      abilities = tl::make_unexpected(
          fmt::format("cannot make a network namespace: {}", std::strerror(errno)));
      return;
    }
    abilities = probe_in_this_namespace(carrier);
  }).join();
  return abilities;
}

}  // namespace ftpalg
