# SPDX-License-Identifier: GPL-2.0-or-later
r"""The router itself is an end of the conversation: router_peer.py server|client

    client ----------------- [ router ] ----------------- server
       client    client_router        server_router       server

Nothing comes into the router but control connections and what is established or related.
"""

import firewall
import gateway
import runner
from address import plans
from lab import Lab
from servers import Pyftpdlib
from session import Session, converse, modes
from topology import no_nat


def server():
    """The client talks to a server on the router."""
    _in_every_mode(lambda scene: (scene.client, scene.routers[0], scene.plan.client_router))


def client():
    """A client on the router talks to the server."""
    _in_every_mode(lambda scene: (scene.routers[0], scene.server, scene.plan.server))


def _in_every_mode(choose_ends):
    for family in ("ipv4", "ipv6"):
        with Lab() as lab:
            scene = no_nat(lab, plans(family)[0])
            client_host, server_host, address = choose_ends(scene)
            firewall.close_own_doors(*scene.routers)
            ftp_server = Pyftpdlib(lab, server_host, address)
            [router] = gateway.start_all(lab, scene)
            for mode in modes(family):
                with Session(client_host, ftp_server, address, mode) as session:
                    converse(session, upload=f"up.{mode}")
            router.wait_for_no_expectation()
            router.stop()


if __name__ == "__main__":
    runner.main_of({"server": server, "client": client})
