# SPDX-License-Identifier: GPL-2.0-or-later
"""System calls that seccomp filters have refused, of every process of the machine: the kernel's audit tells of each."""

import ctypes
import os
import re
import select
import socket

from failure import Failure, wait_until

NETLINK_AUDIT = 9
GROUP_READLOG = 1          # AUDIT_NLGRP_READLOG: tells of everything, besides an audit daemon if there is one
RECORD_SECCOMP = b"\x2e\x05"  # AUDIT_SECCOMP, 1326, in the second field of a message's header
BUFFER_BYTES = 4 << 20
SO_RCVBUFFORCE = 33

SCMP_ACT_ALLOW = 0x7fff0000
SCMP_ACT_ERRNO_EPERM = 0x00050001
SCMP_FLTATR_CTL_LOG = 6


class RefusedCalls:
    """Listens from the moment it is made."""

    def __init__(self, lab):
        # The kernel tells of it in the machine's first network namespace only, where tests begin.
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_AUDIT)
        lab.callback(self._socket.close)
        self._socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, BUFFER_BYTES)
        self._socket.bind((0, GROUP_READLOG))
        self._calls = []  # (process id, number of the system call) of each

    def expect_none_of(self, *pids):
        """None of the processes has had a call refused until now."""
        # The kernel tells in order: what we have refused to a process of our own comes behind all others.
        witness = _have_call_refused()
        wait_until(lambda: self._read() and self._of(witness),
                   "the kernel tells of a system call that it has refused; it does with CONFIG_AUDIT, and in the "
                   "machine's first network namespace")
        if refused := [f"{number} in process {pid}" for pid in pids for number in self._of(pid)]:
            raise Failure(f"system calls were refused: {', '.join(refused)}; ausyscall(8) has their names")

    def _of(self, pid):
        return [number for process, number in self._calls if process == pid]

    def _read(self):
        while select.select([self._socket], [], [], 0)[0]:
            record = self._socket.recv(1 << 14)
            if record[4:6] == RECORD_SECCOMP:
                text = record[16:].decode(errors="replace")
                # A call that strace keeps from a process has the number -1.
                self._calls.append(tuple(int(re.search(rf"\b{key}=(-?\d+)", text)[1]) for key in ("pid", "syscall")))
        return True


def _have_call_refused():
    """Returns the process id of a child that was refused a call, and is gone."""
    seccomp = ctypes.CDLL("libseccomp.so.2")
    seccomp.seccomp_init.restype = ctypes.c_void_p
    child = os.fork()
    if child == 0:
        try:
            rules = ctypes.c_void_p(seccomp.seccomp_init(SCMP_ACT_ALLOW))
            seccomp.seccomp_attr_set(rules, SCMP_FLTATR_CTL_LOG, 1)
            seccomp.seccomp_rule_add(rules, SCMP_ACT_ERRNO_EPERM, seccomp.seccomp_syscall_resolve_name(b"getppid"), 0)
            seccomp.seccomp_load(rules)
            os.getppid()
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    return child
