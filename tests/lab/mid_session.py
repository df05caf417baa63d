# SPDX-License-Identifier: GPL-2.0-or-later
"""The daemon is started on running sessions: mid_session.py any_first_line|port_first

Its rules are there before: the carrier must be, and with queue bypass they let everything by while nobody listens.
"""

import gateway
import runner
from address import plans
from failure import expect_equal
from lab import Lab
from servers import Pyftpdlib
from session import Session, converse, expect_advertised, modes
from talk import Talk, announcement
from topology import both


def any_first_line():
    """ftplib says TYPE before it announces: from the first transfer on there is normal service."""
    for family in ("ipv4", "ipv6"):
        for mode in modes(family):
            with Lab() as lab:
                scene = _with_rules_only(lab, family)
                server = Pyftpdlib(lab, scene.server, scene.plan.server)
                with Session(scene.client, server, scene.dial, mode) as session:
                    session.noop()
                    [router] = gateway.start_all(lab, scene)
                    converse(session)
                    expect_advertised(session, server, mode, scene)
                router.wait_for_no_expectation()
                router.stop()


def port_first():
    """The first bytes after the start are a PORT: that they begin a line is not certain, so they pass as they
    are. The next announcement, behind the end of that line, works."""
    for family, verb in (("ipv4", "PORT"), ("ipv6", "EPRT")):
        with Lab() as lab:
            scene = _with_rules_only(lab, family)
            with Talk(scene) as talk:
                talk.log_in()
                [router] = gateway.start_all(lab, scene)
                talk.exchange(_some_announcement(verb, talk), f"500 {verb} of somebody else.")
                for _ in range(3):
                    talk.active_transfer(verb)
                    talk.passive_transfer("229")
                talk.exchange("NOOP", "200 Still here.")
            router.wait_for_no_expectation()
            router.stop()


def _with_rules_only(lab, family):
    scene = both(lab, plans(family)[0])
    [router] = scene.routers
    applied = gateway.ftpalg(router, "rules", "apply", "--queue", "0")
    expect_equal(f"exit status of ftpalg rules apply, which said:\n{applied.stdout}{applied.stderr}",
                 0, applied.returncode)
    return scene


def _some_announcement(verb, talk):
    return announcement(verb, talk.client.socket.getsockname()[0], 51201).decode().removesuffix("\r\n")


if __name__ == "__main__":
    runner.main_of({"any_first_line": any_first_line, "port_first": port_first})
