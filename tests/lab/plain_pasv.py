# SPDX-License-Identifier: GPL-2.0-or-later
"""PASV over IPv6, which a server refuses, leaves the session usable."""

import gateway
import runner
from address import plans
from lab import Lab
from servers import Pyftpdlib
from session import Session, converse
from topology import both


def plain_pasv():
    plan = plans("ipv6")[0]
    with Lab() as lab:
        scene = both(lab, plan)
        server = Pyftpdlib(lab, scene.server, plan.server)
        [router] = gateway.start_all(lab, scene)
        with Session(scene.client, server, scene.dial, "EPSV") as session:
            session.expect_reply("PASV", "522")
            converse(session)
        router.wait_for_no_expectation()
        router.stop()


if __name__ == "__main__":
    runner.main(plain_pasv)
