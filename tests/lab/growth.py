# SPDX-License-Identifier: GPL-2.0-or-later
"""A full segment grows by an edit and does not fit the path any more: growth.py command|reply

The link behind the gateway has the smallest MTU of its family and nobody is told when a packet is too big for it:
the gateway must not make such packets.
"""

import ipaddress

import gateway
import runner
from address import plans
from failure import Failure
from lab import Lab
from talk import Talk
from topology import both

MTU_BYTES = {"ipv4": 576, "ipv6": 1280}
FILLER_BYTES_MAX = 300
TRANSFERS = 3


def command():
    for family, verbs in (("ipv4", ("PORT", "EPRT")), ("ipv6", ("LPRT", "EPRT"))):
        with Lab() as lab:
            talk, router = _log_in(lab, family, small_end="server")
            for verb in verbs * TRANSFERS:
                _full_command(talk, verb)
            _end(talk, router)


def reply():
    for family, code in (("ipv4", "227"), ("ipv6", "228")):
        with Lab() as lab:
            talk, router = _log_in(lab, family, small_end="client")
            for _ in range(TRANSFERS):
                _full_reply(talk, code)
            _end(talk, router)


def _full_command(talk, verb):
    """An announcement and commands that are pipelined behind it fill one segment."""
    fillers = []

    def write(client, line):
        fillers.extend(_fill("NOOP ", client.segment_bytes() - len(line)))
        client.write(line + b"".join(fillers))

    def answer_fillers():
        for filler in fillers:
            talk.server.hear(_text(filler))
            talk.reply("200 Still here.")

    announced, heard = talk.active_transfer(verb, write, answer_fillers)
    _expect_growth(announced, heard)


def _full_reply(talk, code):
    """The client has pipelined commands behind its PASV; the replies to all of them fill one segment."""
    fillers = []

    def write(server, line):
        fillers.extend(_fill("200 ", server.segment_bytes() - len(line)))
        for _ in fillers:
            talk.client.say("NOOP")
            server.hear("NOOP")
        server.write(line + b"".join(fillers))

    def hear_fillers():
        for filler in fillers:
            talk.client.hear(_text(filler))

    announced, heard = talk.passive_transfer(code, write, hear_fillers)
    _expect_growth(announced, heard)


def _fill(beginning, size):
    """Lines, as bytes, that fill size bytes exactly."""
    count = -(-size // FILLER_BYTES_MAX)
    sizes = [size // count] * (count - 1)
    sizes.append(size - sum(sizes))
    return [beginning.encode().ljust(each - 2, b"x") + b"\r\n" for each in sizes]


def _text(line):
    return line.decode().removesuffix("\r\n")


def _expect_growth(announced, heard):
    if _printed_bytes(heard[0]) <= _printed_bytes(announced[0]):
        raise Failure(f"{announced} was to become longer by the edit, and became {heard}")


def _printed_bytes(host):
    """How long the host is in an announcement that prints every byte of it as a number."""
    return len(",".join(map(str, ipaddress.ip_address(host).packed)))


def _log_in(lab, family, small_end):
    scene = both(lab, plans(family)[0])
    [router] = scene.routers
    router.ip(f"link set to_{small_end} mtu {MTU_BYTES[family]}")
    getattr(scene, small_end).ip(f"link set uplink mtu {MTU_BYTES[family]}")
    router.nft("""
        table inet black_hole {
            chain output {
                type filter hook output priority filter;
                icmp type destination-unreachable drop
                icmpv6 type packet-too-big drop
            }
        }""")
    [daemon] = gateway.start_all(lab, scene)
    talk = lab.enter_context(Talk(scene))
    talk.log_in()
    return talk, daemon


def _end(talk, router):
    talk.exchange("NOOP", "200 Still here.")
    router.wait_for_no_expectation()
    router.stop()


if __name__ == "__main__":
    runner.main_of({"command": command, "reply": reply})
