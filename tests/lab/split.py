# SPDX-License-Identifier: GPL-2.0-or-later
"""Lines that come in several segments: split.py PORT|EPRT|227|228|229 nagle|nodelay pieces|bytes

The gateway holds the beginning of a line that it may have to edit, and acknowledges it to the sender in the
receiver's name: nobody else would, and a sender with Nagle would keep the rest for ever.
"""

import sys

import gateway
import runner
from address import plans
from failure import Failure
from lab import Lab
from talk import Talk
from topology import dnat, hairpin, snat

FAMILIES = {"PORT": ["ipv4"], "EPRT": ["ipv4", "ipv6"],
            "227": ["ipv4"], "228": ["ipv4", "ipv6"], "229": ["ipv4", "ipv6"]}
OTHER_PORTS = (50000, 59999)
LINES_BYTE_BY_BYTE = 3


class CutLines:
    """Writes lines in several segments."""

    def __init__(self, nodelay, await_acknowledgement):
        self.nodelay = nodelay
        self.await_acknowledgement = await_acknowledgement
        self.longest = 0
        self.cut = lambda line: [line]
        self.held_pieces = 0

    def __call__(self, end, line):
        self.longest = max(self.longest, len(line))
        end.set_nodelay(self.nodelay)
        *first, last = filter(None, self.cut(line))
        self.held_pieces += len(first)
        for piece in first:
            end.write(piece)
            if self.await_acknowledgement:
                end.wait_until_acknowledged()
        end.write(last)


def split(command, sender, into):
    for family in FAMILIES[command]:
        for topology, plan in _scenes(command, family):
            with Lab() as lab:
                scene = topology(lab, plan)
                options = ("--data-ports", "{}-{}".format(*OTHER_PORTS)) if command == "229" else ()
                [router] = gateway.start_all(lab, scene, *options)
                with Talk(scene) as talk:
                    talk.log_in()
                    for await_acknowledgement in (True, False):
                        lines = CutLines(sender == "nodelay", await_acknowledgement)
                        (_in_pieces if into == "pieces" else _in_bytes)(talk, command, lines)
                        _expect_few_retransmissions(talk, command, lines.held_pieces)
                    talk.exchange("NOOP", "200 Still here.")
                router.wait_for_no_expectation()
                router.stop()


def _scenes(command, family):
    translated = snat if command.isalpha() else dnat
    return [(translated, plan) for plan in plans(family)] + [(hairpin, plans(family)[0])]


def _in_pieces(talk, command, lines):
    """A cut at every position, one a transfer."""
    position = 1
    while position == 1 or position < lines.longest:
        lines.cut = lambda line: [line[:position], line[position:]]
        _transfer(talk, command, lines)
        position += 1


def _in_bytes(talk, command, lines):
    lines.cut = lambda line: [line[at:at + 1] for at in range(len(line))]
    for _ in range(LINES_BYTE_BY_BYTE):
        _transfer(talk, command, lines)


def _transfer(talk, command, lines):
    """One transfer whose announcement must arrive rewritten."""
    if command.isalpha():
        announced, heard = talk.active_transfer(command, lines)
    else:
        announced, heard = talk.passive_transfer(command, lines)
    if announced == heard or (command == "229" and not OTHER_PORTS[0] <= heard[1] <= OTHER_PORTS[1]):
        raise Failure(f"{announced} was announced and {heard} was heard: the gateway has not edited it")


def _expect_few_retransmissions(talk, command, held_pieces):
    """What is held is acknowledged when it comes. If it were not, each piece would be sent again at least once; on a
    busy machine some are all the same."""
    sender = talk.client if command.isalpha() else talk.server
    count = sender.retransmissions()
    if count > held_pieces / 2:
        raise Failure(f"the {sender.name} has sent {count} segments again for {held_pieces} pieces that were held")


if __name__ == "__main__":
    runner.main(split, *sys.argv[1:])
