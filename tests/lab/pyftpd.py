# SPDX-License-Identifier: GPL-2.0-or-later
"""A pyftpdlib server that also speaks LPRT and LPSV (RFC 1639) and writes down what clients announce to it.

Run as a program: pyftpd.py --address A --port P --directory D [--bytes-per-second N] [--certificate FILE]
It prints 'ready' when it listens, and 'announced VERB ARGUMENT' for every PORT, EPRT and LPRT.
"""

import argparse
import os
import socket
import sys

from address import long_host_port, parse_long_host_port

if "--certificate" not in sys.argv:
    # pyftpdlib imports it wherever it is installed, and that takes as long as everything else here.
    sys.modules["OpenSSL"] = None

from pyftpdlib import handlers
from pyftpdlib.authorizers import DummyAuthorizer
from pyftpdlib.handlers import FTPHandler, PassiveDTP, ThrottledDTPHandler
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


def tls_handler():
    """The same, that takes AUTH TLS."""
    tls = handlers.TLS_FTPHandler
    return type("TlsHandler", (Handler, tls), {"proto_cmds": tls.proto_cmds | LONG_COMMANDS})


def announced(verb, argument):
    """Says it in one write, which the other sessions' processes cannot come between."""
    os.write(1, f"announced {verb} {argument}\n".encode())


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
    handler = tls_handler() if options.certificate else Handler
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
