# SPDX-License-Identifier: GPL-2.0-or-later
"""A small service manager that keeps descriptors, as systemd does: NOTIFY_SOCKET, FDSTORE=1, LISTEN_FDS."""

import os
import signal
import socket

import gateway
from failure import expect_equal, wait_until

KEPT_MAX = 128
FIRST_DESCRIPTOR = 3
PARKED_FROM = 200  # where descriptors lie until the shell moves them


class ServiceManager:
    """Starts the gateway as a service, keeps what it stores, and gives it back to the next one."""

    def __init__(self, lab, router, *options):
        self._lab = lab
        self._router = router
        self.options = options
        self._path = lab.directory / "notify"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        lab.callback(self._socket.close)
        self._socket.bind(str(self._path))
        self._socket.setblocking(False)  # recv_fds of Python 3.11 passes no flags on
        self.kept = {}
        lab.callback(self._drop)
        self._is_ready = False
        self.process = None

    def start(self):
        self._is_ready = False
        names = sorted(self.kept)
        variables = [f"NOTIFY_SOCKET={self._path}", f"FDSTORE={KEPT_MAX}"]
        parked = [self._park(self.kept[name], PARKED_FROM + place) for place, name in enumerate(names)]
        script = 'exec "$@"'
        if names:
            variables += [f"LISTEN_FDS={len(names)}", f"LISTEN_FDNAMES={':'.join(names)}"]
            moves = " ".join(f"{FIRST_DESCRIPTOR + place}<&{number} {number}<&-" for place, number in enumerate(parked))
            script = f'exec {moves}; export LISTEN_PID=$$; exec "$@"'
        self.process = self._lab.start("ftpalg", self._router, "env", *variables, "bash", "-c", script, "bash",
                                       gateway.PROGRAM, "run", *gateway.format_options(), *self.options,
                                       pass_fds=parked)
        for number in parked:
            os.close(number)
        wait_until(self._hears_ready, f"the service is ready\n{self.process.log_tail()}", limit=20)

    def restart(self, number=signal.SIGTERM):
        self.process.signal(number)
        status = self.process.wait_for_exit(limit=20)
        if number != signal.SIGKILL:
            expect_equal(f"exit status; the log says:\n{self.process.log_tail()}", 0, status)
        self.hear()
        self.start()

    def stop(self):
        """As `systemctl stop`: nothing is kept any more."""
        self.process.signal(signal.SIGTERM)
        expect_equal("exit status", 0, self.process.wait_for_exit(limit=20))
        self.hear()
        self._drop()

    def _hears_ready(self):
        self.hear()
        if not self._is_ready and not self.process.is_running():
            expect_equal(f"the service runs; its log says:\n{self.process.log_tail()}", True, False)
        return self._is_ready

    def hear(self):
        while True:
            try:
                message, descriptors, _flags, _sender = socket.recv_fds(self._socket, 4096, 4)
            except BlockingIOError:
                return
            self._take(message.decode().splitlines(), descriptors)

    def _take(self, assignments, descriptors):
        name = next((line.removeprefix("FDNAME=") for line in assignments if line.startswith("FDNAME=")), "stored")
        if "FDSTORE=1" in assignments:
            for descriptor in descriptors:
                # Of what it has already a service manager keeps no second.
                if name in self.kept:
                    os.close(self.kept[name])
                self.kept[name] = descriptor
        elif "FDSTOREREMOVE=1" in assignments and name in self.kept:
            os.close(self.kept.pop(name))
        self._is_ready = self._is_ready or "READY=1" in assignments

    @staticmethod
    def _park(descriptor, number):
        os.dup2(descriptor, number, inheritable=True)
        return number

    def _drop(self):
        for descriptor in self.kept.values():
            os.close(descriptor)
        self.kept = {}
