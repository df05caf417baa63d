# SPDX-License-Identifier: GPL-2.0-or-later
"""Many sessions at once through SNAT, in every mode: stress.py FAMILY"""

import concurrent.futures
import itertools
import sys

import gateway
import runner
from address import plans
from lab import Lab
from servers import Pyftpdlib
from session import Session, converse, modes
from topology import snat

SESSIONS = 50


def stress(family):
    plan = plans(family)[0]
    with Lab() as lab:
        scene = snat(lab, plan)
        server = Pyftpdlib(lab, scene.server, plan.server)
        [router] = gateway.start_all(lab, scene)

        def one_session(number, mode):
            with Session(scene.client, server, scene.dial, mode) as session:
                converse(session, upload=f"up.{number}")

        with concurrent.futures.ThreadPoolExecutor(SESSIONS) as pool:
            running = [pool.submit(one_session, number, mode)
                       for number, mode in zip(range(SESSIONS), itertools.cycle(modes(family)))]
        for each in running:
            each.result()
        router.wait_for_no_expectation()
        router.stop()


if __name__ == "__main__":
    runner.main(stress, *sys.argv[1:])
