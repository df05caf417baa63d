# SPDX-License-Identifier: GPL-2.0-or-later
"""Control ports other than 21: control_ports.py several|public_differs"""

import firewall
import gateway
import runner
from address import plans
from firewall import Nat
from lab import Lab
from servers import Pyftpdlib
from session import Session, converse, modes
from topology import one_router

PORTS = (21, 2121, 8021)


def several():
    """One router, one server per port, all ports at once."""
    for family in ("ipv4", "ipv6"):
        plan = plans(family)[0]
        with Lab() as lab:
            scene = one_router(lab, plan, dial=plan.server, client_as_seen=plan.public_client)
            firewall.install(*scene.routers, snat=[Nat(source=plan.client, to=plan.public_client)], control_ports=PORTS)
            servers = {port: Pyftpdlib(lab, scene.server, plan.server, port) for port in PORTS}
            options = [option for port in PORTS for option in ("--port", port)]
            [router] = gateway.start_all(lab, scene, *options)
            for mode in modes(family):
                sessions = [Session(scene.client, server, scene.dial, mode, port) for port, server in servers.items()]
                for session in sessions:
                    with session:
                        converse(session, upload=f"up.{mode}")
            router.wait_for_no_expectation()
            router.stop()


def public_differs():
    """Clients dial port 2121 of the public address and come to port 21 of the server."""
    for family in ("ipv4", "ipv6"):
        plan = plans(family)[0]
        with Lab() as lab:
            scene = one_router(lab, plan, dial=plan.public_server, client_as_seen=plan.public_client)
            firewall.install(*scene.routers, snat=[Nat(source=plan.client, to=plan.public_client)],
                             dnat=[Nat(destination=plan.public_server, destination_port=2121, to=plan.server, port=21)])
            server = Pyftpdlib(lab, scene.server, plan.server)
            [router] = gateway.start_all(lab, scene, "--port", 2121)
            for mode in modes(family):
                with Session(scene.client, server, scene.dial, mode, port=2121) as session:
                    converse(session, upload=f"up.{mode}")
            router.wait_for_no_expectation()
            router.stop()


if __name__ == "__main__":
    runner.main_of({"several": several, "public_differs": public_differs})
