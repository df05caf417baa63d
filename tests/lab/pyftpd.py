# SPDX-License-Identifier: GPL-2.0-or-later
"""A pyftpdlib server that also speaks LPRT and LPSV (RFC 1639) and writes down what clients announce to it.

Run as a program: pyftpd.py --address A --port P --directory D [--bytes-per-second N] [--certificate FILE]
It prints 'ready' when it listens, and 'announced VERB ARGUMENT' for every PORT, EPRT and LPRT.
"""

import argparse
import ipaddress
import os
import socket

from pyftpdlib.authorizers import DummyAuthorizer
from pyftpdlib.handlers import FTPHandler, PassiveDTP, ThrottledDTPHandler, TLS_FTPHandler
from pyftpdlib.servers import MultiprocessFTPServer

LONG_COMMANDS = {
    "LPRT": {"perm": None, "auth": True, "arg": True, "help": "Syntax: LPRT <SP> af,hal,h..,pal,p1,p2"},
    "LPSV": {"perm": None, "auth": True, "arg": False, "help": "Syntax: LPSV"},
}


class LongPassiveDTP(PassiveDTP):
    """A passive data channel that is announced by a 228 reply, in place of the 229 that pyftpdlib writes."""

    def __init__(self, cmd_channel, extmode=True):
        write_reply = cmd_channel.respond
        cmd_channel.respond = lambda _reply: write_reply(self._reply())
        try:
            super().__init__(cmd_channel, extmode)
        finally:
            del cmd_channel.respond

    def _reply(self):
        host, port = self.socket.getsockname()[:2]
        return f"228 Entering Long Passive Mode ({long_host_port(host, port)})"


class Handler(FTPHandler):
    proto_cmds = FTPHandler.proto_cmds | LONG_COMMANDS
    banner = "lab server ready."
    use_gmt_times = False

    def ftp_PORT(self, line):
        announced("PORT", line)
        super().ftp_PORT(line)

    def ftp_EPRT(self, line):
        announced("EPRT", line)
        super().ftp_EPRT(line)

    def ftp_LPRT(self, line):
        announced("LPRT", line)
        try:
            host, port = parse_long_host_port(line)
        except ValueError:
            self.respond("501 Invalid LPRT format.")
            return
        self._make_eport(host, port)

    def ftp_PASV(self, line):
        if self.socket.family == socket.AF_INET6:
            self.respond("522 Network protocol not supported, use EPSV.")
            return
        super().ftp_PASV(line)

    def ftp_LPSV(self, _line):
        self.passive_dtp = LongPassiveDTP
        try:
            self._make_epasv(extmode=True)
        finally:
            del self.passive_dtp


class TlsHandler(Handler, TLS_FTPHandler):
    """The same, that takes AUTH TLS."""
    proto_cmds = TLS_FTPHandler.proto_cmds | LONG_COMMANDS


def announced(verb, argument):
    """Says it in one write, which the other sessions' processes cannot come between."""
    os.write(1, f"announced {verb} {argument}\n".encode())


def long_host_port(host, port):
    """The argument of LPRT and the middle of 228."""
    address = ipaddress.ip_address(host)
    numbers = [{4: 4, 6: 6}[address.version], len(address.packed), *address.packed, 2, port >> 8, port & 255]
    return ",".join(map(str, numbers))


def parse_long_host_port(text):
    """The host and port in an argument of LPRT or the middle of 228; ValueError if it is none."""
    family, length, *rest = map(int, text.split(","))
    if (family, length) not in ((4, 4), (6, 16)) or len(rest) != length + 3 or rest[length] != 2:
        raise ValueError(text)
    return str(ipaddress.ip_address(bytes(rest[:length]))), rest[-2] << 8 | rest[-1]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--address", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--directory", required=True)
    parser.add_argument("--bytes-per-second", type=int)
    parser.add_argument("--certificate", help="file with certificate and key, for AUTH TLS")
    options = parser.parse_args()

    authorizer = DummyAuthorizer()
    authorizer.add_anonymous(options.directory)
    authorizer.override_perm("anonymous", options.directory + "/upload", "elrw")
    handler = TlsHandler if options.certificate else Handler
    handler.certfile = options.certificate
    handler.authorizer = authorizer
    if options.bytes_per_second:
        handler.dtp_handler = ThrottledDTPHandler
        ThrottledDTPHandler.read_limit = ThrottledDTPHandler.write_limit = options.bytes_per_second
    # A process per session: between sessions that share one, pyftpdlib 1.5.7 mixes up reused file descriptors.
    server = MultiprocessFTPServer((options.address, options.port), handler)
    server.max_cons = 512
    print("ready", flush=True)
    server.serve_forever(handle_exit=False)


if __name__ == "__main__":
    main()
