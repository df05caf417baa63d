# SPDX-License-Identifier: GPL-2.0-or-later
"""One gateway after another, without a gap: takeover.py CASE

    client ----------------- [ router ] ----------------- server
       client    client_router        server_router       server
              destination public_server:21 -> server
                   source client -> public_client
"""

import concurrent.futures
import contextlib
import copy
import ctypes
import ftplib
import json
import os
import platform
import signal
import socket
import threading
import time

import firewall_state
import gateway
import load
import runner
from address import plans
from failure import Failure, expect_equal, expect_in, patient, wait_until
from gateway import Gateway
from lab import Lab
from servers import Pyftpdlib
from service_manager import ServiceManager
from session import Session, converse, modes
from talk import Talk
from topology import both

BUSY_SESSIONS = 200
SUCCESSIONS = 20
TRANSFERS = 30  # of each busy session
# While a gateway begins, connections wait for it, and then come all at once. The server takes 100 at once (pyftpdlib).
SESSION_SPACING_MS = 5
KILLS = 10
TOLERANT_SESSIONS = 24
SMALL_FILE_BYTES = 3000
NOBODY = 65534
SYS_SETRESUID = {"x86_64": 117, "aarch64": 147}[platform.machine()]
QUEUES = ("--queues", 2)


def busy():
    """Takeovers one after another beside busy sessions: no transfer fails, and the last one removes the rules of the first."""
    with Lab() as lab:
        scene, server = _scene(lab)
        [router] = scene.routers
        before = firewall_state.read(router)
        running = Gateway(lab, router, *QUEUES)
        with _busy_sessions(scene, server):
            for _ in range(SUCCESSIONS):
                running = _take_over(lab, running)
        running.wait_for_no_expectation()
        running.stop()
        firewall_state.expect_same("after the end of the last gateway", before, firewall_state.read(router))
        if running.socket.exists():
            raise Failure("the last gateway has left the control socket behind")


def held_line():
    """The beginning of a line that one gateway holds back is edited with its rest by the next one."""
    with Lab() as lab:
        scene, _server = _scene(lab, with_server=False)
        running = Gateway(lab, scene.routers[0])
        talk = lab.enter_context(Talk(scene))
        talk.log_in()
        talk.client.write(b"PORT 10,0,")
        talk.client.wait_until_acknowledged()
        running = _take_over(lab, running)
        talk.client.write(b"1,2,200,1\r\n")
        _expect_edited(talk, scene)
        running.stop()


def restarts():
    """A service that is restarted beside busy sessions: no transfer fails."""
    with Lab() as lab:
        scene, server = _scene(lab)
        manager = _service(lab, scene)
        with _busy_sessions(scene, server):
            for _ in range(SUCCESSIONS // 2):
                manager.restart()
        manager.stop()
        _expect_no_queue(scene.routers[0])


def held_line_restart():
    """The same with a service that is restarted."""
    with Lab() as lab:
        scene, _server = _scene(lab, with_server=False)
        manager = _service(lab, scene)
        talk = lab.enter_context(Talk(scene))
        talk.log_in()
        talk.client.write(b"PORT 10,0,")
        talk.client.wait_until_acknowledged()
        manager.restart()
        talk.client.write(b"1,2,200,1\r\n")
        _expect_edited(talk, scene)
        manager.stop()


def kills():
    """A service that is killed and started again: no session breaks. Packets wait in the kernel meanwhile, and those that the
    killed one had not answered come again."""
    with Lab() as lab:
        scene, server = _scene(lab)
        manager = _service(lab, scene)
        sessions = [_Tolerant(scene, server, modes("ipv4")[number % 4]) for number in range(TOLERANT_SESSIONS)]
        with concurrent.futures.ThreadPoolExecutor(TOLERANT_SESSIONS) as pool:
            running = [pool.submit(session.run) for session in sessions]
            try:
                for _ in range(KILLS):
                    before = [session.done for session in sessions]
                    wait_until(lambda: any(each.done() for each in running) or
                               all(session.done > done for session, done in zip(sessions, before)),
                               "each session has transferred something since the last kill", limit=30)
                    manager.restart(signal.SIGKILL)
            finally:
                for session in sessions:
                    session.is_over = True
            for each in running:
                each.result()
        print(f"{sum(session.done for session in sessions)} transfers done, "
              f"{sum(session.failed for session in sessions)} failed")
        manager.stop()


def fewer_queues():
    """A queue that the service serves no more is not kept either: without a reader its packets pass."""
    with Lab() as lab:
        scene, server = _scene(lab)
        manager = _service(lab, scene)
        expect_equal("what is kept", {"queue-21", "queue-22", "state-21", "state-22"}, set(manager.kept))
        manager.options = tuple(option if option != 2 else 1 for option in manager.options)
        manager.restart()
        wait_until(lambda: manager.hear() or set(manager.kept) == {"queue-21", "state-21"},
                   f"the queue 22 is kept no more; kept are {set(manager.kept)}")
        manager.stop()


def not_root():
    """Only root may: another user is refused, and the gateway serves on."""
    with Lab() as lab:
        scene, server = _scene(lab)
        running = Gateway(lab, scene.routers[0])
        lab.directory.chmod(0o755)
        running.socket.chmod(0o666)
        answer = _Asker(running.socket, uid=NOBODY).ask(_terms())
        expect_in("the answer to somebody else", "only root", answer["error"])
        _expect_service(scene, server)
        running.stop()


def other_version():
    """One that reads another version of the state is refused by name."""
    with Lab() as lab:
        scene, server = _scene(lab)
        running = Gateway(lab, scene.routers[0])
        answer = _Asker(running.socket).ask(_terms(state_version=99))
        expect_in("the answer to another version", "reads 99", answer["error"])
        _expect_service(scene, server)
        running.stop()


def other_rules():
    """One that needs other rules is refused, and told which."""
    with Lab() as lab:
        scene, server = _scene(lab)
        running = Gateway(lab, scene.routers[0], *QUEUES)
        other = _start_successor(lab, running, "--queues", 1)
        if other.wait_for_exit(limit=20) == 0:
            raise Failure("a gateway with other queues took over")
        expect_in("what it says", "queues 2 here and 1 there", other.log())
        _expect_service(scene, server)
        running.stop()


def nobody_to_take_over():
    """Where no gateway runs there is nothing to take over, and it says so."""
    with Lab() as lab:
        router = lab.router("router")
        alone = lab.start("ftpalg", router, gateway.PROGRAM, "run", "--takeover", "--socket", lab.directory / "no.sock")
        if alone.wait_for_exit(limit=20) == 0:
            raise Failure("a gateway took over from nobody")
        expect_in("what it says", "no gateway answers on", alone.log())


def new_one_dies():
    """The new one is gone before it has come to the end: the old one serves on."""
    with Lab() as lab:
        scene, server = _scene(lab)
        running = Gateway(lab, scene.routers[0], "--queues", 1)
        asker = _Asker(running.socket)
        expect_equal("queues that are handed over", 1, len(asker.ask(_terms(queues=1))["takeover"]["queues"]))
        descriptors = asker.take_descriptors()
        expect_equal("descriptors that are handed over", 3, len(descriptors))
        for descriptor in descriptors:
            os.close(descriptor)
        asker.close()
        running.process.wait_for_log("the takeover has failed: the other gateway is gone")
        _expect_service(scene, server)
        _take_over(lab, running).stop()


def old_one_dies():
    """The old one dies between: the new one has everything, and goes on."""
    with Lab() as lab:
        scene, server = _scene(lab)
        running = Gateway(lab, scene.routers[0])
        with Session(scene.client, server, scene.dial, "PORT") as session:
            session.download("one.bin")
            between = _Between(lab, running)
            successor = copy.copy(running)
            successor.socket = between.path
            successor.process = _start_successor(lab, successor)
            between.pass_on(until="leave")
            running.kill()
            between.close()
            successor.process.wait_for_log("ready on queue", limit=20)
            session.download("two.bin")
            session.noop()
        _expect_service(scene, server)
        successor.stop()


def _scene(lab, with_server=True):
    scene = both(lab, plans("ipv4")[0])
    server = Pyftpdlib(lab, scene.server, scene.plan.server, file_bytes=SMALL_FILE_BYTES) if with_server else None
    return scene, server


def _service(lab, scene):
    """A service that serves the scene's router, by rules that stay."""
    [router] = scene.routers
    applied = gateway.ftpalg(router, "rules", "apply", "--queues", "2")
    expect_equal(f"exit status of ftpalg rules apply, which said:\n{applied.stderr}", 0, applied.returncode)
    manager = ServiceManager(lab, router, *QUEUES, "--socket", lab.directory / "service.sock")
    manager.start()
    return manager


def _start_successor(lab, running, *options):
    return lab.start("successor", running.router, gateway.PROGRAM, "run", *gateway.format_options(), "--queue", 0,
                     "--log-level", "debug", "--socket", running.socket, "--takeover", *options)


def _take_over(lab, running):
    """The gateway that has taken the place of the one that runs."""
    with running.router.entered(), open("/proc/thread-self/net/netfilter/nfnetlink_queue", encoding="ascii") as file:
        queues = len(file.readlines())
    successor = copy.copy(running)
    successor.process = _start_successor(lab, running, "--queues", queues)
    successor.process.wait_for_log("ready on queue", limit=20)
    expect_equal(f"exit status of the one before, which said:\n{running.process.log_tail()}", 0,
                 running.process.wait_for_exit(limit=20))
    return successor


@contextlib.contextmanager
def _busy_sessions(scene, server):
    """Sessions that transfer files meanwhile, in every mode, round after round. When the block is done all have to be well."""
    is_over = threading.Event()

    def rounds():
        outcomes = []
        while not is_over.is_set():
            outcomes += load.run_sessions(scene.client, server, scene.dial, modes("ipv4"), BUSY_SESSIONS, TRANSFERS,
                                          f"busy{len(outcomes)}", every_ms=SESSION_SPACING_MS)
        return outcomes

    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        running = pool.submit(rounds)
        try:
            wait_until(lambda: running.done() or _connections(scene.routers[0]) >= BUSY_SESSIONS * 3 // 4,
                       "sessions are there", limit=30, interval=0.1)
            began = time.monotonic()
            yield
            took = time.monotonic() - began
        finally:
            is_over.set()
        outcomes = running.result()
    print(f"{sum(outcome.transfers for outcome in outcomes)} transfers of {len(outcomes)} sessions; the successions took "
          f"{took:.1f} s")
    failures = [f"{outcome.mode} after {outcome.transfers} transfers: {outcome.failure}" for outcome in outcomes
                if outcome.failure]
    expect_equal(f"sessions that failed, of {len(outcomes)}: {len(failures)}, the first of them", [], failures[:10])


def _connections(router):
    return sum("ESTABLISHED" in line for line in router.run("conntrack", "-L", "-p", "tcp", "--dport", "21").splitlines())


class _Tolerant:
    """A session that may lose a transfer, but has to be in order after it."""

    def __init__(self, scene, server, mode):
        self._begin = lambda: Session(scene.client, server, scene.dial, mode)
        self.done = self.failed = 0
        self.is_over = False

    def run(self):
        with self._begin() as session:
            while not self.is_over:
                try:
                    session.download("one.bin")
                    self.done += 1
                except Failure as failure:
                    # A data connection that was refused; anything else is a control connection in disorder.
                    is_refusal = isinstance(failure.__cause__, (ftplib.error_temp, ftplib.error_perm, OSError))
                    if not is_refusal or isinstance(failure.__cause__, TimeoutError):
                        raise
                    self.failed += 1
                    session.expect_order()
            session.noop()


def _expect_edited(talk, scene):
    public = scene.plan.public_client.replace(".", ",")
    talk.server.hear(f"PORT {public},200,1")
    talk.reply("200 Well.")
    talk.exchange("NOOP", "200 Still here.")


def _expect_service(scene, server):
    with Session(scene.client, server, scene.dial, "PORT") as session:
        converse(session)


def _expect_no_queue(router):
    with router.entered(), open("/proc/thread-self/net/netfilter/nfnetlink_queue", encoding="ascii") as file:
        expect_equal("queues that somebody holds after the service has stopped", "", file.read())


def _terms(state_version=1, queues=1):
    return {"ask": "takeover", "state_version": state_version,
            "rules": {"control_ports": [21], "queue": 0, "queues": queues, "carrier": "sane", "untracked_mark": 0x66747000,
                      "unqueued_mark": 0x66747001, "done_mark": 0x01000000, "queue_acknowledgements": False}}


class _Asker:
    """Asks on the control socket, as a new gateway would."""

    def __init__(self, path, uid=None):
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(patient(10))
        if uid is None:
            self._socket.connect(str(path))
        else:
            # This thread alone asks as somebody else: the kernel notes who connects.
            with concurrent.futures.ThreadPoolExecutor(1) as pool:
                pool.submit(self._connect_as, path, uid).result()
        self._lines = self._socket.makefile("r")
        json.loads(self._lines.readline())

    def _connect_as(self, path, uid):
        # The C library's own setuid would change every thread.
        ctypes.CDLL(None, use_errno=True).syscall(SYS_SETRESUID, uid, uid, uid)
        self._socket.connect(str(path))

    def ask(self, question):
        self._socket.sendall(json.dumps(question).encode() + b"\n")
        return json.loads(self._lines.readline())

    def take_descriptors(self):
        self._socket.sendall(b'{"ask":"descriptors"}\n')
        _byte, descriptors, _flags, _sender = socket.recv_fds(self._socket, 1, 8)
        return descriptors

    def close(self):
        self._lines.close()
        self._socket.close()


class _Between:
    """Stands between a new gateway and the old one, and passes on what they say."""

    def __init__(self, lab, running):
        self.path = lab.directory / "between.sock"
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self.path))
        self._listener.listen()
        self._old = socket.socket(socket.AF_UNIX)
        self._old.connect(str(running.socket))
        self._new = None

    def pass_on(self, until):
        """Passes on until the new one asks for `until`, which is not passed on."""
        self._listener.settimeout(patient(20))
        self._new, _ = self._listener.accept()
        self._new.settimeout(patient(20))
        self._old.settimeout(patient(20))
        self._pass_line(self._old)
        while True:
            question = self._read_line(self._new)[0]
            if json.loads(question)["ask"] == until:
                return
            self._old.sendall(question)
            if json.loads(question)["ask"] == "descriptors":
                self._pass_line(self._old)  # the empty one, with the descriptors
            self._pass_line(self._old)

    def _pass_line(self, source):
        line, descriptors = self._read_line(source)
        socket.send_fds(self._new, [line], descriptors) if descriptors else self._new.sendall(line)
        for descriptor in descriptors:
            os.close(descriptor)

    @staticmethod
    def _read_line(source):
        line, descriptors = b"", []
        while not line.endswith(b"\n"):
            byte, more, _flags, _sender = socket.recv_fds(source, 1, 8)
            if not byte:
                raise Failure("the other end has closed its connection")
            line += byte
            descriptors += more
        return line, descriptors

    def close(self):
        for each in (self._new, self._old, self._listener):
            each.close()


if __name__ == "__main__":
    runner.main_of({case.__name__: case for case in (
        busy, held_line, restarts, held_line_restart, kills, fewer_queues, not_root, other_version, other_rules,
        nobody_to_take_over, new_one_dies, old_one_dies)})
