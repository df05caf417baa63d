# SPDX-License-Identifier: GPL-2.0-or-later
r"""Control connections in a conntrack zone: zones.py FAMILY

    client ----------------- [ router ] ----------------- server
       client    client_router        server_router       server
              destination public_server:21 -> server
                   source client -> public_client
                 all that passes is in zone ZONE

With rules for nft, and a kernel that tells of a packet's connection (NFQA_CT), transfers work. Rules for iptables would
have no effect, or even break the connections: they are refused, the rule that sets the zone is named, and nothing is
changed.
"""

import sys

import firewall_state
import gateway
import runner
from address import plans
from failure import Failure, expect_equal, expect_in
from kernel import tells_connections
from lab import Lab
from talk import Talk
from topology import both

ZONE = 5
WAYS = {"ipv4": ("PORT", "227"), "ipv6": ("EPRT", "228")}


# What sets the zone, and how `ftpalg` names it.
SETTERS = {
    "nft": (("nft", f"table inet zones {{\nchain prerouting {{\ntype filter hook prerouting priority raw;\n"
                    f"ct zone set {ZONE}\n}}\n}}\n"),
            f"'ct zone set {ZONE}' in table inet zones"),
    "iptables": (("iptables-nft", "-t", "raw", "-A", "PREROUTING", "-j", "CT", "--zone", str(ZONE)),
                 f"'-A PREROUTING -j CT --zone {ZONE}' of table raw"),
}


def zones(family):
    for setter in ("nft", "iptables") if family == "ipv4" else ("nft",):
        _zones(family, *SETTERS[setter])


def _zones(family, setter, name):
    with Lab() as lab:
        scene = both(lab, plans(family)[0])
        [router] = scene.routers
        router.run(*setter)
        if not _nft_serves(router):
            _refused(router, name)
            _session_without_gateway(scene)
            return
        if not tells_connections():
            raise Failure("a kernel with 'queue' for nft and without NFQA_CT: what becomes of zones there is not known")
        [running] = gateway.start_all(lab, scene)
        verb, code = WAYS[family]
        with Talk(scene) as talk:
            talk.log_in()
            for _ in range(2):
                talk.active_transfer(verb)
                talk.passive_transfer(code)
        entries = router.run("conntrack", "-L", "-f", family, "-p", "tcp", "--dport", "21")
        expect_in("the control connection's entry", f"zone={ZONE}", entries)
        running.wait_for_no_expectation()
        running.stop()


def _nft_serves(router):
    done = gateway.ftpalg(router, "rules", "apply")
    applied = done.returncode == 0 and "format nft" in done.stdout
    if applied:
        expect_equal("rules remove", 0, gateway.ftpalg(router, "rules", "remove").returncode)
    return applied


def _refused(router, name):
    before = firewall_state.read(router)
    for command in (("rules", "apply"), ("run", "--apply-rules", "--socket", "none")):
        done = gateway.ftpalg(router, *command)
        expect_equal(f"exit status of {command}", 1, done.returncode)
        expect_in("the refusal", name, done.stderr)
        firewall_state.expect_same("a refusal", before, firewall_state.read(router))


def _session_without_gateway(scene):
    """The zone itself is no hindrance."""
    with Talk(scene) as talk:
        talk.log_in()
        talk.exchange("NOOP", "200 Fine.")


if __name__ == "__main__":
    runner.main(zones, *sys.argv[1:])
