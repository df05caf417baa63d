# SPDX-License-Identifier: GPL-2.0-or-later
r"""A router on one cable, its inside and its outside two VLANs: vlan.py FAMILY

    client -- 10 untagged --+
                        [ switch ] -- 10 and 20 tagged -- trunk [ router ]
    server -- 20 untagged --+                        trunk.10   client_router
                                                     trunk.20   server_router
              destination public_server:21 -> server
                   source client -> public_client

Needs VLAN interfaces, which Debian's stock kernel has: tests/lab/vm.
"""

import sys

import firewall
import gateway
import runner
from address import host_prefix, in_network, plans
from firewall import Nat
from lab import Lab
from namespace import connect
from servers import Pyftpdlib
from session import Session, converse, modes
from topology import Scene, add_route

VLANS = {"client": 10, "server": 20}


def vlan(family):
    with Lab() as lab:
        scene = _lay_out(lab, plans(family)[0])
        server = Pyftpdlib(lab, scene.server, scene.plan.server)
        [running] = gateway.start_all(lab, scene)
        for mode in modes(family):
            with Session(scene.client, server, scene.dial, mode) as session:
                converse(session, upload=f"up.{mode}")
        running.wait_for_no_expectation()
        running.stop()


def _lay_out(lab, plan):
    router, switch = lab.router("router"), lab.namespace("switch")
    switch.ip("link add ports type bridge vlan_filtering 1", "link set ports up")
    connect(router, "trunk", switch, "to_router")
    switch.ip("link set to_router master ports")
    router.ip(f"address add {host_prefix(plan.public_client)} dev lo nodad",
              f"address add {host_prefix(plan.public_server)} dev lo nodad")
    hosts = {}
    for label, address, router_address in (("client", plan.client, plan.client_router),
                                           ("server", plan.server, plan.server_router)):
        number = VLANS[label]
        hosts[label] = lab.namespace(label)
        connect(switch, f"to_{label}", hosts[label], "uplink")
        switch.ip(f"link set to_{label} master ports")
        switch.run("bridge", "vlan", "add", "dev", f"to_{label}", "vid", str(number), "pvid", "untagged")
        switch.run("bridge", "vlan", "delete", "dev", f"to_{label}", "vid", "1")
        switch.run("bridge", "vlan", "add", "dev", "to_router", "vid", str(number))
        router.ip(f"link add link trunk name trunk.{number} type vlan id {number}", f"link set trunk.{number} up",
                  f"address add {in_network(router_address)} dev trunk.{number} nodad")
        hosts[label].ip(f"address add {in_network(address)} dev uplink nodad")
    add_route(hosts["client"], plan.public_server, plan.client_router)
    add_route(hosts["server"], plan.public_client, plan.server_router)
    firewall.install(router, dnat=[Nat(destination=plan.public_server, destination_port=21, to=plan.server)],
                     snat=[Nat(source=plan.client, to=plan.public_client)])
    return Scene(plan, hosts["client"], hosts["server"], (router,), dial=plan.public_server,
                 client_as_seen=plan.public_client)


if __name__ == "__main__":
    runner.main(vlan, *sys.argv[1:])
