# SPDX-License-Identifier: GPL-2.0-or-later
r"""The router's addresses change while the gateway runs: address_change.py CASE FAMILY

    client ----------------- [ router ] ----------------- server
       client    client_router        server_router       server
              what it dials of the router's, port 21 -> server
                   masquerade

A new session is told the new addresses, without a reload. What becomes of an old one is conntrack's business.
"""

import contextlib
import ipaddress
import sys

import firewall
import gateway
import runner
from address import in_network, plans
from failure import wait_until
from lab import Lab
from namespace import connect
from talk import Talk, announcement
from topology import Scene, attach

FIRST_NEW = 64  # of the addresses that the router gets, by its place in the network

TO_CLIENT, TO_SERVER = "to_client", "to_server"

# Who may announce third hosts, so that nothing but the rule about the gateway's own addresses forbids one.
CONFIGURATION = """
[[foreign_addresses]]
announcer = "{client}"
announced = "{everybody}"
"""


class Router:
    """The router between two networks, and the addresses that it has in them now."""

    def __init__(self, lab, plan):
        self.plan = plan
        self.namespace = lab.router("router")
        self.client = attach(lab.namespace("client"), plan.client, self.namespace, plan.client_router)
        self.server = attach(lab.namespace("server"), plan.server, self.namespace, plan.server_router)
        self.addresses = {TO_CLIENT: plan.client_router, TO_SERVER: plan.server_router}
        firewall.install(self.namespace)
        family = {"ipv4": "ip", "ipv6": "ip6"}[plan.family]
        self.namespace.nft(f"""
            add rule inet firewall prerouting iifname {TO_CLIENT} tcp dport 21 dnat {family} to {plan.server}
            add rule inet firewall postrouting oifname {TO_SERVER} masquerade""")

    def scene(self):
        return Scene(self.plan, self.client, self.server, (self.namespace,),
                     dial=self.addresses[TO_CLIENT], client_as_seen=self.addresses[TO_SERVER])

    def replace_addresses(self):
        """As DHCP does."""
        for device, old in self.addresses.items():
            self.addresses[device] = _another(old)
            self.namespace.ip(f"address delete {in_network(old)} dev {device}",
                              f"address add {in_network(self.addresses[device])} dev {device} nodad")

    def replace_interfaces(self):
        """As a PPPoE daemon does that dials anew."""
        for device, host, address in ((TO_CLIENT, self.client, self.plan.client),
                                      (TO_SERVER, self.server, self.plan.server)):
            self.namespace.ip(f"link delete {device}")
            self.addresses[device] = _another(self.addresses[device])
            connect(self.namespace, device, host, "uplink")
            self.namespace.ip(f"address add {in_network(self.addresses[device])} dev {device} nodad")
            host.ip(f"address add {in_network(address)} dev uplink nodad")


def main(case, family):
    for plan in plans(family):
        print(plan.name, flush=True)
        with Lab() as lab:
            _serve(lab, Router(lab, plan), {"replaced": Router.replace_addresses,
                                            "interface_replaced": Router.replace_interfaces}[case])


def _serve(lab, router, change):
    configuration = lab.directory / "ftpalg.toml"
    everybody = "0.0.0.0/0" if router.plan.family == "ipv4" else "::/0"
    configuration.write_text(CONFIGURATION.format(client=router.plan.client, everybody=everybody))
    [running] = gateway.start_all(lab, router.scene(), "--config", configuration)
    old = lab.enter_context(_converse(router))
    for _ in range(2):
        change(router)
        # The old session speaks on, as long as conntrack lets it live.
        with contextlib.suppress(ConnectionError):
            old.client.say("NOOP")
        with _converse(router) as talk:
            _announce_gateway(running, talk, router.addresses[TO_CLIENT])
    running.wait_for_no_expectation()
    running.stop()


@contextlib.contextmanager
def _converse(router):
    """A new session, of which each end is told the address that the router has now."""
    codes, verbs = {"ipv4": (("227", "229"), ("PORT", "EPRT")),
                    "ipv6": (("228", "229"), ("LPRT", "EPRT"))}[router.plan.family]
    with Talk(router.scene()) as talk:
        talk.log_in()
        for code in codes:
            talk.passive_transfer(code)
        for verb in verbs:
            talk.active_transfer(verb)
        yield talk


def _announce_gateway(running, talk, address):
    """The gateway learns within about a second that an address is its own now; from then on nothing is opened for it."""
    refusal = f"EPRT |{1 if ':' not in address else 2}|{address}|50000|': the address is the gateway's own"

    def is_refused():
        talk.client.write(announcement("EPRT", address, 50000))
        talk.server.hear_line()
        talk.reply("500 Not that one.")
        return refusal in running.process.log()

    wait_until(is_refused, f"the log says {refusal!r}", interval=0.1)


def _another(address):
    """Another one in its network."""
    network = ipaddress.ip_interface(in_network(address)).network
    number = int(ipaddress.ip_address(address)) - int(network[0])
    return str(network[number + 1 if FIRST_NEW <= number < FIRST_NEW + 16 else FIRST_NEW])


if __name__ == "__main__":
    runner.main(main, *sys.argv[1:])
