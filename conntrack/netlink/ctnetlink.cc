// SPDX-License-Identifier: GPL-2.0-or-later
#include "conntrack/netlink/ctnetlink.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <libnetfilter_conntrack/libnetfilter_conntrack_tcp.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netinet/in.h>

#include <cerrno>
#include <cstring>

#include "conntrack/netlink/conntrack_object.h"

namespace ftpalg {
namespace {

/// conntrack asks for a timeout and takes the carrier's instead (kernel-facts 7): ours only says
/// the same.
constexpr std::chrono::seconds expectation_timeout{300};

struct DestroyExpectation {
  void operator()(nf_expect* expectation) const { nfexp_destroy(expectation); }
};
using ExpectationObject = std::unique_ptr<nf_expect, DestroyExpectation>;

/// The attributes of one direction's correction. The library keeps them in host order.
struct OffsetAttributes {
  nf_conntrack_attr position;
  nf_conntrack_attr before;
  nf_conntrack_attr after;
};

constexpr OffsetAttributes offset_attributes(Direction direction) {
  if (direction == Direction::original) {
    return {ATTR_ORIG_NAT_SEQ_CORRECTION_POS, ATTR_ORIG_NAT_SEQ_OFFSET_BEFORE,
            ATTR_ORIG_NAT_SEQ_OFFSET_AFTER};
  }
  return {ATTR_REPL_NAT_SEQ_CORRECTION_POS, ATTR_REPL_NAT_SEQ_OFFSET_BEFORE,
          ATTR_REPL_NAT_SEQ_OFFSET_AFTER};
}

SequenceOffset read_offset(const nf_conntrack* entry, Direction direction) {
  const OffsetAttributes attributes = offset_attributes(direction);
  if (nfct_attr_is_set(entry, attributes.position) <= 0) return {};
  return {nfct_get_attr_u32(entry, attributes.position),
          static_cast<std::int32_t>(nfct_get_attr_u32(entry, attributes.before)),
          static_cast<std::int32_t>(nfct_get_attr_u32(entry, attributes.after))};
}

/// Nothing when it is not TCP's, or is told of by halves.
std::optional<ListedExpectation> read_listed(const nlmsghdr* message) {
  const ExpectationObject object(nfexp_new());
  if (nfexp_nlmsg_parse(message, object.get()) < 0) return std::nullopt;
  const auto tuple = [&](nf_expect_attr attribute) -> std::optional<Tuple> {
    if (nfexp_attr_is_set(object.get(), attribute) <= 0) return std::nullopt;
    const auto* part = static_cast<const nf_conntrack*>(nfexp_get_attr(object.get(), attribute));
    if (nfct_get_attr_u8(part, ATTR_L4PROTO) != IPPROTO_TCP) return std::nullopt;
    return read_original(part);
  };
  const auto text = [&](nf_expect_attr attribute) -> std::string {
    if (nfexp_attr_is_set(object.get(), attribute) <= 0) return {};
    return static_cast<const char*>(nfexp_get_attr(object.get(), attribute));
  };
  const auto master = tuple(ATTR_EXP_MASTER);
  const auto expected = tuple(ATTR_EXP_EXPECTED);
  const auto mask = tuple(ATTR_EXP_MASK);
  if (!master || !expected || !mask) return std::nullopt;
  const std::uint16_t zone = nfexp_attr_is_set(object.get(), ATTR_EXP_ZONE) > 0
                                 ? nfexp_get_attr_u16(object.get(), ATTR_EXP_ZONE)
                                 : std::uint16_t{0};
  return ListedExpectation{*master,          zone, *expected, *mask, text(ATTR_EXP_HELPER_NAME),
                           text(ATTR_EXP_FN)};
}

Master read_master(const nf_conntrack* entry) {
  Master master;
  master.original = read_original(entry);
  master.reply = read_reply(entry);
  master.offsets = {read_offset(entry, Direction::original), read_offset(entry, Direction::reply)};
  if (nfct_attr_is_set(entry, ATTR_MARK) > 0) master.mark = nfct_get_attr_u32(entry, ATTR_MARK);
  if (nfct_attr_is_set(entry, ATTR_ZONE) > 0) master.zone = nfct_get_attr_u16(entry, ATTR_ZONE);
  master.has_carrier = nfct_attr_is_set(entry, ATTR_HELPER_NAME) > 0;
  return master;
}

void put_address(nlmsghdr* message, std::uint16_t attribute, const Address& address) {
  mnl_attr_put(message, attribute, address.size(), address.bytes().data());
}

/// What nfexp_nlmsg_build leaves out (kernel-facts 6): that the data connection is mapped as its
/// master is, to which port, and in which direction it runs relative to the master (kernel-facts
/// 5).
void put_follow_master(nlmsghdr* message, const Expectation& expectation) {
  const bool is_ipv4 = expectation.source.family() == Family::ipv4;
  const Address& real = expectation.destination.address;  // the kernel takes it from the master

  mnl_attr_put_strz(message, CTA_EXPECT_FN, nat_follow_master.data());
  nlattr* nat = mnl_attr_nest_start(message, CTA_EXPECT_NAT);
  mnl_attr_put_u32(message, CTA_EXPECT_NAT_DIR,
                   htonl(expectation.direction == Direction::reply ? 1 : 0));
  nlattr* tuple = mnl_attr_nest_start(message, CTA_EXPECT_NAT_TUPLE);
  nlattr* ip = mnl_attr_nest_start(message, CTA_TUPLE_IP);
  put_address(message, is_ipv4 ? CTA_IP_V4_SRC : CTA_IP_V6_SRC, real);
  put_address(message, is_ipv4 ? CTA_IP_V4_DST : CTA_IP_V6_DST, expectation.source);
  mnl_attr_nest_end(message, ip);
  nlattr* protocol = mnl_attr_nest_start(message, CTA_TUPLE_PROTO);
  mnl_attr_put_u8(message, CTA_PROTO_NUM, IPPROTO_TCP);
  mnl_attr_put_u16(message, CTA_PROTO_SRC_PORT, network_order(expectation.inside.port));
  mnl_attr_put_u16(message, CTA_PROTO_DST_PORT, 0);
  mnl_attr_nest_end(message, protocol);
  mnl_attr_nest_end(message, tuple);
  mnl_attr_nest_end(message, nat);
}

void set_zone(nf_expect* expectation, std::uint16_t zone) {
  if (zone != 0) nfexp_set_attr_u16(expectation, ATTR_EXP_ZONE, zone);
}

/// An object that names the expectation in the kernel's table.
ExpectationObject object_named_by(const Expectation& expectation) {
  ExpectationObject object(nfexp_new());
  const ConntrackObject expected =
      object_with({{expectation.source, Port{0}}, expectation.destination});
  nfexp_set_attr(object.get(), ATTR_EXP_EXPECTED, expected.get());
  set_zone(object.get(), expectation.zone);
  return object;
}

}  // namespace

std::optional<QueuedMaster> master_of(std::span<const std::uint8_t> attributes, Family family) {
  const ConntrackObject entry(nfct_new());
  if (nfct_payload_parse(attributes.data(), attributes.size(),
                         family == Family::ipv4 ? AF_INET : AF_INET6, entry.get()) < 0) {
    return std::nullopt;
  }
  const std::uint32_t status = nfct_get_attr_u32(entry.get(), ATTR_STATUS);
  if (nfct_attr_is_set(entry.get(), ATTR_ORIG_L4PROTO) <= 0 ||
      nfct_get_attr_u8(entry.get(), ATTR_ORIG_L4PROTO) != IPPROTO_TCP ||
      (status & IPS_CONFIRMED) == 0) {
    return std::nullopt;
  }
  return QueuedMaster{read_master(entry.get()), (status & IPS_ASSURED) != 0};
}

Tuple exact_but_source_port(Family family) {
  constexpr std::array<std::uint8_t, 16> ones{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                                              0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
  const auto bytes = std::span{ones}.first(family == Family::ipv4 ? 4 : 16);
  const Address all = *Address::from_bytes(bytes);
  return {{all, Port{0}}, {all, Port{0xffff}}};
}

tl::expected<Ctnetlink, std::string> Ctnetlink::open() {
  auto socket = NetlinkSocket::open();
  if (!socket) return tl::unexpected(socket.error());
  Ctnetlink ctnetlink(std::move(*socket));

  // A question with a known answer shows whether we may ask at all.
  const Endpoint nobody{Address::ipv4(0, 0, 0, 0), Port{0}};
  ctnetlink.find({nobody, nobody});
  switch (ctnetlink.last_error_) {
    case 0:
    case ENOENT:
      return ctnetlink;
    case EPERM:
      return tl::unexpected(
          std::string("no right to use ctnetlink: run as root, or grant "
                      "CAP_NET_ADMIN"));
    default:
      return tl::unexpected(
          fmt::format("ctnetlink does not answer: {}; the kernel needs CONFIG_NF_CT_NETLINK "
                      "(modprobe nf_conntrack_netlink)",
                      std::strerror(ctnetlink.last_error_)));
  }
}

int Ctnetlink::transact(nlmsghdr* request, const std::function<void(const nlmsghdr*)>& on_message) {
  const int error = socket_.transact(request, on_message);
  if (error != 0) last_error_ = error;
  return error;
}

/// Has conntrack tell of the entry that `tuple` belongs to.
int Ctnetlink::get(const Tuple& tuple, std::uint16_t zone,
                   const std::function<void(const nf_conntrack*)>& on_entry) {
  NetlinkSocket::RequestBuffer buffer;
  nlmsghdr* message = begin_message(buffer, NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_GET, 0,
                                    protocol_family(tuple.source.address));
  nfct_nlmsg_build(message, object_with(tuple, zone).get());
  return transact(message, [&](const nlmsghdr* answer) {
    const ConntrackObject entry(nfct_new());
    if (nfct_nlmsg_parse(answer, entry.get()) >= 0) on_entry(entry.get());
  });
}

std::optional<Master> Ctnetlink::find(const Tuple& tuple, std::uint16_t zone) {
  std::optional<Master> master;
  const int error =
      get(tuple, zone, [&](const nf_conntrack* entry) { master = read_master(entry); });
  if (error != 0) return std::nullopt;
  return master;
}

OffsetResult Ctnetlink::set_offset(const Master& master, Direction direction,
                                   const SequenceOffset& offset) {
  const ConntrackObject entry = object_with(master.original, master.zone);
  const OffsetAttributes attributes = offset_attributes(direction);
  nfct_set_attr_u32(entry.get(), attributes.position, offset.position);
  nfct_set_attr_u32(entry.get(), attributes.before, static_cast<std::uint32_t>(offset.before));
  nfct_set_attr_u32(entry.get(), attributes.after, static_cast<std::uint32_t>(offset.after));

  NetlinkSocket::RequestBuffer buffer;
  nlmsghdr* message = begin_message(buffer, NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_NEW, 0,
                                    protocol_family(master.original.source.address));
  nfct_nlmsg_build(message, entry.get());
  if (transact(message) != 0) return OffsetResult::failed;

  // Without the seqadj extension the kernel says yes and does nothing (kernel-facts 2). A shift
  // that is there already shows that it has it.
  if (offset.before != 0) return OffsetResult::done;
  const auto read_back = find(master.original, master.zone);
  if (!read_back) return OffsetResult::failed;
  return read_back->offset(direction) == offset ? OffsetResult::done : OffsetResult::unsupported;
}

MarkResult Ctnetlink::set_mark(const Master& master, std::uint32_t bits) {
  const ConntrackObject entry = object_with(master.original, master.zone);
  nfct_set_attr_u32(entry.get(), ATTR_MARK, bits);

  NetlinkSocket::RequestBuffer buffer;
  nlmsghdr* message = begin_message(buffer, NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_NEW, 0,
                                    protocol_family(master.original.source.address));
  nfct_nlmsg_build(message, entry.get());
  mnl_attr_put_u32(message, CTA_MARK_MASK, htonl(bits));
  return transact(message) == 0 ? MarkResult::done : MarkResult::failed;
}

std::optional<std::chrono::seconds> Ctnetlink::keep(const Master& master,
                                                    std::chrono::seconds at_least) {
  std::chrono::seconds left{};
  const int error = get(master.original, master.zone, [&](const nf_conntrack* entry) {
    left = std::chrono::seconds{nfct_get_attr_u32(entry, ATTR_TIMEOUT)};
  });
  if (error != 0) return std::nullopt;
  if (left >= at_least) return left;

  const ConntrackObject entry = object_with(master.original, master.zone);
  nfct_set_attr_u32(entry.get(), ATTR_TIMEOUT, static_cast<std::uint32_t>(at_least.count()));
  NetlinkSocket::RequestBuffer buffer;
  nlmsghdr* message = begin_message(buffer, NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_NEW, 0,
                                    protocol_family(master.original.source.address));
  nfct_nlmsg_build(message, entry.get());
  if (transact(message) != 0) return std::nullopt;
  return at_least;
}

ExpectationResult Ctnetlink::add(const Expectation& expectation) {
  if (is_in_use_elsewhere(expectation)) return ExpectationResult::busy;
  int error = put(expectation, NLM_F_CREATE | NLM_F_EXCL, expectation_timeout);
  if (error == EEXIST && is_installed_by_master(expectation)) {
    erase(expectation);
    error = put(expectation, NLM_F_CREATE | NLM_F_EXCL, expectation_timeout);
  }
  switch (error) {
    case 0:
      return ExpectationResult::added;
    case EBUSY:
    case EEXIST:
      return ExpectationResult::busy;
    default:
      return ExpectationResult::failed;
  }
}

/// EEXIST when there is one already for the same data connection, of whatever master. Without
/// NLM_F_EXCL the kernel would say yes then, and leave it to that one (ctnetlink_new_expect).
int Ctnetlink::put(const Expectation& expectation, std::uint16_t flags, std::chrono::seconds life) {
  const ConntrackObject master = object_with(expectation.master);
  const ConntrackObject expected =
      object_with({{expectation.source, Port{0}}, expectation.destination});
  const ConntrackObject mask = object_with(exact_but_source_port(expectation.source.family()));
  const ExpectationObject object(nfexp_new());
  nfexp_set_attr(object.get(), ATTR_EXP_MASTER, master.get());
  nfexp_set_attr(object.get(), ATTR_EXP_EXPECTED, expected.get());
  nfexp_set_attr(object.get(), ATTR_EXP_MASK, mask.get());
  nfexp_set_attr_u32(object.get(), ATTR_EXP_TIMEOUT, static_cast<std::uint32_t>(life.count()));
  set_zone(object.get(), expectation.zone);

  NetlinkSocket::RequestBuffer buffer;
  nlmsghdr* message = begin_message(buffer, NFNL_SUBSYS_CTNETLINK_EXP, IPCTNL_MSG_EXP_NEW, flags,
                                    protocol_family(expectation.source));
  nfexp_nlmsg_build(message, object.get());
  if (expectation.follows_master) put_follow_master(message, expectation);
  return transact(message);
}

bool Ctnetlink::is_installed_by_master(const Expectation& expectation) {
  NetlinkSocket::RequestBuffer buffer;
  nlmsghdr* message = begin_message(buffer, NFNL_SUBSYS_CTNETLINK_EXP, IPCTNL_MSG_EXP_GET, 0,
                                    protocol_family(expectation.source));
  nfexp_nlmsg_build(message, object_named_by(expectation).get());
  bool is = false;
  transact(message, [&](const nlmsghdr* answer) {
    const auto listed = read_listed(answer);
    is = listed && listed->master == expectation.master;
  });
  return is;
}

/// Whether another inside endpoint has the connection that a server would make now from its usual
/// port, or had it so lately that TCP remembers it (TIME-WAIT): the server could not make it again.
bool Ctnetlink::is_in_use_elsewhere(const Expectation& expectation) {
  if (!expectation.follows_master || expectation.usual_source_port == Port{0}) return false;
  const Tuple tuple{{expectation.source, expectation.usual_source_port}, expectation.destination};
  const int last_error = last_error_;
  const auto found = find(tuple, expectation.zone);
  last_error_ = last_error;  // that there is none is no failure
  return found && found->original == tuple && found->reply.source != expectation.inside;
}

/// The kernel looks at what is expected and not at the master. Once the expectation is consumed,
/// another gateway thread may have given what it named to another master.
void Ctnetlink::remove(const Expectation& expectation) {
  if (is_installed_by_master(expectation)) erase(expectation);
}

void Ctnetlink::erase(const Expectation& expectation) {
  NetlinkSocket::RequestBuffer buffer;
  nlmsghdr* message = begin_message(buffer, NFNL_SUBSYS_CTNETLINK_EXP, IPCTNL_MSG_EXP_DELETE, 0,
                                    protocol_family(expectation.source));
  nfexp_nlmsg_build(message, object_named_by(expectation).get());
  transact(message);
}

tl::expected<std::vector<ListedExpectation>, int> Ctnetlink::list() {
  NetlinkSocket::RequestBuffer buffer;
  nlmsghdr* message =
      begin_message(buffer, NFNL_SUBSYS_CTNETLINK_EXP, IPCTNL_MSG_EXP_GET, NLM_F_DUMP, AF_UNSPEC);
  std::vector<ListedExpectation> listed;
  const int error = transact(message, [&](const nlmsghdr* answer) {
    if (auto each = read_listed(answer)) listed.push_back(std::move(*each));
  });
  if (error != 0) return tl::unexpected(error);
  return listed;
}

}  // namespace ftpalg
