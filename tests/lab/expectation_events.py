# SPDX-License-Identifier: GPL-2.0-or-later
"""Every expectation that appears in a router's kernel, however short it lives: conntrack tells of each by netlink.

What the kernel did before a packet left it has told before that packet arrives, so nobody needs to wait for it.
"""

import errno
import ipaddress
import socket
import struct

from failure import Failure

NETLINK_NETFILTER = 12
SO_RCVBUFFORCE = 33
GROUPS_NEW_AND_DESTROY = 1 << 3 | 1 << 5  # NFNLGRP_CONNTRACK_EXP_NEW and _DESTROY, less one
BUFFER_BYTES = 16 << 20

MESSAGE_NEW, MESSAGE_DESTROY = 0, 2       # enum ctnl_exp_msg_types
MASTER = 1                                # enum ctattr_expect
TUPLE_IP, TUPLE_PROTO = 1, 2              # enum ctattr_tuple
SOURCE_PORT = 2                           # enum ctattr_l4proto
SOURCES = {1: "ipv4", 3: "ipv6"}          # enum ctattr_ip


class ExpectationEvents:
    """Listens from the moment it is made. An expectation is named by its master: the (address, port) from which the
    control connection was opened."""

    def __init__(self, lab, router):
        # By itself the kernel tells of connections only that began when somebody listened already.
        router.sysctl("net.netfilter.nf_conntrack_events", 1)
        with router.entered():
            self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER)
        lab.callback(self._socket.close)
        self._socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, BUFFER_BYTES)
        self._socket.bind((0, GROUPS_NEW_AND_DESTROY))
        self._masters = []  # of the expectations that are there
        self.appeared = []  # the master of each that has come, in order
        self.most = 0       # how many were there at once, at most

    def read(self):
        """Takes note of everything until now, and returns the masters of all that ever appeared."""
        while True:
            try:
                content = self._socket.recv(1 << 16, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return self.appeared
            except OSError as error:
                if error.errno == errno.ENOBUFS:
                    raise Failure("more expectations came and went than the test could be told of") from error
                raise
            for kind, body in _messages(content):
                self._note(kind, _master(body))

    def _note(self, kind, master):
        if kind == MESSAGE_NEW:
            self.appeared.append(master)
            self._masters.append(master)
            self.most = max(self.most, len(self._masters))
        elif kind == MESSAGE_DESTROY:
            self._masters.remove(master)


def _messages(content):
    """(kind, attributes) of each message: a header of 16 bytes, then 4 that say no more than the family."""
    while content:
        length, kind = struct.unpack_from("=IH", content)
        yield kind & 0xff, dict(_attributes(content[20:length]))
        content = content[length + 3 & ~3:]


def _attributes(content):
    while content:
        length, kind = struct.unpack_from("=HH", content)
        yield kind & 0x3fff, content[4:length]
        content = content[length + 3 & ~3:]


def _master(attributes):
    parts = dict(_attributes(attributes[MASTER]))
    source = next(value for kind, value in _attributes(parts[TUPLE_IP]) if kind in SOURCES)
    port = dict(_attributes(parts[TUPLE_PROTO]))[SOURCE_PORT]
    return str(ipaddress.ip_address(source)), int.from_bytes(port, "big")
