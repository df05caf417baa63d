# SPDX-License-Identifier: GPL-2.0-or-later
"""The daemon stands still until its queue is full, and what comes then goes by unseen: queue_overflow.py FAMILY

The queue fails open. Sessions live on, and announcements work again once the daemon goes on.
"""

import contextlib
import ipaddress
import signal
import socket
import struct
import sys

import gateway
import runner
from address import plans
from failure import wait_until
from lab import Lab
from talk import Talk
from topology import both

QUEUE_PACKETS_MAX = 8192
RECOVERY_SECONDS_MAX = 30


def queue_overflow(family):
    verb = "PORT" if family == "ipv4" else "EPRT"
    code = "227" if family == "ipv4" else "228"
    with Lab() as lab, contextlib.ExitStack() as talks:
        scene = both(lab, plans(family)[0])
        [router] = gateway.start_all(lab, scene)

        def log_in():
            talk = talks.enter_context(Talk(scene))
            talk.log_in()
            return talk

        sessions = [log_in() for _ in range(3)]
        for talk in sessions:
            talk.active_transfer(verb)
            talk.passive_transfer(code)
        router.process.signal(signal.SIGSTOP)
        _fill_queue(scene)
        for talk in sessions:
            talk.exchange("NOOP", "200 Nobody listens.")
            talk.exchange("SYST", "215 UNIX Type: L8")
        router.process.signal(signal.SIGCONT)
        wait_until(lambda: _waiting(scene.routers[0]) == 0, "the queue is empty")
        # The gateway missed commands: it drops the next one until the sender's timer has repeated it so often
        # that what came before must have arrived. That takes some seconds, so all sessions wait at once.
        for talk in sessions:
            talk.client.say("NOOP")
        for talk in sessions:
            talk.server.socket.settimeout(RECOVERY_SECONDS_MAX)
            talk.server.hear("NOOP")
            talk.reply("200 Still here.")
            for _ in range(2):
                talk.active_transfer(verb)
                talk.passive_transfer(code)
            talk.exchange("QUIT", "221 Goodbye.")
        router.wait_for_no_expectation()
        router.stop()


def _fill_queue(scene):
    """Sends SYNs until the queue takes no more: then they come out of the router."""
    [router] = scene.routers
    family = {"ipv4": socket.AF_INET, "ipv6": socket.AF_INET6}[scene.plan.family]
    with scene.client.entered(), socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_TCP) as raw:
        raw.connect((scene.dial, 0))
        syn = _syn(raw.getsockname()[0], scene.dial)
        for _ in range(QUEUE_PACKETS_MAX + 100):
            raw.send(syn)
    wait_until(lambda: _waiting(router) >= QUEUE_PACKETS_MAX, "the queue is full")


def _syn(source, destination):
    def header(checksum):
        return struct.pack("!HHIIBBHHH", 9, 21, 1, 0, 5 << 4, 2, 65535, checksum, 0)
    addresses = ipaddress.ip_address(source).packed + ipaddress.ip_address(destination).packed
    covered = addresses + struct.pack("!II", 20, socket.IPPROTO_TCP) + header(0)
    total = sum(struct.unpack(f"!{len(covered) // 2}H", covered))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return header(~total & 0xffff)


def _waiting(router):
    """How many packets wait in the queue: the third number that the kernel tells of it."""
    with router.entered(), open("/proc/thread-self/net/netfilter/nfnetlink_queue", encoding="ascii") as file:
        [line] = file.read().splitlines()
    return int(line.split()[2])


if __name__ == "__main__":
    runner.main(queue_overflow, *sys.argv[1:])
