// SPDX-License-Identifier: GPL-2.0-or-later
#include "rules/machine.h"

#include <fmt/format.h>
#include <sys/utsname.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>

#include "rules/application.h"
#include "rules/inspection.h"
#include "rules/iptables_exchange.h"
#include "rules/nft_transaction.h"

namespace ftpalg::rules {
namespace {

constexpr std::array sysctl_names{
    std::string_view{"net.ipv4.ip_forward"},
    std::string_view{"net.ipv6.conf.all.forwarding"},
    std::string_view{"net.ipv4.conf.all.rp_filter"},
    std::string_view{"net.netfilter.nf_conntrack_count"},
    std::string_view{"net.netfilter.nf_conntrack_expect_max"},
    std::string_view{"net.netfilter.nf_conntrack_max"},
    std::string_view{"net.netfilter.nf_conntrack_tcp_be_liberal"},
    std::string_view{"net.netfilter.nf_conntrack_tcp_timeout_established"},
};

std::string text_of(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::optional<int> process_with_socket(unsigned long inode) {
  namespace fs = std::filesystem;
  const std::string socket = fmt::format("socket:[{}]", inode);
  std::error_code gone;  // processes end while they are looked at
  for (const fs::directory_entry& process : fs::directory_iterator("/proc", gone)) {
    const std::string name = process.path().filename();
    if (name.find_first_not_of("0123456789") != name.npos) continue;
    for (const fs::directory_entry& descriptor :
         fs::directory_iterator(process.path() / "fd", gone)) {
      if (fs::read_symlink(descriptor, gone) == socket) return std::stoi(name);
    }
  }
  return std::nullopt;
}

std::optional<QueueOwner> queue_owner(std::uint16_t queue) {
  const auto port =
      queue_owner_port(text_of("/proc/thread-self/net/netfilter/nfnetlink_queue"), queue);
  if (!port) return std::nullopt;
  QueueOwner owner{queue, *port, std::nullopt, {}};
  if (const auto inode = socket_inode(text_of("/proc/thread-self/net/netlink"), *port)) {
    owner.process = process_with_socket(*inode);
  }
  if (owner.process) {
    owner.program = text_of(fmt::format("/proc/{}/comm", *owner.process));
    owner.program.erase(owner.program.find_last_not_of('\n') + 1);
  }
  return owner;
}

}  // namespace

std::optional<long> read_sysctl(std::string_view name) {
  std::string path{name};
  std::ranges::replace(path, '.', '/');
  std::ifstream file("/proc/sys/" + path);
  long value = 0;
  if (!(file >> value)) return std::nullopt;
  return value;
}

std::optional<std::uint32_t> queue_owner_port(std::string_view proc_text, std::uint16_t queue) {
  // Its columns: queue number, port id, packets waiting, copy mode, ...
  std::istringstream lines{std::string{proc_text}};
  std::string line;
  while (std::getline(lines, line)) {
    std::istringstream columns{line};
    unsigned number = 0;
    std::uint32_t port_id = 0;
    if (columns >> number >> port_id && number == queue) return port_id;
  }
  return std::nullopt;
}

std::optional<unsigned long> socket_inode(std::string_view proc_text, std::uint32_t port_id) {
  // Its columns: address, protocol, port id, groups, four counters, drops, inode.
  constexpr int netlink_netfilter = 12;
  std::istringstream lines{std::string{proc_text}};
  std::string line;
  while (std::getline(lines, line)) {
    std::istringstream columns{line};
    std::string address;
    int protocol = 0;
    std::uint32_t port = 0;
    if (!(columns >> address >> protocol >> port)) continue;
    if (protocol != netlink_netfilter || port != port_id) continue;
    const std::size_t last = line.find_last_not_of(' ');
    const std::size_t inode = line.find_last_of(' ', last) + 1;
    return std::stoul(line.substr(inode));
  }
  return std::nullopt;
}

Machine look_at_this_machine(const Ruleset& ruleset, std::optional<Format> format) {
  Machine machine;
  machine.privileges = effective_privileges();
  utsname kernel{};
  if (uname(&kernel) == 0) machine.kernel = kernel.release;
  machine.has_ipv6 = kernel_has_ipv6();
  machine.format = format.value_or(default_format());
  if (const auto applied = rehearse(ruleset, machine.format); applied && !*applied) {
    machine.rehearsal = applied->error();
  }
  machine.rules = verify(ruleset, format);
  machine.mark_conflicts = mark_conflicts(ruleset);
  if (machine.privileges.net_admin) machine.nft_has_queue = nft_has_queue();
  for (const std::string_view name : sysctl_names) {
    if (const auto value = read_sysctl(name)) machine.sysctls.emplace(name, *value);
  }
  for (unsigned queue = ruleset.queue; queue <= ruleset.last_queue(); ++queue) {
    if (auto owner = queue_owner(static_cast<std::uint16_t>(queue))) {
      machine.queue_owners.push_back(std::move(*owner));
    }
  }
  return machine;
}

}  // namespace ftpalg::rules
