# SPDX-License-Identifier: GPL-2.0-or-later
"""A conversation with an FTP server, in the mode that the test asks for."""

import contextlib
import ftplib
import io
import os
import re
import socket

from address import long_host_port, parse_long_host_port
from failure import Failure, expect_equal, patient

ACTIVE_MODES = ("PORT", "EPRT", "LPRT")
PASSIVE_MODES = ("PASV", "EPSV", "LPSV")
TIMEOUT_SECONDS = patient(10)
UPLOAD_BYTES = 100_000


def modes(family):
    """The four modes of a family. PORT and PASV know IPv4 only; over IPv6 RFC 1639 takes their place."""
    return ("PORT", "PASV", "EPRT", "EPSV") if family == "ipv4" else ("LPRT", "LPSV", "EPRT", "EPSV")


def parse_announcement(verb, argument):
    """The (host, port) that an active command announces."""
    if verb == "PORT":
        numbers = argument.split(",")
        return ".".join(numbers[:4]), int(numbers[4]) << 8 | int(numbers[5])
    if verb == "EPRT":
        host, port = argument.split(argument[0])[2:4]
        return host, int(port)
    return parse_long_host_port(argument)


class _Ftp(ftplib.FTP):
    """ftplib, with every mode in either family, believing what the server says of its address."""

    def __init__(self, mode):
        super().__init__(timeout=TIMEOUT_SECONDS)
        self.mode = mode
        self.data_port = 0
        self.advertised = []
        self.set_pasv(mode in PASSIVE_MODES)

    def makeport(self):
        host = self.sock.getsockname()[0]
        listener = socket.create_server((host, self.data_port), family=self.af, backlog=1)
        listener.settimeout(self.timeout)
        port = listener.getsockname()[1]
        try:
            if self.mode == "PORT":
                self.sendport(host, port)
            elif self.mode == "EPRT":
                self.sendeprt(host, port)
            else:
                self.voidcmd("LPRT " + long_host_port(host, port))
        except BaseException:
            listener.close()
            raise
        return listener

    def makepasv(self):
        reply = self.sendcmd(self.mode)
        if self.mode == "PASV":
            host, port = ftplib.parse227(reply)
        elif self.mode == "EPSV":
            host, port = ftplib.parse229(reply, self.sock.getpeername())
        elif match := re.match(r"228 .*\(([0-9,]+)\)", reply):
            host, port = parse_long_host_port(match[1])
        else:
            raise ftplib.error_proto(reply)
        self.advertised.append((host, port))
        return host, port


def read_all(connection):
    """Everything that comes until the other end closes."""
    with connection.makefile("rb") as file:
        return file.read()


class Session:
    """One control connection from a namespace, logged in. Every operation fails the test when it goes wrong."""

    def __init__(self, namespace, server, dial, mode, port=21):
        self.namespace = namespace
        self.server = server
        self._ftp = _Ftp(mode)
        with self._talking("log in"):
            self._ftp.connect(dial, port)
            self._ftp.login(server.user, server.password)

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        self._ftp.close()

    @property
    def advertised(self):
        """The (host, port) of every passive reply that the client received."""
        return self._ftp.advertised

    @contextlib.contextmanager
    def announced(self, port):
        """Announces the local port to the server, and hands out the socket that listens on it."""
        self._ftp.data_port = port
        with self._talking(f"announce port {port}"):
            self._ftp.voidcmd("TYPE I")
            listener = self._ftp.makeport()
        with listener:
            yield listener

    def download_to(self, listener, name):
        """Downloads over a port that was announced before."""
        with self._talking(f"download {name} to an announced port"):
            self._ftp.sendcmd(f"RETR {name}")
            connection, _peer = listener.accept()
            with connection:
                content = read_all(connection)
            self._ftp.voidresp()
        self.expect_content(name, content)

    def list(self):
        names = []
        with self._talking("list"):
            self._ftp.retrlines("NLST", names.append)
        expect_equal("listing", sorted([*self.server.files, "upload"]), sorted(set(names) - {".", ".."}))

    def download(self, name):
        with self.open_download(name) as connection:
            content = read_all(connection)
        self.expect_content(name, content)

    def expect_content(self, name, got):
        expected = self.server.files[name]
        expect_equal(f"size of the downloaded {name}", len(expected), len(got))
        if got != expected:
            raise Failure(f"the downloaded {name} is not the server's, though of equal size")

    def upload(self, name, size=UPLOAD_BYTES):
        content = os.urandom(size)
        with self._talking(f"upload {name}"):
            self._ftp.storbinary(f"STOR upload/{name}", io.BytesIO(content))
        self.server.expect_upload(name, content)

    def noop(self):
        self.expect_reply("NOOP", "200")

    def expect_order(self):
        """The control connection answers, whatever replies come before that are due to earlier commands."""
        with self._talking("have NOOP answered"):
            self._ftp.putcmd("NOOP")
            while not self._ftp.getmultiline().startswith("200 I successfully"):
                pass

    def quit(self):
        self.expect_reply("QUIT", "221")
        self._ftp.close()

    def expect_reply(self, command, code):
        """Sends the command; its reply must begin with the code. Returns the reply."""
        with self._talking(command):
            try:
                reply = self._ftp.sendcmd(command)
            except (ftplib.error_temp, ftplib.error_perm) as refusal:
                reply = str(refusal)
        expect_equal(f"reply to {command}", code, reply[:len(code)])
        return reply

    @contextlib.contextmanager
    def open_download(self, name):
        """Begins a download and hands out its data connection, still to be read; the reply that ends it is
        awaited when the block ends."""
        with self._talking(f"begin to download {name}"):
            self._ftp.voidcmd("TYPE I")
            connection = self._ftp.transfercmd(f"RETR {name}")
        with connection:
            yield connection
        with self._talking(f"end the download of {name}"):
            self._ftp.voidresp()

    @contextlib.contextmanager
    def _talking(self, what):
        try:
            with self.namespace.entered():
                yield
        except (OSError, EOFError, ftplib.Error) as error:
            raise Failure(f"{self.namespace.label} could not {what} in mode {self._ftp.mode}: "
                          f"{type(error).__name__}: {error}") from error


def converse(session, upload="up.bin", upload_bytes=UPLOAD_BYTES):
    """The conversation that every mode must pass: several transfers each way, and a control connection that
    is in order after them."""
    session.list()
    session.download("one.bin")
    session.upload(upload, upload_bytes)
    session.download("two.bin")
    session.noop()
    session.quit()


def expect_advertised(session, server, mode, scene):
    """Each end was shown the other's address as it can reach it."""
    if mode in PASSIVE_MODES:
        shown, expected = [host for host, _port in session.advertised], scene.dial
    else:
        announced = server.announced()
        expect_equal("verbs at the server", {mode}, {verb for verb, _argument in announced})
        shown, expected = [parse_announcement(*command)[0] for command in announced], scene.client_as_seen
    expect_equal(f"addresses shown by {mode}", [expected] * 4, shown)
