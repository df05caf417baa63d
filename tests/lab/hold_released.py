# SPDX-License-Identifier: GPL-2.0-or-later
"""The beginning of a line whose rest does not come is held, and then sent on as it is: hold_released.py CASE

    client ----------------- [ router ] ----------------- server
       client    client_router        server_router       server
              destination public_server:21 -> server
                   source client -> public_client

After ten seconds (after_its_time), or when the gateway ends (at_the_end). The rest, when it comes at last, follows it, and
the control connection is in order. Both directions, both families.
"""

import time

import gateway
import runner
from address import plans
from failure import Failure, expect_equal, patient
from lab import Lab
from talk import Talk
from topology import both

HOLD_SECONDS = 10
HOLD_MARGIN_SECONDS = 1
COMMANDS = {"ipv4": (b"PORT 10,0,", b"1,2,200,1\r\n"), "ipv6": (b"EPRT |2|fd00", b":1::2|51201|\r\n")}
REPLIES = {"ipv4": ("PASV", b"227 Entering Passive Mode (10,0,", b"2,2,200,1).\r\n"),
           "ipv6": ("EPSV", b"229 Entering Extended Passive Mode (||", b"|51201|)\r\n")}


def after_its_time():
    # All at once: what takes time is to wait for the gateway.
    with Lab() as lab:
        logged_in = [(direction, *_log_in(lab, family)) for family in COMMANDS for direction in (_Command, _Reply)]
        running = [direction(*session) for direction, *session in logged_in]
        for each in running:
            each.expect_held()
        for each in running:
            each.expect_released()
        for each in running:
            each.complete()
            each.router.stop()


def at_the_end():
    for family in COMMANDS:
        for direction in (_Command, _Reply):
            with Lab() as lab:
                half = direction(*_log_in(lab, family))
                half.expect_held()
                half.router.stop()
                half.expect_beginning()
                half.complete()


def _log_in(lab, family):
    """A session, its gateway and its family."""
    scene = both(lab, plans(family)[0])
    [router] = gateway.start_all(lab, scene)
    talk = lab.enter_context(Talk(scene))
    talk.log_in()
    return talk, router, family


class _HalfLine:
    """A line of which the beginning has been written, and not the rest."""

    def __init__(self, talk, router, sender, receiver, beginning, rest):
        self.talk = talk
        self.router = router
        self.sender = sender
        self.receiver = receiver
        self.beginning = beginning
        self.rest = rest
        self.began = time.monotonic()
        sender.write(beginning)
        sender.wait_until_acknowledged()

    def expect_held(self):
        expect_equal(f"what the {self.receiver.name} has of a line that is held", b"", self.receiver.arrived())

    def expect_released(self):
        self.receiver.socket.settimeout(HOLD_SECONDS + patient(5))
        self.expect_beginning()
        took = time.monotonic() - self.began
        if took < HOLD_SECONDS - HOLD_MARGIN_SECONDS:
            raise Failure(f"a line was to be held for {HOLD_SECONDS} s, and was for {took:.1f} s")

    def expect_beginning(self):
        expect_equal(f"what the {self.receiver.name} gets of a line that is held no more", self.beginning,
                     self.receiver.hear_bytes(len(self.beginning)))

    def complete(self):
        """The rest of the line comes as it was written: its beginning has left, so that nothing can be edited."""
        self.sender.write(self.rest)
        self.receiver.hear(self.rest.decode().removesuffix("\r\n"))
        self.answer()
        self.talk.exchange("NOOP", "200 Still here.")

    def answer(self):
        """What the other end says to the line."""


class _Command(_HalfLine):
    def __init__(self, talk, router, family):
        super().__init__(talk, router, talk.client, talk.server, *COMMANDS[family])

    def answer(self):
        self.talk.reply("500 Rather not.")


class _Reply(_HalfLine):
    def __init__(self, talk, router, family):
        command, beginning, rest = REPLIES[family]
        talk.client.say(command)
        talk.server.hear(command)
        super().__init__(talk, router, talk.server, talk.client, beginning, rest)


if __name__ == "__main__":
    runner.main_of({"after_its_time": after_its_time, "at_the_end": at_the_end})
