// SPDX-License-Identifier: GPL-2.0-or-later
#include "conntrack/netlink/probe.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netfilter/nfnetlink_queue.h>
#include <sched.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <thread>

#include "conntrack/netlink/ctnetlink.h"
#include "conntrack/netlink/netlink_socket.h"

namespace ftpalg {
namespace {

constexpr std::uint32_t entry_timeout_s = 30;
constexpr std::uint16_t any_queue = 21;  // every number is free in a new namespace
constexpr SequenceOffset sample_offset{1000, 3, -7};

// A message in the making. `subsystem` and `message` as in nfnetlink.
class Request {
 public:
  Request(unsigned subsystem, unsigned message, unsigned flags, Family family,
          std::uint16_t resource = 0) {
    header_ = mnl_nlmsg_put_header(buffer_.data());
    header_->nlmsg_type = static_cast<std::uint16_t>((subsystem << 8) | message);
    header_->nlmsg_flags = static_cast<std::uint16_t>(flags);
    auto* netfilter = static_cast<nfgenmsg*>(mnl_nlmsg_put_extra_header(header_, sizeof(nfgenmsg)));
    netfilter->nfgen_family = family == Family::ipv4 ? AF_INET : AF_INET6;
    netfilter->version = NFNETLINK_V0;
    netfilter->res_id = htons(resource);
  }

  nlmsghdr* header() { return header_; }

 private:
  alignas(NLMSG_ALIGNTO) NetlinkSocket::RequestBuffer buffer_{};
  nlmsghdr* header_ = nullptr;
};

Ability send(NetlinkSocket& socket, Request& request) {
  if (const int error = socket.transact(request.header()); error != 0) {
    return tl::make_unexpected(std::string{std::strerror(error)});
  }
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
Ability create_connection(NetlinkSocket& socket, const SampleConnection& connection,
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
  return send(socket, request);
}

Ability delete_connection(NetlinkSocket& socket, const SampleConnection& connection) {
  Request request{NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_DELETE, 0,
                  connection.original.source.address.family()};
  put_tuple(request.header(), CTA_TUPLE_ORIG, connection.original);
  return send(socket, request);
}

Ability because(std::string_view what, const std::string& cause) {
  return tl::make_unexpected(fmt::format("{}: {}", what, cause));
}

Ability probe_offsets(Ctnetlink& ctnetlink, const Master& master) {
  switch (ctnetlink.set_offset(master, Direction::original, sample_offset)) {
    case OffsetResult::unsupported:
      return tl::make_unexpected(
          std::string{"conntrack took sequence offsets and did not keep them"});
    case OffsetResult::failed:
      return because("conntrack refuses sequence offsets", std::strerror(ctnetlink.last_error()));
    case OffsetResult::done:
      break;
  }
  const auto found = ctnetlink.find(master.original);
  if (!found || found->offsets[0] != sample_offset) {
    return tl::make_unexpected(std::string{"sequence offsets read back are others than those set"});
  }
  return {};
}

// What PORT would need: the server connects to the translated address and reaches the client.
Ability probe_expectation(Ctnetlink& ctnetlink, const Master& master) {
  constexpr Port data_port{2000};
  Expectation expectation;
  expectation.master = master.original;
  expectation.source = master.server_as_client_dials_it();
  expectation.destination = {master.client_as_server_sees_it(), data_port};
  expectation.inside = {master.client(), data_port};
  expectation.direction = Direction::reply;
  expectation.follows_master = true;
  if (ctnetlink.add(expectation) != ExpectationResult::added) {
    return because("conntrack refuses an expectation", std::strerror(ctnetlink.last_error()));
  }
  return {};
}

FamilyAbilities probe_family(NetlinkSocket& socket, Ctnetlink& ctnetlink, Family family,
                             const std::string& carrier) {
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
  if (const auto master = ctnetlink.find(connection.original)) {
    abilities.offsets = probe_offsets(ctnetlink, *master);
    abilities.expectation = probe_expectation(ctnetlink, *master);
  } else {
    abilities.offsets = because("a connection cannot be found", "conntrack knows it not");
    abilities.expectation = abilities.offsets;
  }
  static_cast<void>(delete_connection(socket, connection));
  return abilities;
}

// Both marks are set as two users would, who know nothing of each other.
Ability probe_marks(NetlinkSocket& socket, Ctnetlink& ctnetlink) {
  constexpr std::uint32_t others = 0x00000005;
  constexpr std::uint32_t ours = 0x01000000;
  const SampleConnection connection = sample_connection(Family::ipv4);
  if (const auto created = create_connection(socket, connection, {}); !created) return created;
  Master master;
  master.original = connection.original;
  Ability ability;
  for (const std::uint32_t bits : {others, ours}) {
    if (ability && ctnetlink.set_mark(master, bits) != MarkResult::done) {
      ability =
          because("conntrack refuses a connection mark", std::strerror(ctnetlink.last_error()));
    }
  }
  if (ability) {
    const auto found = ctnetlink.find(connection.original);
    if (!found || found->mark != (others | ours)) {
      ability = tl::make_unexpected(
          std::string{"a connection mark read back is another than that set; the kernel needs "
                      "CONFIG_NF_CONNTRACK_MARK"});
    }
  }
  static_cast<void>(delete_connection(socket, connection));
  return ability;
}

Ability probe_ctnetlink(NetlinkSocket& socket, Ctnetlink& ctnetlink) {
  const SampleConnection connection = sample_connection(Family::ipv4);
  if (const auto created = create_connection(socket, connection, {}); !created) {
    return because("conntrack entries cannot be created", created.error());
  }
  if (!ctnetlink.find(connection.original)) {
    return because("conntrack entries cannot be read", std::strerror(ctnetlink.last_error()));
  }
  return delete_connection(socket, connection);
}

struct QueueAbilities {
  Ability nfqueue;
  Ability connections;
};

QueueAbilities probe_queue() {
  const auto without_queue = [](std::string reason) -> QueueAbilities {
    return {tl::make_unexpected(std::move(reason)),
            tl::make_unexpected(std::string{"needs NFQUEUE"})};
  };
  auto socket = NetlinkSocket::open();
  if (!socket) return without_queue(socket.error());
  Request bind{NFNL_SUBSYS_QUEUE, NFQNL_MSG_CONFIG, 0, Family::ipv4, any_queue};
  nfqnl_msg_config_cmd command{};
  command.command = NFQNL_CFG_CMD_BIND;
  mnl_attr_put(bind.header(), NFQA_CFG_CMD, sizeof(command), &command);
  if (const auto bound = send(*socket, bind); !bound) {
    return without_queue(fmt::format("a queue cannot be bound: {}", bound.error()));
  }
  Request configure{NFNL_SUBSYS_QUEUE, NFQNL_MSG_CONFIG, 0, Family::ipv4, any_queue};
  nfqnl_msg_config_params parameters{};
  parameters.copy_range = htonl(0xffff);
  parameters.copy_mode = NFQNL_COPY_PACKET;
  mnl_attr_put(configure.header(), NFQA_CFG_PARAMS, sizeof(parameters), &parameters);
  if (const auto configured = send(*socket, configure); !configured) {
    return without_queue(
        fmt::format("a queue does not hand out whole packets: {}", configured.error()));
  }
  Request connections{NFNL_SUBSYS_QUEUE, NFQNL_MSG_CONFIG, 0, Family::ipv4, any_queue};
  mnl_attr_put_u32(connections.header(), NFQA_CFG_FLAGS, htonl(NFQA_CFG_F_CONNTRACK));
  mnl_attr_put_u32(connections.header(), NFQA_CFG_MASK, htonl(NFQA_CFG_F_CONNTRACK));
  if (const auto told = send(*socket, connections); !told) {
    return {{},
            because("no packet comes with what conntrack knows of its connection", told.error())};
  }
  return {{}, {}};
}

KernelAbilities probe_in_this_namespace(const std::string& carrier) {
  KernelAbilities abilities;
  const QueueAbilities queue = probe_queue();
  abilities.nfqueue = queue.nfqueue;
  abilities.connections = queue.connections;
  auto socket = NetlinkSocket::open();
  auto ctnetlink = Ctnetlink::open();
  if (!socket) {
    abilities.ctnetlink = tl::make_unexpected(socket.error());
  } else if (!ctnetlink) {
    abilities.ctnetlink = tl::make_unexpected(ctnetlink.error());
  } else {
    abilities.ctnetlink = probe_ctnetlink(*socket, *ctnetlink);
  }
  if (!abilities.ctnetlink) {
    const Ability not_tried = tl::make_unexpected(std::string{"needs ctnetlink"});
    abilities.marks = not_tried;
    abilities.ipv4 = {not_tried, not_tried, not_tried};
    abilities.ipv6 = abilities.ipv4;
    return abilities;
  }
  abilities.marks = probe_marks(*socket, *ctnetlink);
  abilities.ipv4 = probe_family(*socket, *ctnetlink, Family::ipv4, carrier);
  abilities.ipv6 = probe_family(*socket, *ctnetlink, Family::ipv6, carrier);
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
