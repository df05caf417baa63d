# SPDX-License-Identifier: GPL-2.0-or-later
r"""A public address that somebody else maps one to one: external_address.py CASE

    client ------------ [ cloud ] ------------ [ machine ] ------------ server
      client   client_router  transit_client  transit_server  server_router  server
           public_server <-> server             |
                                            other_client (inside) dials server

The cloud translates headers and no payload. The machine does not translate: ftpalg runs there, and shifts the
sequence numbers itself. Or the machine is the server: then there is no network behind it.
"""

import dataclasses
import ipaddress
import json

import gateway
import runner
from address import host_prefix, in_network, plans
from failure import Failure, expect_equal
from firewall import Nat, close_own_doors, install
from lab import Lab
from namespace import connect
from talk import Talk
from topology import Scene, add_other_client, add_route, attach

LIBERAL = "net.netfilter.nf_conntrack_tcp_be_liberal"
TRANSFERS = 4  # of each kind in one session: offsets add up


def router():
    """A router without NAT, in front of the server."""
    _every_plan(_behind_router, has_inside=True)


def host():
    """The machine of the server itself."""
    _every_plan(_on_server, has_inside=False)


def not_liberal():
    """Without the liberal window check of conntrack `check` fails and `run` refuses; the named sysctl mends it."""
    option = ("--external-address", "10.0.2.2=203.0.113.222")
    with Lab() as lab:
        machine = lab.router("machine")
        machine.sysctl(LIBERAL, 0)
        applied = gateway.ftpalg(machine, "rules", "apply", *option)
        expect_equal(f"exit status of ftpalg rules apply, which said:\n{applied.stderr}", 0, applied.returncode)
        refused = gateway.ftpalg(machine, "run", "--socket", "none", *option)
        if refused.returncode == 0 or f"sysctl -w {LIBERAL}=1" not in refused.stderr:
            raise Failure(f"ftpalg run was to name the sysctl that is missing, and said:\n{refused.stderr}")
        text = gateway.ftpalg(machine, "check", *option).stdout
        if not any("FAIL" in line and LIBERAL in line for line in text.splitlines()):
            raise Failure(f"ftpalg check was to say FAIL for {LIBERAL}, and said:\n{text}")
        done = gateway.ftpalg(machine, "check", "--json", *option)
        expect_equal("exit status of ftpalg check", 1, done.returncode)
        [wrong] = [finding for finding in json.loads(done.stdout)["findings"]
                   if finding["severity"] == "needed" and not finding["ok"]]
        expect_equal("what is to be mended", f"sysctl -w {LIBERAL}=1", wrong["mend"])
        machine.run("sh", "-c", wrong["mend"])
        mended = gateway.ftpalg(machine, "check", *option)
        expect_equal(f"exit status of ftpalg check after its mend, which said:\n{mended.stdout}", 0,
                     mended.returncode)


def _every_plan(lay_out, has_inside):
    for family in ("ipv4", "ipv6"):
        for plan in plans(family):
            print(plan.name, flush=True)
            with Lab() as lab:
                scene = lay_out(lab, _with_client_outside(plan))
                [machine] = scene.routers
                machine.sysctl(LIBERAL, 1)
                daemon = gateway.Gateway(lab, machine, "--external-address", f"{plan.server}={plan.public_server}")
                with Talk(scene) as talk:
                    _converse(talk, family)
                if has_inside:
                    with _inside_talk(lab, scene) as talk:
                        _converse(talk, family)
                daemon.wait_for_no_expectation()
                daemon.stop()


def _with_client_outside(plan):
    """The plan with a client on a public network: to those on private ones no external address is told."""
    network = ipaddress.ip_interface(in_network(plan.public_client)).network
    return dataclasses.replace(plan, client=plan.public_client, client_router=str(network[254]))


def _converse(talk, family):
    """Several transfers each way. What the client heard is checked by the talk."""
    codes = ("227", "229") if family == "ipv4" else ("228", "229")
    verbs = ("PORT", "EPRT") if family == "ipv4" else ("LPRT", "EPRT")
    talk.log_in()
    for _ in range(TRANSFERS):
        for code in codes:
            talk.passive_transfer(code)
        for verb in verbs:
            talk.active_transfer(verb)
        talk.exchange("NOOP", "200 Still here.")
    talk.exchange("STAT", "211 No features; " + 1000 * "x")


def _inside_talk(lab, scene):
    """An inside client dials the inside address, and is told that one."""
    plan = scene.plan
    inside = add_other_client(lab, scene)
    add_route(inside, plan.server, plan.other_client_router)
    add_route(scene.server, plan.other_client, plan.server_router)
    return Talk(scene, dial=plan.server, client=inside, client_as_seen=plan.other_client)


def _behind_router(lab, plan):
    cloud, machine = _cloud(lab, plan), lab.router("machine")
    connect(cloud, "to_machine", machine, "to_cloud")
    server = attach(lab.namespace("server"), plan.server, machine, plan.server_router)
    add_route(server, plan.client, plan.server_router)
    cloud.ip(f"address add {in_network(plan.transit_client)} dev to_machine nodad",
             f"route add {host_prefix(plan.server)} via {plan.transit_server}")
    machine.ip(f"address add {in_network(plan.transit_server)} dev to_cloud nodad",
               f"route add {host_prefix(plan.client)} via {plan.transit_client}")
    return _scene(lab, plan, cloud, machine, server)


def _on_server(lab, plan):
    cloud, server = _cloud(lab, plan), lab.router("server")
    attach(server, plan.server, cloud, plan.server_router)
    add_route(server, plan.client, plan.server_router)
    return _scene(lab, plan, cloud, server, server)


def _cloud(lab, plan):
    cloud = lab.router("cloud")
    cloud.ip(f"address add {host_prefix(plan.public_server)} dev lo nodad")
    # All forwarding is open: what may pass is decided at the machine.
    family = {"ipv4": "ip", "ipv6": "ip6"}[plan.family]
    cloud.nft(f"""
        table inet cloud {{
            chain prerouting {{
                type nat hook prerouting priority dstnat;
                {Nat(destination=plan.public_server, to=plan.server).rule("dnat")}
            }}
            chain postrouting {{
                type nat hook postrouting priority srcnat;
                {family} saddr {plan.server} snat {family} to {plan.public_server}
            }}
        }}""")
    return cloud


def _scene(lab, plan, cloud, machine, server):
    client = attach(lab.namespace("client"), plan.client, cloud, plan.client_router)
    add_route(client, plan.public_server, plan.client_router)
    if machine is server:
        close_own_doors(machine)
    else:
        install(machine)
    return Scene(plan, client, server, (machine,), dial=plan.public_server, client_as_seen=plan.client)




if __name__ == "__main__":
    runner.main_of({"router": router, "host": host, "not_liberal": not_liberal})
