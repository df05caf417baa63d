# SPDX-License-Identifier: GPL-2.0-or-later
r"""A firewall that bridges, so that client and server are neighbours and do not see it: bridge.py CASE FAMILY

    client -- server_neighbour -- to_client [ router ] to_server -- server -- server
                                          bridge

It is closed but for control connections and what is related to them. It has no address in this network, and translates
nothing.
"""

import signal
import socket
import sys

import firewall
import gateway
import runner
from address import in_network, plans
from failure import Failure, expect_equal
from gateway import Gateway
from lab import Lab
from namespace import connect
from servers import Pyftpdlib
from session import Session, converse, modes
from topology import Scene, bridge_unseen

CLOSED_SECONDS = 1
# Without these, neighbours do not find each other over IPv6.
NEIGHBOURS = "icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept"


def br_netfilter(family):
    """What is bridged passes the firewall as if it was routed, and so the gateway's rules."""
    with Lab() as lab:
        scene = _lay_out(lab, plans(family)[0])
        [router] = scene.routers
        router.try_run("modprobe", "br_netfilter")  # where it is a module
        router.sysctl("net.bridge.bridge-nf-call-iptables", 1)
        router.sysctl("net.bridge.bridge-nf-call-ip6tables", 1)
        firewall.install(router)
        router.nft(f"add rule inet firewall forward {NEIGHBOURS}")
        running = Gateway(lab, router)
        _expect_transfers(lab, scene)
        running.wait_for_no_expectation()
        running.stop()


def bridge_table(family):
    """Without br_netfilter, by rules in a table of the family bridge that a person writes. Needs conntrack for bridges,
    which Debian's stock kernel has: tests/lab/vm."""
    with Lab() as lab:
        scene = _lay_out(lab, plans(family)[0])
        [router] = scene.routers
        bridge_unseen(router)
        protocol = {"ipv4": "ip", "ipv6": "ip6"}[family]
        router.nft(f"""
            table bridge firewall {{
                ct helper carrier {{
                    type "sane" protocol tcp
                    l3proto {protocol}
                }}
                chain prerouting {{
                    type filter hook prerouting priority -100
                    ether type {protocol} ct state new tcp dport 21 ct helper set "carrier"
                    meta l4proto tcp ct original proto-dst 21 queue flags bypass to 21
                }}
                chain forward {{
                    type filter hook forward priority 0; policy drop
                    ether type arp accept
                    {NEIGHBOURS}
                    ct state established,related accept
                    ct state new tcp dport 21 accept
                }}
            }}""")
        running = lab.start("ftpalg", router, gateway.PROGRAM, "run", "--socket", "none", "--queue", 21, "--log-level", "debug")
        running.wait_for_log("ready on queue 21")
        _expect_transfers(lab, scene)
        running.signal(signal.SIGTERM)
        expect_equal("exit status of ftpalg", 0, running.wait_for_exit())


def _lay_out(lab, plan):
    router = lab.namespace("router")
    lab.routers.append(router)
    client, server = lab.namespace("client"), lab.namespace("server")
    router.ip("link add inside type bridge", "link set inside up")
    for host, address in ((client, plan.server_neighbour), (server, plan.server)):
        connect(router, f"to_{host.label}", host, "uplink")
        router.ip(f"link set to_{host.label} master inside")
        host.ip(f"address add {in_network(address)} dev uplink nodad")
    return Scene(plan, client, server, (router,), dial=plan.server, client_as_seen=plan.server_neighbour)


def _expect_transfers(lab, scene):
    server = Pyftpdlib(lab, scene.server, scene.plan.server)
    _expect_closed(scene)
    for mode in modes(scene.plan.family):
        with Session(scene.client, server, scene.dial, mode) as session:
            converse(session, upload=f"up.{mode}")


def _expect_closed(scene):
    """What is bridged does pass the firewall: another port than that of control connections is not reached."""
    family = {"ipv4": socket.AF_INET, "ipv6": socket.AF_INET6}[scene.plan.family]
    with scene.server.entered():
        listener = socket.create_server((scene.dial, 0), family=family)
    with listener, scene.client.entered():
        try:
            socket.create_connection(listener.getsockname()[:2], CLOSED_SECONDS).close()
        except TimeoutError:
            return
    raise Failure("a connection that is not allowed got through the bridge")


CASES = {"br_netfilter": br_netfilter, "bridge_table": bridge_table}

if __name__ == "__main__":
    runner.main(lambda case, family: CASES[case](family), *sys.argv[1:])
