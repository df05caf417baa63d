# SPDX-License-Identifier: GPL-2.0-or-later
"""The gateway's rules come and go without a trace, in each format: firewall_rules.py CASE FORMAT"""

import sys

import firewall_state
import gateway
import runner
from address import plans
from failure import Failure, expect_equal, expect_in
from gateway import ftpalg
from lab import Lab
from namespace import Namespace
from servers import Pyftpdlib
from session import Session, converse, modes
from topology import both

PROGRAMS = {"iptables": ("iptables-nft", "ip6tables-nft"), "iptables-legacy": ("iptables-legacy", "ip6tables-legacy")}


def round_trip(rules_format):
    """apply twice, verify, remove: on blank ground, and among rules of others."""
    for prepare in (_nothing, _foreign_rules):
        with Lab() as lab:
            router = lab.router("router")
            prepare(router)
            before = firewall_state.read(router)
            rules(router, "verify", rules_format, expected_status=1)
            rules(router, "apply", rules_format)
            applied = firewall_state.read(router)
            missing = [line for line in before if line not in applied]
            expect_equal("rules of others that are gone after apply", [], missing)
            rules(router, "apply", rules_format)
            firewall_state.expect_same("apply for the second time", applied, firewall_state.read(router))
            rules(router, "verify", rules_format)
            rules(router, "remove", rules_format)
            firewall_state.expect_same("remove", before, firewall_state.read(router))
            rules(router, "remove", rules_format)
            firewall_state.expect_same("remove for the second time", before, firewall_state.read(router))


def damage(rules_format):
    """verify sees that a part is missing, says which, and apply mends it."""
    with Lab() as lab:
        router = lab.router("router")
        rules(router, "apply", rules_format)
        whole = firewall_state.read(router)
        damages = _damages(router, rules_format)
        for damaged, command in damages:
            router.run(*command)
            said = rules(router, "verify", rules_format, expected_status=1)
            expect_in(f"what verify says after {' '.join(command)}", damaged, said)
            rules(router, "apply", rules_format)
            rules(router, "verify", rules_format)
            firewall_state.expect_same(f"apply after {' '.join(command)}", whole, firewall_state.read(router))


def transfers(rules_format):
    """Every mode works on top of this format's rules."""
    for family in ("ipv4", "ipv6"):
        plan = plans(family)[0]
        with Lab() as lab:
            scene = both(lab, plan)
            server = Pyftpdlib(lab, scene.server, plan.server)
            [router] = gateway.start_all(lab, scene, "--format", rules_format)
            for mode in modes(family):
                with Session(scene.client, server, scene.dial, mode) as session:
                    converse(session, upload=f"up.{mode}")
            router.wait_for_no_expectation()
            router.stop()


def rules(router, action, rules_format, expected_status=0):
    """Runs `ftpalg rules`, which must exit as expected. Returns what it said."""
    done = ftpalg(router, "rules", action, "--format", rules_format)
    said = done.stdout + done.stderr
    if done.returncode != expected_status:
        raise Failure(f"ftpalg rules {action} --format {rules_format}: expected exit status {expected_status}, "
                      f"got {done.returncode}:\n{said}")
    return said


def refusal():
    """Where the kernel has no queue for nft, format nft is refused with that reason and leaves no trace."""
    with Lab() as lab:
        router = lab.router("router")
        before = firewall_state.read(router)
        expect_in("the refusal", "queue", rules(router, "apply", "nft", expected_status=1))
        firewall_state.expect_same("a refused apply", before, firewall_state.read(router))


def kernel_has_nft_queue():
    namespace = Namespace("probe")
    try:
        return namespace.try_run("nft", "-f", "-", text="""
            table ip probe {
                chain c { type filter hook prerouting priority mangle; tcp dport 21 queue num 0 bypass; }
            }""").returncode == 0
    finally:
        namespace.close()


def _nothing(_router):
    """A router without a rule."""


def _foreign_rules(router):
    router.nft("""
        table inet foreign {
            chain input { type filter hook prerouting priority mangle; tcp dport 21 counter; }
        }""")
    for program in sum(PROGRAMS.values(), ()):
        router.run(program, "-t", "raw", "-A", "PREROUTING", "-p", "udp", "--dport", "9", "-j", "NOTRACK")
        router.run(program, "-t", "mangle", "-N", "OTHERS")
        router.run(program, "-t", "mangle", "-A", "OTHERS", "-j", "MARK", "--set-mark", "1")
        router.run(program, "-t", "mangle", "-A", "PREROUTING", "-p", "tcp", "--dport", "22", "-j", "OTHERS")


def _damages(router, rules_format):
    """(what verify must name, the command that does the damage) for parts of the applied rules."""
    if rules_format == "nft":
        return [("ftpalg", ("nft", "delete", "table", *_own_nft_table(router)))]
    return [(chain, (program, "-t", table, "-D", chain, "1"))
            for program in PROGRAMS[rules_format] for table in ("raw", "mangle") for chain in ("PREROUTING", "OUTPUT")]


def _own_nft_table(router):
    [table] = [line.split()[1:] for line in router.run("nft", "list", "tables").splitlines() if "ftpalg" in line]
    return table


def main(case, rules_format):
    if rules_format == "nft" and not kernel_has_nft_queue():
        refusal()
    else:
        {"round_trip": round_trip, "damage": damage, "transfers": transfers}[case](rules_format)


if __name__ == "__main__":
    runner.main(main, *sys.argv[1:])
