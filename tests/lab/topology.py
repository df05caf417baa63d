# SPDX-License-Identifier: GPL-2.0-or-later
r"""The seven ways in which a client, a server and NAT stand to each other.

Hosts have no route but the one to the address they are meant to talk to, so an address that was not rewritten
leads nowhere.
"""

import dataclasses

import firewall
from address import Plan, host_prefix, in_network
from firewall import Nat
from namespace import Namespace, connect


@dataclasses.dataclass(frozen=True)
class Scene:
    """A laid out topology, ready for a conversation."""
    plan: Plan
    client: Namespace
    server: Namespace
    routers: tuple        # each of them wants a gateway
    dial: str             # the address that the client dials: what a passive reply must show to it
    client_as_seen: str   # the client's address as the server sees it: what an active command must show to it


def snat(lab, plan):
    r"""Client behind SNAT.

        client ----------------- [ router ] ----------------- server
           client    client_router        server_router       server
                       source client -> public_client
    """
    scene = one_router(lab, plan, dial=plan.server, client_as_seen=plan.public_client)
    firewall.install(*scene.routers, snat=[Nat(source=plan.client, to=plan.public_client)])
    return scene


def dnat(lab, plan):
    r"""Server behind DNAT.

        client ----------------- [ router ] ----------------- server
           client    client_router        server_router       server
                  destination public_server:21 -> server
    """
    scene = one_router(lab, plan, dial=plan.public_server, client_as_seen=plan.client)
    firewall.install(*scene.routers, dnat=[_to_server(plan)])
    return scene


def both(lab, plan):
    r"""Both ends NATed by one router.

        client ----------------- [ router ] ----------------- server
           client    client_router        server_router       server
                  destination public_server:21 -> server
                       source client -> public_client
    """
    scene = one_router(lab, plan, dial=plan.public_server, client_as_seen=plan.public_client)
    firewall.install(*scene.routers, dnat=[_to_server(plan)], snat=[Nat(source=plan.client, to=plan.public_client)])
    return scene


def one_to_one(lab, plan):
    r"""Each end has a public address of its own, for every port and both directions.

        client ----------------- [ router ] ----------------- server
           client    client_router        server_router       server
                         client <-> public_client
                         server <-> public_server
    """
    scene = one_router(lab, plan, dial=plan.public_server, client_as_seen=plan.public_client)
    pairs = ((plan.client, plan.public_client), (plan.server, plan.public_server))
    firewall.install(*scene.routers,
                     dnat=[Nat(destination=public, to=inside) for inside, public in pairs],
                     snat=[Nat(source=inside, to=public) for inside, public in pairs])
    return scene


def no_nat(lab, plan):
    r"""A pure firewall.

        client ----------------- [ router ] ----------------- server
           client    client_router        server_router       server
    """
    scene = one_router(lab, plan, dial=plan.server, client_as_seen=plan.client)
    firewall.install(*scene.routers)
    return scene


def bridge_unseen(router):
    """What a bridge on the router only bridges is not the IP firewall's business, as it is where br_netfilter is part of the
    kernel or loaded. (Then it would also pass by rules of priority 0 in a table of family bridge.)"""
    if router.has_sysctl("net.bridge.bridge-nf-call-iptables"):
        router.sysctl("net.bridge.bridge-nf-call-iptables", 0)
        router.sysctl("net.bridge.bridge-nf-call-ip6tables", 0)


def hairpin(lab, plan):
    r"""The client dials the public address of a server in its own network.

        client -- server_neighbour --+
                                   bridge -- server_router [ router ]   (public_server)
        server -- server ------------+
                  destination public_server:21 -> server
          source own network, destination server -> server_router
    """
    router = lab.router("router")
    client, server = lab.namespace("client"), lab.namespace("server")
    router.ip("link add inside type bridge", "link set inside up",
              f"address add {in_network(plan.server_router)} dev inside nodad",
              f"address add {host_prefix(plan.public_server)} dev lo nodad")
    bridge_unseen(router)
    for host, address, port in ((client, plan.server_neighbour, "to_client"), (server, plan.server, "to_server")):
        connect(router, port, host, "uplink")
        router.ip(f"link set {port} master inside")
        host.ip(f"address add {in_network(address)} dev uplink nodad")
    client.ip(f"route add {host_prefix(plan.public_server)} via {plan.server_router}")
    firewall.install(router, dnat=[_to_server(plan)],
                     snat=[Nat(source=plan.server_neighbour, destination=plan.server, to=plan.server_router)])
    return Scene(plan, client, server, (router,), dial=plan.public_server, client_as_seen=plan.server_router)


def two_gateways(lab, plan):
    r"""The client behind the SNAT of one gateway, the server behind the DNAT of another.

        client --------- [ router1 ] -------------- [ router2 ] --------- server
           client  client_router  transit_client  transit_server  server_router  server
            source client -> public_client    destination public_server:21 -> server
    """
    router1, router2 = lab.router("router1"), lab.router("router2")
    client = attach(lab.namespace("client"), plan.client, router1, plan.client_router)
    server = attach(lab.namespace("server"), plan.server, router2, plan.server_router)
    connect(router1, "to_router2", router2, "to_router1")
    router1.ip(f"address add {in_network(plan.transit_client)} dev to_router2 nodad",
               f"address add {host_prefix(plan.public_client)} dev lo nodad",
               f"route add {host_prefix(plan.public_server)} via {plan.transit_server}")
    router2.ip(f"address add {in_network(plan.transit_server)} dev to_router1 nodad",
               f"address add {host_prefix(plan.public_server)} dev lo nodad",
               f"route add {host_prefix(plan.public_client)} via {plan.transit_client}")
    add_route(client, plan.public_server, plan.client_router)
    add_route(server, plan.public_client, plan.server_router)
    firewall.install(router1, snat=[Nat(source=plan.client, to=plan.public_client)])
    firewall.install(router2, dnat=[_to_server(plan)])
    return Scene(plan, client, server, (router1, router2), dial=plan.public_server, client_as_seen=plan.public_client)


TOPOLOGIES = {"snat": snat, "dnat": dnat, "hairpin": hairpin, "both": both, "one_to_one": one_to_one,
              "no_nat": no_nat, "two_gateways": two_gateways}


def attach(host, address, router, router_address):
    """Joins a host to the router by a network of its own, and returns the host."""
    connect(router, f"to_{host.label}", host, "uplink")
    router.ip(f"address add {in_network(router_address)} dev to_{host.label} nodad")
    host.ip(f"address add {in_network(address)} dev uplink nodad")
    return host


def add_route(host, destination, router_address):
    host.ip(f"route add {host_prefix(destination)} via {router_address}")


def add_other_client(lab, scene):
    """One more client behind the scene's only router, in a network of its own; returns it, without a route."""
    [router] = scene.routers
    return attach(lab.namespace("other_client"), scene.plan.other_client, router, scene.plan.other_client_router)


def one_router(lab, plan, dial, client_as_seen):
    """client -- router -- server, the router owning both public addresses; no rules yet."""
    router = lab.router("router")
    client = attach(lab.namespace("client"), plan.client, router, plan.client_router)
    server = attach(lab.namespace("server"), plan.server, router, plan.server_router)
    router.ip(f"address add {host_prefix(plan.public_client)} dev lo nodad",
              f"address add {host_prefix(plan.public_server)} dev lo nodad")
    add_route(client, dial, plan.client_router)
    add_route(server, client_as_seen, plan.server_router)
    return Scene(plan, client, server, (router,), dial, client_as_seen)


def _to_server(plan):
    return Nat(destination=plan.public_server, destination_port=21, to=plan.server)
