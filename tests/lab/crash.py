# SPDX-License-Identifier: GPL-2.0-or-later
"""The daemon dies between packets, and nobody who transfers a file notices: crash.py MODE FAMILY"""

import sys

import gateway
import runner
from address import plans
from failure import Failure
from lab import Lab
from servers import Pyftpdlib
from session import Session, converse, read_all
from topology import both

# pyftpdlib pauses after each second's worth of bytes, but not after the first: this download pauses once.
LARGE_FILE_BYTES = 400_000
BYTES_PER_SECOND = 150_000


def crash(mode, family):
    plan = plans(family)[0]
    with Lab() as lab:
        scene = both(lab, plan)
        server = Pyftpdlib(lab, scene.server, plan.server, bytes_per_second=BYTES_PER_SECOND)
        server.add_file("large.bin", LARGE_FILE_BYTES)
        [router] = gateway.start_all(lab, scene)
        with Session(scene.client, server, scene.dial, mode) as session:
            session.download("one.bin")
            with session.open_download("large.bin") as connection:
                beginning = connection.recv(1000)
                router.kill()
                if "large.bin completed" in server.process.log():
                    raise Failure("the transfer was over before the daemon was, so this run proves nothing")
                content = beginning + read_all(connection)
            session.expect_content("large.bin", content)
            session.noop()
            _control_connections_are_open(scene, server, mode)

            [router] = gateway.start_all(lab, scene)
            session.noop()
            session.download("two.bin")
            session.upload("after_restart.bin")
            session.noop()
            session.quit()
        with Session(scene.client, server, scene.dial, mode) as session:
            converse(session)
        router.wait_for_no_expectation()
        router.stop()


def _control_connections_are_open(scene, server, mode):
    """With the daemon gone its rules let everything by: a new control connection comes through."""
    with Session(scene.client, server, scene.dial, mode) as session:
        session.noop()
        session.quit()


if __name__ == "__main__":
    runner.main(crash, *sys.argv[1:])
