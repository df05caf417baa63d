# SPDX-License-Identifier: GPL-2.0-or-later
"""The daemon stands still until its queue is full, and what comes then goes by unseen: queue_overflow.py FAMILY

The queue fails open. Sessions live on, announcements work again once the daemon goes on, and its log says how many
packets it has not seen.
"""

import contextlib
import ipaddress
import pathlib
import re
import signal
import socket
import struct
import sys

import gateway
import runner
from address import plans
from failure import expect_equal, patient, wait_until
from lab import Lab
from talk import Talk
from topology import both

QUEUE_ROOM_MIB = 1
RECOVERY_SECONDS_MAX = patient(30)


def queue_overflow(family):
    verb = "PORT" if family == "ipv4" else "EPRT"
    code = "227" if family == "ipv4" else "228"
    with Lab() as lab, contextlib.ExitStack() as talks:
        scene = both(lab, plans(family)[0])
        [router] = gateway.start_all(lab, scene, "--queue-room", QUEUE_ROOM_MIB)

        def log_in():
            talk = talks.enter_context(Talk(scene))
            talk.log_in()
            return talk

        sessions = [log_in() for _ in range(3)]
        for talk in sessions:
            talk.active_transfer(verb)
            talk.passive_transfer(code)
        router.process.pause()
        wait_until(lambda: _stands_still(router.process), "every thread of the gateway stands still")
        waited_before, numbered_before = router.packets_waiting(), router.packets_queued()
        _fill_queue(scene, router)
        for talk in sessions:
            talk.exchange("NOOP", "200 Nobody listens.")
            talk.exchange("SYST", "215 UNIX Type: L8")
        unseen = (router.packets_queued() - numbered_before) - (router.packets_waiting() - waited_before)
        router.process.signal(signal.SIGCONT)
        wait_until(lambda: router.packets_waiting() == 0, "the queue is empty")
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
        router.process.wait_for_log("packets passed unread")
        [told] = re.findall(r"(\d+) packets passed unread.*--queue-room 2", router.process.log())
        expect_equal("packets that the log says have passed unread", unseen, int(told))
        router.wait_for_no_expectation()
        router.stop()


def _stands_still(process):
    # Name and state: "123 (ftpalg-0) T ...".
    states = [stat.read_text().rpartition(")")[2].split()[0]
              for stat in pathlib.Path(f"/proc/{process.pid}/task").glob("*/stat")]
    return set(states) == {"T"}


def _fill_queue(scene, router):
    """Sends SYNs until the queue takes no more: the kernel numbers them still, but they do not wait."""
    family = {"ipv4": socket.AF_INET, "ipv6": socket.AF_INET6}[scene.plan.family]

    def is_full():
        for _ in range(500):
            raw.send(syn)
        return router.packets_queued() - numbered > router.packets_waiting() - waiting

    numbered, waiting = router.packets_queued(), router.packets_waiting()
    with scene.client.entered(), socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_TCP) as raw:
        raw.connect((scene.dial, 0))
        syn = _syn(raw.getsockname()[0], scene.dial)
        wait_until(is_full, "the queue is full", limit=20)


def _syn(source, destination):
    def header(checksum):
        return struct.pack("!HHIIBBHHH", 9, 21, 1, 0, 5 << 4, 2, 65535, checksum, 0)
    addresses = ipaddress.ip_address(source).packed + ipaddress.ip_address(destination).packed
    covered = addresses + struct.pack("!II", 20, socket.IPPROTO_TCP) + header(0)
    total = sum(struct.unpack(f"!{len(covered) // 2}H", covered))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return header(~total & 0xffff)


if __name__ == "__main__":
    runner.main(queue_overflow, *sys.argv[1:])
