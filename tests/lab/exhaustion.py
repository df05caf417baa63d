# SPDX-License-Identifier: GPL-2.0-or-later
r"""Somebody asks for as much as he can, and others do not feel it: exhaustion.py CASE FAMILY

        client -----------------+
           client    client_router  [ router ] ----------------- server
        other_client -----------+            server_router       server
             other_client_router
                      destination public_server:21 -> server
                           source client -> public_client

The client is the attacker, and sends in the name of others in its network too. other_client is innocent, and transfers
files the whole time. Memory and expectations stay within what the configuration allows, and the log names who it was.
"""

import contextlib
import ipaddress
import multiprocessing
import os
import re
import socket
import struct
import sys
import threading
import time

import gateway
import runner
from address import family_of, in_network, plans
from expectation_events import ExpectationEvents
from failure import Failure, expect_equal, expect_in, patient, wait_until
from lab import Lab
from processes_of_gateway import bytes_resident
from segment import SYN, make_packet, raw_socket
from servers import Vsftpd
from session import Session
from talk import announcement
from topology import add_other_client, add_route, both

SESSIONS, SESSIONS_PER_CLIENT = 4000, 50
EXPECTATIONS, EXPECTATIONS_PER_CLIENT = 500, 20
KEPT_BYTES = 1 << 20
LOG_LINES, LOG_WINDOW_SECONDS = 100, 10  # tools/log_limit.h

CONFIG = f"""
[limits]
sessions = {SESSIONS}
sessions_per_client = {SESSIONS_PER_CLIENT}
expectations = {EXPECTATIONS}
expectations_per_client = {EXPECTATIONS_PER_CLIENT}
kept_memory = "{KEPT_BYTES >> 20}MiB"
"""

# A session is 1.2 KB in the table and two entries in the hash table beside it; the lines that it has begun, at most 2.5 KB,
# count as kept memory, which the allocator may double. Clients of whom the log says something: 10,000, of 100 bytes.
SESSION_BYTES_MAX = 2048
GROWTH_BYTES_MAX = SESSIONS * SESSION_BYTES_MAX + 2 * KEPT_BYTES + (3 << 20)

ATTACKERS_SESSIONS = 4 * SESSIONS_PER_CLIENT
MEGABYTE = 1 << 20
HOSTS = range(3, 253)
TCP_HEADER_BYTES = 20
WAITING_MAX = 500
# By hand, TUPLES=1000000, two busy cores: unanswered 40 s, and the worker grew by 4.9 MiB; answered 67 s and 5.2 MiB, over
# IPv6 too. (Without the cap on sessions 60,000 tuples are 73 MiB.) The innocent transferred on, once a second or so.
TUPLES = int(os.environ.get("TUPLES", 60_000))


class Siege:
    """A gateway, a server, an innocent at work."""

    def __init__(self, lab, family):
        self.lab = lab
        self.plan = plans(family)[0]
        self.scene = both(lab, self.plan)
        [self.machine] = self.scene.routers
        bystander = add_other_client(lab, self.scene)
        add_route(bystander, self.scene.dial, self.plan.other_client_router)
        add_route(self.scene.server, self.plan.other_client, self.plan.server_router)
        self.server = _ManySessions(lab, self.scene.server, self.plan.server, file_bytes=20_000)
        config = lab.directory / "ftpalg.toml"
        config.write_text(CONFIG)
        [self.gateway] = gateway.start_all(lab, self.scene, "--config", config)
        # Before anybody announces: else it is told of the end of one of whose beginning it was not.
        self.expectations = ExpectationEvents(lab, self.machine)
        self.innocent = lab.enter_context(Innocent(bystander, self.server, self.scene.dial, family))
        self.innocent.expect_rounds()
        self.bytes_before, _ = bytes_resident(self.gateway.process.pid)

    def expect_bounded(self):
        _, most = bytes_resident(self.gateway.process.pid)
        grown = most - self.bytes_before
        print(f"{self.plan.family}: {grown >> 10} KiB more of {GROWTH_BYTES_MAX >> 10}, {self.expectations.most} "
              f"expectations, {self.innocent.rounds} rounds of the innocent", flush=True)
        if grown > GROWTH_BYTES_MAX:
            raise Failure(f"the worker has grown by {grown} bytes; {GROWTH_BYTES_MAX} would be right")

    def end(self):
        self.innocent.expect_rounds()
        self.innocent.stop()
        self.gateway.stop()
        expect_equal("expectations after the end", [], self.gateway.expectations())


class _ManySessions(Vsftpd):
    """It leaves it to the gateway to limit clients."""

    def command(self, lab):
        program, configuration = super().command(lab)
        with open(configuration, "a", encoding="ascii") as file:
            file.write("max_clients=0\nmax_per_ip=0\n")
        return program, configuration


class Innocent(threading.Thread):
    """Transfers without a pause, in a session that it keeps, and in new ones."""

    def __init__(self, namespace, server, dial, family):
        super().__init__(daemon=True)
        self.rounds = 0
        self._modes = ("PORT", "PASV") if family == "ipv4" else ("EPRT", "EPSV")
        self._session = lambda mode: Session(namespace, server, dial, mode)
        self._failure = None
        self._ends = threading.Event()

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_error):
        self._ends.set()
        self.join()

    def run(self):
        try:
            with contextlib.ExitStack() as stack:
                kept = [stack.enter_context(self._session(mode)) for mode in self._modes]
                while not self._ends.is_set():
                    for session in kept:
                        session.download("one.bin")
                    for mode in self._modes:
                        with self._session(mode) as session:
                            session.download("two.bin")
                            session.quit()
                    self.rounds += 1
        except Failure as failure:
            self._failure = failure

    def expect_rounds(self, count=2):
        """So many more have to succeed from now on."""
        wanted = self.rounds + count
        wait_until(lambda: self._failure or self.rounds >= wanted, "the innocent has transferred", limit=30)
        if self._failure:
            raise Failure(f"the innocent: {self._failure}")

    def stop(self):
        self._ends.set()
        self.join()
        if self._failure:
            raise Failure(f"the innocent: {self._failure}")


def one_client(family):
    """Sessions and announcements without end, half-lines that stay so, lines of a megabyte."""
    with Lab() as lab:
        siege = Siege(lab, family)
        began = time.monotonic()
        sessions = _open_sessions(lab, siege)
        siege.innocent.expect_rounds()
        _announce_all(siege, sessions)
        siege.innocent.expect_rounds()
        _begin_lines(sessions)
        siege.innocent.expect_rounds()
        _send_megabytes(sessions)
        siege.innocent.expect_rounds()
        siege.expectations.read()
        # The innocent has one in each of its sessions.
        if not EXPECTATIONS_PER_CLIENT <= siege.expectations.most <= EXPECTATIONS_PER_CLIENT + 4:
            raise Failure(f"there were {siege.expectations.most} expectations at once; one client may have "
                          f"{EXPECTATIONS_PER_CLIENT}, and asked for more")
        siege.expect_bounded()
        _expect_named(siege, began)
        siege.end()


def unanswered(family):
    """SYNs in the name of many, which nobody answers."""
    with Lab() as lab:
        _flood(Siege(lab, family))


def answered(family):
    """SYNs in the name of many, which the server answers: to hosts that are not there."""
    with Lab() as lab:
        siege = Siege(lab, family)
        network = ipaddress.ip_interface(in_network(siege.plan.client)).network
        siege.scene.server.ip(f"route add {network} via {siege.plan.server_router}")
        _flood(siege)


def _flood(siege):
    queued, began = siege.gateway.packets_queued(), time.monotonic()
    sender = multiprocessing.get_context("fork").Process(target=_send_syns, args=(siege, TUPLES))
    sender.start()
    siege.lab.callback(sender.kill)
    while sender.is_alive():
        siege.innocent.expect_rounds(1)
    sender.join()
    took = time.monotonic() - began
    queued = siege.gateway.packets_queued() - queued
    print(f"{TUPLES} tuples in {took:.1f} s, {queued} packets queued")
    if sender.exitcode != 0 or queued < TUPLES:
        raise Failure(f"{TUPLES} SYNs were to come to the gateway, of which {queued} have")
    siege.innocent.expect_rounds()
    siege.expect_bounded()
    siege.end()


def _open_sessions(lab, siege):
    """As many as the client can get, logged in."""
    sessions = []
    with siege.scene.client.entered():
        for _ in range(ATTACKERS_SESSIONS):
            sessions.append(lab.enter_context(socket.create_connection((siege.scene.dial, 21), patient(10))))
    for session in sessions:
        session.sendall(b"USER anonymous\r\n")
    for session in sessions:
        _hear(session, b"230 ")
    return sessions


def _announce_all(siege, sessions):
    """Each its own port, some in turn."""
    for number, session in enumerate(sessions):
        for port in range(3):
            session.sendall(announcement("EPRT", siege.plan.client, 40_000 + 3 * number + port))
            _hear(session, b"\r\n")


def _begin_lines(sessions):
    for session in sessions:
        session.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in (b"NOOP\r\nEPRT |1", b"|10.", b"0" * 300):
            session.sendall(piece)


def _send_megabytes(sessions):
    for session in sessions[:5]:
        session.settimeout(2)
        # The server may end it.
        with contextlib.suppress(OSError):
            session.sendall(b"x" * MEGABYTE)


def _hear(session, text):
    heard = b""
    while text not in heard:
        received = session.recv(4096)
        if not received:
            raise Failure(f"the attacker waits for {text!r}, and has {heard!r} and then the end")
        heard += received


def _expect_named(siege, began):
    """The log says who it was, and stops saying it."""
    client = siege.plan.client
    named = client if family_of(client) == "ipv4" else str(ipaddress.ip_network((client, 64), strict=False))
    summary = wait_until(lambda: re.search(rf"{re.escape(named)}: (\d+) more lines within {LOG_WINDOW_SECONDS} s are left out",
                                           siege.gateway.process.log()),
                         "the log says how much it leaves out", limit=LOG_WINDOW_SECONDS + 5)
    took = time.monotonic() - began
    told = len(re.findall(rf"{re.escape(client)}\]?:\d+ -> ", siege.gateway.process.log()))
    windows = 1 + took // LOG_WINDOW_SECONDS
    if told > windows * LOG_LINES:
        raise Failure(f"the log has {told} lines of the attacker in {took:.0f} s; {LOG_LINES} in {LOG_WINDOW_SECONDS} s "
                      "would be right")
    expect_in("the log", "the client's network has as many sessions as it may", siege.gateway.process.log())
    print(f"{told} lines of the attacker, {summary[1]} left out")


def _send_syns(siege, count):
    """Runs in a process of its own, as fast as the gateway takes them: faster, the queue gets full, and what announces a
    port passes unread (queue_overflow.py). Each is a connection of its own, of so many hosts' in the client's network that none
    reaches its cap by itself. What is added to a port is taken from the sequence number: the checksum stays right."""
    scene, client, target = siege.scene, siege.plan.client, (siege.scene.dial, 0)
    network = ipaddress.ip_interface(in_network(client)).network.network_address
    first_port, low_word = 10_000, 60_000
    packets = [bytearray(make_packet((str(network + host), first_port), (scene.dial, 21), 1 << 16 | low_word, 0, SYN))
               for host in HOSTS]
    port_at = len(packets[0]) - TCP_HEADER_BYTES
    with raw_socket(scene.client, client) as raw:
        for number in range(-(-count // len(packets))):
            while siege.gateway.packets_waiting() > WAITING_MAX:
                time.sleep(0.001)
            for packet in packets:
                struct.pack_into("!H", packet, port_at, first_port + number)
                struct.pack_into("!H", packet, port_at + 6, low_word - number)
                raw.sendto(packet, target)


CASES = {"one_client": one_client, "unanswered": unanswered, "answered": answered}


if __name__ == "__main__":
    runner.main(lambda case, family: CASES[case](family), *sys.argv[1:])
