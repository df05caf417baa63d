# SPDX-License-Identifier: GPL-2.0-or-later
"""One cell of the matrix: matrix.py TOPOLOGY MODE FAMILY, in both address plans of the family."""

import sys

import gateway
import runner
from address import plans
from lab import Lab
from servers import Pyftpdlib
from session import Session, converse, expect_advertised
from topology import TOPOLOGIES


def cell(topology, mode, family):
    for plan in plans(family):
        print(f"{topology} {mode} {plan.name}", flush=True)
        with Lab() as lab:
            scene = TOPOLOGIES[topology](lab, plan)
            server = Pyftpdlib(lab, scene.server, plan.server)
            gateways = gateway.start_all(lab, scene)
            with Session(scene.client, server, scene.dial, mode) as session:
                converse(session)
                expect_advertised(session, server, mode, scene)
            for each in gateways:
                each.wait_for_no_expectation()
                each.stop()


if __name__ == "__main__":
    runner.main(cell, *sys.argv[1:])
