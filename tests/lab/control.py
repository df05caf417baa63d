# SPDX-License-Identifier: GPL-2.0-or-later
"""The control socket of a gateway: what the commands ask over it, and raw."""

import json
import socket

from failure import Failure, expect_equal, patient
from gateway import PROGRAM

TIMEOUT_SECONDS = patient(20)


class Control:
    """A connection to a gateway's control socket, for a test that speaks the protocol itself."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(TIMEOUT_SECONDS)
        self.socket.connect(str(path))
        self._file = self.socket.makefile("rb")
        expect_equal("the protocol that the gateway speaks", 1, self.receive().get("protocol"))

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        self.close()

    def close(self):
        self._file.close()
        self.socket.close()

    def write(self, content):
        self.socket.sendall(content)

    def send(self, **request):
        self.write(json.dumps(request).encode() + b"\n")

    def receive(self):
        """The next line; None when the gateway has ended the connection."""
        try:
            line = self._file.readline()
        except ConnectionResetError:
            return None
        except TimeoutError:
            raise Failure(f"the gateway answered nothing on its control socket within {TIMEOUT_SECONDS} s") from None
        return json.loads(line) if line else None

    def ask(self, **request):
        self.send(**request)
        return self.receive()

    def sessions(self, **request):
        self.send(ask="sessions", **request)
        sessions = []
        while "session" in (line := self.receive()):
            sessions.append(line["session"])
        expect_equal("the sessions that the end of the list speaks of", len(sessions), line["end"]["shown"])
        return sessions


def command(gateway, *arguments, **options):
    """`ftpalg ARGUMENTS --socket ...`, run to its end."""
    return gateway.router.try_run(PROGRAM, *arguments, "--socket", str(gateway.socket), **options)


def said(gateway, *arguments):
    """What that prints, which must succeed."""
    done = command(gateway, *arguments)
    expect_equal(f"exit status of ftpalg {' '.join(arguments)}, which said:\n{done.stdout}{done.stderr}", 0,
                 done.returncode)
    return done.stdout


def status(gateway):
    return json.loads(said(gateway, "status", "--json"))


def sessions(gateway, *arguments):
    return json.loads(said(gateway, "sessions", "--json", *arguments))
