# SPDX-License-Identifier: GPL-2.0-or-later
"""What a service manager hears from the gateway that it has started: service_notice.py CASE

The test is the service manager: it has the socket that NOTIFY_SOCKET names.
"""

import signal
import socket

import runner
from failure import expect_equal, patient, wait_until
from gateway import PROGRAM, format_options
from lab import Lab
from processes_of_gateway import keeper_of, status, threads_of
from refused_calls import RefusedCalls
from thread_tracer import ThreadTracer

WATCHDOG_SECONDS = 2


class ServiceManager:
    """Starts a gateway and hears what it tells."""

    def __init__(self, lab, router, *options, watchdog_seconds=None):
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        path = lab.directory / "notify"
        self._socket.bind(str(path))
        self._heard = []
        variables = [f"NOTIFY_SOCKET={path}"]
        if watchdog_seconds:
            variables.append(f"WATCHDOG_USEC={patient(watchdog_seconds) * 1000000}")
        self.gateway = lab.start("ftpalg", router, "env", *variables, PROGRAM, "run", "--socket", "none",
                                 *format_options(), *options)

    def hear(self):
        """Takes what has been told since; returns all that was told so far, an assignment each."""
        while True:
            try:
                self._heard += self._socket.recv(4096, socket.MSG_DONTWAIT).decode().splitlines()
            except BlockingIOError:
                return self._heard

    def forget(self):
        self.hear()
        self._heard = []

    def wait_for(self, assignment, limit=10.0):
        wait_until(lambda: assignment in self.hear(), f"the service manager hears {assignment}; it has heard {self._heard}",
                   limit)


def hears():
    """It hears when the gateway is ready, when it reads its configuration anew, well or not, and when it ends."""
    with Lab() as lab:
        refused = RefusedCalls(lab)
        config = lab.directory / "ftpalg.toml"
        config.write_text("")
        manager = ServiceManager(lab, lab.router("router"), "--apply-rules", "--config", config, "--queues", 2)
        gateway = manager.gateway
        gateway.wait_for_log("ready on queue")
        manager.wait_for("READY=1")
        manager.wait_for("STATUS=serves queues 21-22")
        processes = gateway.pid, keeper_of(gateway)
        for text in ("", "nonsense"):
            config.write_text(text)
            manager.forget()
            gateway.signal(signal.SIGHUP)
            manager.wait_for("READY=1")
            told = [assignment.split("=")[0] for assignment in manager.hear()]
            expect_equal("what is told of a reload", ["RELOADING", "MONOTONIC_USEC", "READY"], told)
        manager.forget()
        gateway.signal(signal.SIGTERM)
        expect_equal("exit status", 0, gateway.wait_for_exit())
        expect_equal("what is told of the end", ["STOPPING=1"], manager.hear())
        refused.expect_none_of(*processes)


def watchdog():
    """The watchdog is fed while every worker comes round, and no longer than that."""
    with Lab() as lab:
        manager = ServiceManager(lab, lab.router("router"), "--queues", 2, watchdog_seconds=WATCHDOG_SECONDS)
        manager.wait_for("READY=1")
        _expect_fed(manager)
        [worker] = [thread for thread in threads_of(manager.gateway.pid) if status(thread)["Name"] == "ftpalg-22"]
        tracer = ThreadTracer()
        tracer.stop(worker)
        said = "the worker of queue 22 stands still"
        manager.gateway.wait_for_log(said)
        manager.forget()
        wait_until(lambda: manager.gateway.log().count(said) >= 3, "a worker that stands still is told of", 5 * WATCHDOG_SECONDS)
        expect_equal("what is told while a worker stands still", [], manager.hear())
        tracer.let_go()
        _expect_fed(manager)


def nobody_there():
    """A socket that is not there, or that nobody reads any more, is told of and keeps nobody from serving."""
    with Lab() as lab:
        gateway = lab.start("ftpalg", lab.router("router"), "env", f"NOTIFY_SOCKET={lab.directory}/nowhere", PROGRAM, "run",
                            "--socket", "none", *format_options())
        gateway.wait_for_log("ready on queue")
        gateway.wait_for_log("nowhere cannot be reached")
        gateway.signal(signal.SIGTERM)
        expect_equal("exit status", 0, gateway.wait_for_exit())


def _expect_fed(manager):
    """Three times in a row."""
    manager.forget()
    wait_until(lambda: manager.hear().count("WATCHDOG=1") >= 3, "the watchdog is fed", 5 * WATCHDOG_SECONDS)


if __name__ == "__main__":
    runner.main_of({"hears": hears, "watchdog": watchdog, "nobody_there": nobody_there})
