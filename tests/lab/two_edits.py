# SPDX-License-Identifier: GPL-2.0-or-later
"""Two lines that change in one segment: two_edits.py

    client ----------------- [ router ] ----------------- server
       client    client_router        server_router       server
              destination public_server:21 -> server
                   source client -> public_client

The kernel keeps one correction of a direction's sequence numbers, the last, so the second line has to wait until the
first has been acknowledged. Both arrive, the data connection of the second works, and the gateway says at its end how
often a line had to wait.
"""

import re

import gateway
import runner
from address import plans
from failure import Failure
from lab import Lab
from talk import ASKING, Talk, parse_passive_reply, passive_reply
from topology import both

CODES = {"ipv4": "227", "ipv6": "228"}
PORT = 51201
WAITED = re.compile(r"in all (\d+) times: what came before this line is not acknowledged yet")


def main():
    for family, code in CODES.items():
        with Lab() as lab:
            scene = both(lab, plans(family)[0])
            [router] = gateway.start_all(lab, scene)
            talk = lab.enter_context(Talk(scene))
            talk.log_in()
            _two_replies(talk, code)
            talk.exchange("NOOP", "200 Still here.")
            router.stop()
            if not WAITED.search(router.process.log()):
                raise Failure("the gateway does not say that a line had to wait")


def _two_replies(talk, code):
    """The client has asked twice at once, and both replies fill one segment."""
    def write(server, line):
        server.write(passive_reply(code, talk.scene.plan.server, PORT) + line)
        heard = parse_passive_reply(code, talk.client.hear_line(), talk.dial)
        if heard != (talk.dial, PORT):
            raise Failure(f"the first reply tells the client {heard}")

    talk.client.say(ASKING[code])
    talk.server.hear(ASKING[code])
    talk.passive_transfer(code, write)


if __name__ == "__main__":
    runner.main(main)
