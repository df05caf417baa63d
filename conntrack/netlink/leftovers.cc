// SPDX-License-Identifier: GPL-2.0-or-later
#include "conntrack/netlink/leftovers.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <functional>

namespace ftpalg {
namespace {

/// How often the table is read anew when it changed while it was read.
constexpr int readings_max = 5;

bool is_of_our_make(const ListedExpectation& listed, Ctnetlink& ctnetlink) {
  if (listed.mask != exact_but_source_port(listed.expected.source.address.family())) return false;
  // Without its master an expectation does not live.
  const auto master = ctnetlink.find(listed.master, listed.zone);
  if (!master) return false;
  return listed.function == (master->is_nated() ? nat_follow_master : std::string_view{});
}

/// Returns how many there are, or the cause.
tl::expected<std::size_t, std::string> visit_leftovers(
    Ctnetlink& ctnetlink, std::string_view carrier, const std::vector<std::uint16_t>& control_ports,
    const std::function<void(const Expectation&)>& visit) {
  auto listed = ctnetlink.list();
  for (int reading = 1; !listed && listed.error() == EINTR && reading < readings_max; ++reading) {
    listed = ctnetlink.list();
  }
  if (!listed) {
    return tl::unexpected(fmt::format("conntrack's expectations cannot be listed: {}",
                                      std::strerror(listed.error())));
  }
  std::size_t count = 0;
  for (const ListedExpectation& each : *listed) {
    const bool is_of_our_masters =
        each.helper == carrier &&
        std::ranges::find(control_ports, each.master.destination.port.number) !=
            control_ports.end();
    if (!is_of_our_masters || !is_of_our_make(each, ctnetlink)) continue;
    Expectation expectation;
    expectation.master = each.master;
    expectation.zone = each.zone;
    expectation.source = each.expected.source.address;
    expectation.destination = each.expected.destination;
    visit(expectation);
    ++count;
  }
  return count;
}

}  // namespace

tl::expected<std::size_t, std::string> remove_leftovers(
    Ctnetlink& ctnetlink, std::string_view carrier,
    const std::vector<std::uint16_t>& control_ports) {
  return visit_leftovers(ctnetlink, carrier, control_ports,
                         [&](const Expectation& each) { ctnetlink.remove(each); });
}

tl::expected<std::size_t, std::string> limit_leftovers(
    Ctnetlink& ctnetlink, std::string_view carrier, const std::vector<std::uint16_t>& control_ports,
    std::chrono::seconds life) {
  return visit_leftovers(ctnetlink, carrier, control_ports,
                         [&](const Expectation& each) { ctnetlink.limit(each, life); });
}

}  // namespace ftpalg
