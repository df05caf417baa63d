# SPDX-License-Identifier: GPL-2.0-or-later
r"""What is advertised is the address that this client dialled (protocol rule 25): dialled_address.py FAMILY

    client --------------------- [ router ] --------------------- server
       dials public_server           |                            server
                                other_client
                                   dials server
                  destination public_server:21 -> server
"""

import sys

import gateway
import runner
from address import plans
from failure import expect_equal
from lab import Lab
from servers import Pyftpdlib
from session import PASSIVE_MODES, Session, converse, modes
from topology import add_other_client, add_route, dnat


def dialled_address(family):
    for plan in plans(family):
        with Lab() as lab:
            scene = dnat(lab, plan)
            inside = add_other_client(lab, scene)
            add_route(inside, plan.server, plan.other_client_router)
            add_route(scene.server, plan.other_client, plan.server_router)
            server = Pyftpdlib(lab, scene.server, plan.server)
            [router] = gateway.start_all(lab, scene)
            for mode in modes(family):
                _both_at_once(scene, inside, server, mode)
            router.wait_for_no_expectation()
            router.stop()


def _both_at_once(scene, inside, server, mode):
    with (Session(scene.client, server, scene.dial, mode) as outside_session,
          Session(inside, server, scene.plan.server, mode) as inside_session):
        converse(outside_session, upload=f"outside.{mode}")
        converse(inside_session, upload=f"inside.{mode}")
        if mode in PASSIVE_MODES:
            for session, dialled in ((outside_session, scene.dial), (inside_session, scene.plan.server)):
                expect_equal(f"addresses shown by {mode} to {session.namespace.label}", [dialled] * 4,
                             [host for host, _port in session.advertised])


if __name__ == "__main__":
    runner.main(dialled_address, *sys.argv[1:])
