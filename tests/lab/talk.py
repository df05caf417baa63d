# SPDX-License-Identifier: GPL-2.0-or-later
"""A control connection both ends of which are the test's own: it decides what is written when, and sees what arrives.

One thread plays both ends in turn. What one end writes travels by the real kernel's TCP, through the gateway.
"""

import fcntl
import ftplib
import os
import re
import select
import socket
import struct
import termios

from address import family_of, long_host_port, parse_long_host_port
from failure import Failure, expect_equal, patient, wait_until
from session import parse_announcement, read_all

TIMEOUT_SECONDS = patient(10)
DATA_BYTES = 20_000

ASKING = {"227": "PASV", "228": "LPSV", "229": "EPSV"}


class End:
    """One end of the control connection."""

    def __init__(self, name, connection):
        self.name = name
        self.socket = connection
        self._received = b""
        connection.settimeout(TIMEOUT_SECONDS)

    def say(self, line):
        self.set_nodelay(True)
        self.write(line.encode() + b"\r\n")

    def write(self, content):
        self.socket.sendall(content)

    def set_nodelay(self, nodelay):
        """With it every write becomes a segment at once; without, Nagle keeps a small one until the last one
        is acknowledged."""
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, nodelay)

    def hear_line(self):
        """The next line that arrives, without its end."""
        while b"\n" not in self._received:
            self._receive()
        line, self._received = self._received.split(b"\n", 1)
        return line.decode().removesuffix("\r")

    def hear(self, expected):
        expect_equal(f"what the {self.name} hears", expected, self.hear_line())

    def hear_bytes(self, count):
        while len(self._received) < count:
            self._receive()
        content, self._received = self._received[:count], self._received[count:]
        return content

    def arrived(self):
        """What has arrived until now and was not heard yet; does not wait."""
        while select.select([self.socket], [], [], 0)[0]:
            self._receive()
        return self._received

    def segment_bytes(self):
        """How many bytes the kernel sends in one segment."""
        return self.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG)

    def wait_until_acknowledged(self):
        """Waits until all that was written has been acknowledged to the kernel."""
        wait_until(lambda: self._unacknowledged() == 0, f"what the {self.name} wrote is acknowledged",
                   interval=0.001)

    def retransmissions(self):
        """How many segments the kernel has sent again."""
        tcpi_total_retrans = 100  # struct tcp_info: 8 bytes, then the 24th of the 32-bit numbers
        information = self.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
        return struct.unpack_from("=I", information, tcpi_total_retrans)[0]

    def _receive(self):
        try:
            content = self.socket.recv(1 << 16)
        except OSError as error:
            raise Failure(f"the {self.name} waits for more than {self._received!r}: {error}") from error
        if not content:
            raise Failure(f"the {self.name} has {self._received!r}, and then the end of the connection")
        self._received += content

    def _unacknowledged(self):
        return struct.unpack("=i", fcntl.ioctl(self.socket, termios.TIOCOUTQ, bytes(4)))[0]


class Talk:
    """A control connection in a scene, from its SYN on, both ends in plain sight."""

    def __init__(self, scene, dial=None, client=None, client_as_seen=None):
        self.scene = scene
        self.dial = dial or scene.dial
        self.client_as_seen = client_as_seen or scene.client_as_seen
        self._client_namespace = client or scene.client
        with scene.server.entered():
            listener = socket.create_server((scene.plan.server, 21), family=_socket_family(scene.plan.server))
        with listener:
            listener.settimeout(TIMEOUT_SECONDS)
            self.client = End("client", _dial(self._client_namespace, self.dial, 21))
            self.server = End("server", listener.accept()[0])

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        self.client.socket.close()
        self.server.socket.close()

    def end(self):
        """Closes it, the client first; what the gateway does on that is done then."""
        for end, other in ((self.client, self.server), (self.server, self.client)):
            end.socket.shutdown(socket.SHUT_WR)
            expect_equal(f"what the {other.name} gets behind the last line", b"", other.socket.recv(1))

    def log_in(self):
        self.server.say("220 lab server ready.")
        self.client.hear("220 lab server ready.")
        self.exchange("USER anonymous", "331 Password?")
        self.exchange("PASS lab@example.org", "230 Welcome.")

    def exchange(self, command, reply):
        """A command and its reply, both of which arrive as they were written."""
        self.client.say(command)
        self.server.hear(command)
        self.reply(reply)

    def reply(self, reply):
        self.server.say(reply)
        self.client.hear(reply)

    def active_transfer(self, verb, write=End.write, then=lambda: None, port=0):
        """Announces a port by verb, whose line is written by write(client, line), and transfers to it. What that
        wrote behind the line is dealt with by then(). Any port that is free, where none is given.
        Returns the (host, port) that the client announced and those that the server heard."""
        host = self.client.socket.getsockname()[0]
        with self._client_namespace.entered():
            listener = socket.create_server((host, port), family=_socket_family(host))
        with listener:
            listener.settimeout(TIMEOUT_SECONDS)
            announced = host, listener.getsockname()[1]
            write(self.client, announcement(verb, *announced))
            heard_verb, argument = self.server.hear_line().split(" ", 1)
            expect_equal("the verb that the server hears", verb, heard_verb)
            heard = parse_announcement(verb, argument)
            expect_equal(f"the host that {verb} tells the server", self.client_as_seen, heard[0])
            self.reply(f"200 {verb} command successful.")
            then()
            self._transfer(lambda: (_dial(self.scene.server, *heard), _accept(listener)))
        return announced, heard

    def passive_transfer(self, code, write=End.write, then=lambda: None, send=None):
        """Asks for a port, which is told by a reply with the code, written by write(server, line), and transfers
        from it what send(data connection) sends and returns. What write() wrote behind the line is dealt with by then().
        Returns the (host, port) that the server announced and those that the client heard."""
        host = self.scene.plan.server
        with self.scene.server.entered():
            listener = socket.create_server((host, 0), family=_socket_family(host))
        with listener:
            listener.settimeout(TIMEOUT_SECONDS)
            announced = host, listener.getsockname()[1]
            self.client.say(ASKING[code])
            self.server.hear(ASKING[code])
            write(self.server, passive_reply(code, *announced))
            heard = parse_passive_reply(code, self.client.hear_line(), self.dial)
            expect_equal(f"the host that {code} tells the client", self.dial, heard[0])
            then()
            self._transfer(lambda: tuple(reversed((_dial(self._client_namespace, *heard), _accept(listener)))), send)
        return announced, heard

    def _transfer(self, connect, send=None):
        """A download over the (server's, client's) ends of a data connection."""
        self.client.say("RETR file")
        self.server.hear("RETR file")
        from_server, to_client = connect()
        with from_server, to_client:
            self.reply("150 Here it comes.")
            content = (send or _send)(from_server)
            from_server.shutdown(socket.SHUT_WR)
            if read_all(to_client) != content:
                raise Failure("what was downloaded is not what was sent")
        self.reply("226 Transfer complete.")


def _send(data):
    content = os.urandom(DATA_BYTES)
    data.sendall(content)
    return content


def announcement(verb, host, port):
    """The line, as bytes, by which a client announces host and port."""
    if verb == "PORT":
        argument = _host_port(host, port)
    elif verb == "EPRT":
        argument = f"|{1 if family_of(host) == 'ipv4' else 2}|{host}|{port}|"
    else:
        argument = long_host_port(host, port)
    return f"{verb} {argument}\r\n".encode()


def passive_reply(code, host, port):
    """The line, as bytes, by which a server announces host and port."""
    text = {"227": lambda: f"Entering Passive Mode ({_host_port(host, port)}).",
            "228": lambda: f"Entering Long Passive Mode ({long_host_port(host, port)}).",
            "229": lambda: f"Entering Extended Passive Mode (|||{port}|)."}[code]()
    return f"{code} {text}\r\n".encode()


def parse_passive_reply(code, line, dialled):
    """The (host, port) in the reply; a 229 has no host, and means the one that was dialled."""
    expect_equal("the code of the passive reply", code, line[:3])
    if code == "227":
        return ftplib.parse227(line)
    if code == "228":
        return parse_long_host_port(re.search(r"\((.*)\)", line)[1])
    return dialled, int(re.search(r"\(\|\|\|(\d+)\|\)", line)[1])


def _host_port(host, port):
    return f"{host.replace('.', ',')},{port >> 8},{port & 255}"


def _socket_family(host):
    return {"ipv4": socket.AF_INET, "ipv6": socket.AF_INET6}[family_of(host)]


def _dial(namespace, host, port):
    try:
        with namespace.entered():
            connection = socket.create_connection((host, port), TIMEOUT_SECONDS)
    except OSError as error:
        raise Failure(f"{namespace.label} could not connect to {host} port {port}: {error}") from error
    return connection


def _accept(listener):
    connection = listener.accept()[0]
    connection.settimeout(TIMEOUT_SECONDS)
    return connection
