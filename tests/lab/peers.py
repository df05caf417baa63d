# SPDX-License-Identifier: GPL-2.0-or-later
"""A real server and a real client, both ends NATed: peers.py SERVER CLIENT active|passive, over both families."""

import sys

import clients
import gateway
import runner
from address import plans
from lab import Lab
from servers import SERVERS
from topology import both


def peers(server_name, client, direction):
    for family in ("ipv4", "ipv6"):
        plan = plans(family)[0]
        print(f"{server_name} {client} {direction} {plan.name}", flush=True)
        with Lab() as lab:
            scene = both(lab, plan)
            server = SERVERS[server_name](lab, scene.server, plan.server)
            [router] = gateway.start_all(lab, scene)
            directory = lab.directory / "client"
            directory.mkdir()
            clients.do(client, clients.Job(scene.client, server, scene.dial, direction == "active", directory))
            router.wait_for_no_expectation()
            router.stop()


if __name__ == "__main__":
    runner.main(peers, *sys.argv[1:])
