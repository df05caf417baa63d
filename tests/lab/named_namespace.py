# SPDX-License-Identifier: GPL-2.0-or-later
r"""The router is a network namespace with a name, and the gateway is started in it from outside: named_namespace.py FAMILY

    client ----------------- [ router ] ----------------- server
       client    client_router        server_router       server
              destination public_server:21 -> server
                   source client -> public_client

    outside$ ip netns add router
    outside$ ip netns exec router ftpalg rules apply
    outside$ ip netns exec router ftpalg check
    outside$ ip netns exec router ftpalg run

(All live tests have their gateway in a network namespace; here it comes there as people do it.) Nothing changes outside.
"""

import os
import signal
import sys

import firewall_state
import gateway
import runner
from address import plans
from failure import expect_equal
from lab import Lab
from namespace import Namespace
from servers import Pyftpdlib
from session import Session, converse, modes
from topology import both


class _NamedNamespace(Namespace):
    """Made by ip(8)."""

    def __init__(self, label, outside):
        self.label = label
        self.name = f"ftpalg-lab-{os.getpid()}"
        self._outside = outside
        outside.ip(f"netns add {self.name}")
        self._fd = os.open(f"/run/netns/{self.name}", os.O_RDONLY | os.O_CLOEXEC)
        self.path = f"/proc/{os.getpid()}/fd/{self._fd}"
        self.sysctl("net.ipv6.conf.default.accept_dad", 0)
        self.ip("link set lo up")

    def close(self):
        super().close()
        self._outside.ip(f"netns delete {self.name}")


class _Lab(Lab):
    """Its router has a name."""

    def __init__(self):
        super().__init__()
        self.outside = super().namespace("outside")

    def namespace(self, label):
        if label != "router":
            return super().namespace(label)
        namespace = _NamedNamespace(label, self.outside)
        self.callback(namespace.close)
        return namespace


def named_namespace(family):
    with _Lab() as lab:
        scene = both(lab, plans(family)[0])
        [router] = scene.routers
        server = Pyftpdlib(lab, scene.server, scene.plan.server)
        rules_outside = firewall_state.read(lab.outside)
        in_router = ("ip", "netns", "exec", router.name, gateway.PROGRAM)
        for command in (("rules", "apply"), ("check",)):
            lab.outside.run(*in_router, *command, *gateway.format_options())
        running = lab.start("ftpalg", lab.outside, *in_router, "run", "--socket", "none", *gateway.format_options())
        running.wait_for_log("ready on queue")
        for mode in modes(family):
            with Session(scene.client, server, scene.dial, mode) as session:
                converse(session, upload=f"up.{mode}")
        running.signal(signal.SIGTERM)
        expect_equal("exit status of ftpalg", 0, running.wait_for_exit())
        firewall_state.expect_same("rules outside", rules_outside, firewall_state.read(lab.outside))


if __name__ == "__main__":
    runner.main(named_namespace, *sys.argv[1:])
