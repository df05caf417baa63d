# SPDX-License-Identifier: GPL-2.0-or-later
r"""A router whose flowtable takes connections past the firewall: flowtable.py FAMILY

    client ----------------- [ router ] ----------------- server
       client    client_router        server_router       server
              destination public_server:21 -> server
                   source client -> public_client
              every established connection -> flowtable of to_client, to_server

Control connections stay where the gateway sees them, because the kernel leaves those out that bear a helper or sequence
offsets; data connections take the short way. Needs nf_flow_table, which Debian's stock kernel has: tests/lab/vm.
"""

import sys

import gateway
import runner
from address import plans
from failure import Failure, expect_equal, wait_until
from lab import Lab
from servers import Pyftpdlib
from session import Session, converse, modes, read_all
from topology import both

# More than the sockets' buffers take: it is under way until the client has read it.
FILE_BYTES = 8_000_000
FIRST_BYTES = 100_000


def flowtable(family):
    with Lab() as lab:
        scene = both(lab, plans(family)[0])
        [router] = scene.routers
        server = Pyftpdlib(lab, scene.server, scene.plan.server)
        server.add_file("long.bin", FILE_BYTES)
        [running] = gateway.start_all(lab, scene)
        router.nft("""
            table inet short_way {
                flowtable established {
                    hook ingress priority filter
                    devices = { to_client, to_server }
                }
                chain forward {
                    type filter hook forward priority filter - 1
                    meta l4proto tcp ct state established flow add @established
                }
            }""")
        for mode in modes(family):
            with Session(scene.client, server, scene.dial, mode) as session:
                # More than once, as the control connection could have been taken away after the first.
                for _ in range(2):
                    _expect_data_only(session, server, router)
                before = running.packets_queued()
                session.noop()
                if running.packets_queued() == before:
                    raise Failure(f"{mode}: the gateway does not see the control connection any more")
                converse(session, upload=f"up.{mode}")
        running.wait_for_no_expectation()
        running.stop()


def _expect_data_only(session, server, router):
    """In the middle of a download its data connection is offloaded, and the control connection is not."""
    with session.open_download("long.bin") as connection:
        content = b""
        while len(content) < FIRST_BYTES:
            content += connection.recv(FIRST_BYTES)
        wait_until(lambda: _offloaded(router, control=False), "the data connection is offloaded")
        expect_equal("offloaded control connections", [], _offloaded(router, control=True))
        content += read_all(connection)
    session.expect_content("long.bin", content)


def _offloaded(router, control):
    """The connections, control or others, that the flowtable has, as conntrack(8) prints them."""
    lines = [line for family in ("ipv4", "ipv6") for line in router.run("conntrack", "-L", "-f", family).splitlines()]
    return [line for line in lines if "[OFFLOAD]" in line and (" dport=21 " in line) == control]


if __name__ == "__main__":
    runner.main(flowtable, *sys.argv[1:])
