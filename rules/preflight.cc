// SPDX-License-Identifier: GPL-2.0-or-later
#include "rules/preflight.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <utility>

namespace ftpalg::rules {
namespace {

// A transfer that lasts longer than this leaves its control connection idle for as long.
constexpr long established_timeout_s_min = 3600;
constexpr long expectations_min = 64;
constexpr long conntrack_full_percent = 90;
constexpr long rp_filter_strict = 1;

Finding ok(std::string name, std::string detail) {
  return {std::move(name), true, Severity::needed, std::move(detail), {}};
}

Finding wrong(std::string name, Severity severity, std::string detail, std::string mend) {
  return {std::move(name), false, severity, std::move(detail), std::move(mend)};
}

Finding judge(std::string name, const Trial& trial, std::string works, Severity severity,
              std::string mend) {
  if (!trial) return ok(std::move(name), std::move(works));
  return wrong(std::move(name), severity, *trial, std::move(mend));
}

std::optional<long> sysctl(const Machine& machine, std::string_view name) {
  const auto found = machine.sysctls.find(name);
  if (found == machine.sysctls.end()) return std::nullopt;
  return found->second;
}

void check_privileges(const Machine& machine, std::vector<Finding>& findings) {
  std::string missing;
  if (!machine.privileges.net_admin) missing = "CAP_NET_ADMIN";
  if (!machine.privileges.net_raw) missing += missing.empty() ? "CAP_NET_RAW" : " and CAP_NET_RAW";
  findings.push_back(missing.empty() ? ok("rights", "CAP_NET_ADMIN and CAP_NET_RAW")
                                     : wrong("rights", Severity::needed,
                                             fmt::format("this process lacks {}", missing),
                                             "run ftpalg as root, as in: sudo ftpalg run"));
}

void check_kernel(const Ruleset& ruleset, const Machine& machine, std::vector<Finding>& findings) {
  if (!machine.trials) {
    findings.push_back(
        wrong("kernel", Severity::needed,
              fmt::format("what the kernel can do cannot be tried: {}", machine.trials.error()),
              "run this command as root, as in: sudo ftpalg check"));
    return;
  }
  const Trials& trials = *machine.trials;
  findings.push_back(ok("kernel", fmt::format("Linux {}", machine.kernel)));
  const Severity ipv6 = machine.has_ipv6 ? Severity::warning : Severity::note;
  const std::string other_carrier = fmt::format(
      "modprobe nf_conntrack_{}, or name another helper that is inert on FTP by --carrier",
      ruleset.carrier);
  const std::string carrier = fmt::format("connections take the helper '{}'", ruleset.carrier);
  const std::string offsets = "sequence offsets can be set and read back";
  const std::string expectation = "an expectation that follows the master's NAT is taken";
  const std::string nat = "modprobe nf_nat";
  const std::string without_marks =
      "ftpalg rules apply --done-mark 0, and the same option for check and run";

  findings.push_back(judge("NFQUEUE", trials.nfqueue, "a queue can be bound", Severity::needed,
                           "modprobe nfnetlink_queue"));
  findings.push_back(
      judge("NFQA_CT", trials.connections, "packets come with what conntrack knows of them",
            Severity::note,
            "none is needed; a kernel with CONFIG_NETFILTER_NETLINK_GLUE_CT, such as Debian's, "
            "saves a question to conntrack per session, and serves conntrack zones other than 0"));
  findings.push_back(judge("ctnetlink", trials.ctnetlink, "connections can be created and found",
                           Severity::needed, "modprobe nf_conntrack_netlink"));
  if (ruleset.done_mark != 0) {
    findings.push_back(judge("connection marks", trials.marks,
                             "bits can be set, and the others stay as they are", Severity::warning,
                             without_marks));
  }
  findings.push_back(
      judge("carrier, IPv4", trials.carrier_ipv4, carrier, Severity::needed, other_carrier));
  findings.push_back(judge("carrier, IPv6", trials.carrier_ipv6, carrier, ipv6, other_carrier));
  findings.push_back(judge("offsets, IPv4", trials.offsets_ipv4, offsets, Severity::needed, nat));
  findings.push_back(judge("offsets, IPv6", trials.offsets_ipv6, offsets, ipv6, nat));
  findings.push_back(
      judge("expectations, IPv4", trials.expectation_ipv4, expectation, Severity::needed, nat));
  findings.push_back(judge("expectations, IPv6", trials.expectation_ipv6, expectation, ipv6, nat));
}

Finding taken_queue(const Ruleset& ruleset, const QueueOwner& owner) {
  const std::string who = owner.process
                              ? fmt::format("{}, process {}", owner.program, *owner.process)
                              : fmt::format("netlink port {}", owner.port_id);
  const int next = ruleset.last_queue() + 1;
  const bool has_room = next + ruleset.queues - 1 <= std::numeric_limits<std::uint16_t>::max();
  return wrong(fmt::format("queue {}", owner.queue), Severity::needed,
               fmt::format("is taken by {}", who),
               fmt::format("stop that program, or use another queue, as in: ftpalg run --queue {}",
                           has_room ? next : 100));
}

// A gateway that runs already is no obstacle, but one that serves a part of the queues is.
void check_queue_owners(const Ruleset& ruleset, const Machine& machine,
                        std::vector<Finding>& findings) {
  if (!machine.privileges.net_admin) return;
  std::size_t served = 0;
  for (const QueueOwner& owner : machine.queue_owners) {
    if (owner.program == own_name) {
      ++served;
    } else {
      findings.push_back(taken_queue(ruleset, owner));
    }
  }
  if (machine.queue_owners.empty()) {
    findings.push_back(ok(queues_text(ruleset), "no program listens there"));
  } else if (served == ruleset.queues) {
    findings.push_back(ok(queues_text(ruleset), "ftpalg serves"));
  } else if (served > 0) {
    findings.push_back(
        wrong(queues_text(ruleset), Severity::needed,
              fmt::format("ftpalg serves {} of them, and packets of the others pass "
                          "unread",
                          served),
              "start it with the options of these rules, as in: ftpalg run --queues " +
                  std::to_string(ruleset.queues)));
  }
}

void check_forwarding(const Machine& machine, std::vector<Finding>& findings) {
  constexpr std::string_view ipv4 = "net.ipv4.ip_forward";
  constexpr std::string_view ipv6 = "net.ipv6.conf.all.forwarding";
  const bool forwards_ipv4 = sysctl(machine, ipv4).value_or(0) != 0;
  const bool forwards_ipv6 = sysctl(machine, ipv6).value_or(0) != 0;
  // One of the two is enough for a router to be one.
  const Severity severity = forwards_ipv4 || forwards_ipv6 ? Severity::warning : Severity::needed;
  const auto judge_one = [&](std::string name, bool forwards, std::string_view key) {
    findings.push_back(forwards ? ok(std::move(name), fmt::format("{} is on", key))
                                : wrong(std::move(name), severity,
                                        fmt::format("{} is 0, so that nothing is routed", key),
                                        fmt::format("sysctl -w {}=1", key)));
  };
  judge_one("forwarding, IPv4", forwards_ipv4, ipv4);
  if (machine.has_ipv6) judge_one("forwarding, IPv6", forwards_ipv6, ipv6);
}

// Errors name their mend at their end.
Finding refused(std::string name, const std::string& error) {
  constexpr std::string_view separator = "mend: ";
  const std::size_t mend = error.rfind(separator);
  if (mend == error.npos) return wrong(std::move(name), Severity::needed, error, "see above");
  const std::size_t end = error.find_last_not_of("; \n", mend - 1);
  return wrong(std::move(name), Severity::needed, error.substr(0, end + 1),
               error.substr(mend + separator.size()));
}

void check_rehearsal(const Machine& machine, std::vector<Finding>& findings) {
  const std::string what = fmt::format("rules of format {}", name(machine.format));
  findings.push_back(machine.rehearsal
                         ? refused("firewall", fmt::format("{} cannot be put in place: {}", what,
                                                           *machine.rehearsal))
                         : ok("firewall", fmt::format("takes {}", what)));
}

void check_rules(const Machine& machine, std::vector<Finding>& findings) {
  if (machine.rules.empty()) {
    findings.push_back(ok("rules",
                          "are in place, nothing is in their way, and no rule gives the "
                          "kernel's ftp helper to control connections"));
  }
  for (const auto& [what, mend] : machine.rules) {
    findings.push_back(wrong("rules", Severity::needed, what, mend));
  }
  for (const auto& [what, mend] : machine.mark_conflicts) {
    findings.push_back(wrong("connection mark", Severity::warning, what, mend));
  }
  if (!machine.nft_has_queue) return;
  findings.push_back(*machine.nft_has_queue
                         ? ok("nft queue", "this kernel has 'queue' for nft")
                         : wrong("nft queue", Severity::note,
                                 "this kernel has no 'queue' for nft, so that iptables is used",
                                 "modprobe nft_queue, to use nft"));
}

void check_sysctls(const Ruleset& ruleset, const Machine& machine, std::vector<Finding>& findings) {
  const auto report = [&](std::string_view name, Severity severity, std::string detail,
                          std::string mend) {
    findings.push_back(wrong(std::string{name}, severity, std::move(detail), std::move(mend)));
  };
  const std::size_t before = findings.size();

  // Where the gateway shifts sequence numbers itself, conntrack does not know of it.
  constexpr std::string_view liberal = "net.netfilter.nf_conntrack_tcp_be_liberal";
  if (ruleset.queue_acknowledgements && sysctl(machine, liberal).value_or(1) == 0) {
    report(liberal, Severity::needed,
           "is 0, and conntrack would take control connections with an external address for broken",
           fmt::format("sysctl -w {}=1", liberal));
  }
  constexpr std::string_view expect_max = "net.netfilter.nf_conntrack_expect_max";
  if (const auto value = sysctl(machine, expect_max); value && *value < expectations_min) {
    report(expect_max, Severity::warning,
           fmt::format("is {}, and no more transfers than that can be announced at a time", *value),
           fmt::format("sysctl -w {}=1024", expect_max));
  }
  constexpr std::string_view established = "net.netfilter.nf_conntrack_tcp_timeout_established";
  if (const auto value = sysctl(machine, established);
      value && *value < established_timeout_s_min) {
    report(established, Severity::warning,
           fmt::format("is {} s; the control connection of a transfer that lasts longer is "
                       "forgotten",
                       *value),
           fmt::format("sysctl -w {}=432000", established));
  }
  const auto count = sysctl(machine, "net.netfilter.nf_conntrack_count");
  constexpr std::string_view conntrack_max = "net.netfilter.nf_conntrack_max";
  const auto limit = sysctl(machine, conntrack_max);
  if (count && limit && *limit > 0 && *count >= *limit / 100 * conntrack_full_percent) {
    report(conntrack_max, Severity::warning,
           fmt::format("is {}, and {} connections are there already", *limit, *count),
           fmt::format("sysctl -w {}={}", conntrack_max, 2 * *limit));
  }
  constexpr std::string_view rp_filter = "net.ipv4.conf.all.rp_filter";
  if (sysctl(machine, rp_filter) == rp_filter_strict) {
    report(rp_filter, Severity::note,
           "is 1 (strict), which drops data connections that come in by another line than the one "
           "their answers leave by; with one uplink that is fine",
           fmt::format("sysctl -w {}=2, with several uplinks", rp_filter));
  }
  if (findings.size() == before) {
    findings.push_back(ok("sysctls", "none that hurts"));
  }
}

}  // namespace

std::vector<Finding> preflight(const Ruleset& ruleset, const Machine& machine) {
  std::vector<Finding> findings;
  check_privileges(machine, findings);
  check_kernel(ruleset, machine, findings);
  check_queue_owners(ruleset, machine, findings);
  check_forwarding(machine, findings);
  if (machine.privileges.net_admin) check_rehearsal(machine, findings);
  check_rules(machine, findings);
  check_sysctls(ruleset, machine, findings);
  return findings;
}

bool would_work(const std::vector<Finding>& findings) {
  return std::ranges::none_of(findings, [](const Finding& finding) {
    return !finding.ok && finding.severity == Severity::needed;
  });
}

}  // namespace ftpalg::rules
