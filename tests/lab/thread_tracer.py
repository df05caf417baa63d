# SPDX-License-Identifier: GPL-2.0-or-later
"""Stops a single thread of another process, as a debugger does."""

import ctypes
import os

from failure import Failure

PTRACE_DETACH, PTRACE_SEIZE, PTRACE_INTERRUPT = 17, 0x4206, 0x4207
WALL = 0x40000000  # wait(2): for threads too


class ThreadTracer:
    """What it has stopped goes on when it ends, at the latest."""

    def __init__(self):
        self._library = ctypes.CDLL(None, use_errno=True)
        self._library.ptrace.argtypes = ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p
        self._library.ptrace.restype = ctypes.c_long
        self._thread = None

    def stop(self, thread):
        self._thread = thread
        self._ptrace(PTRACE_SEIZE)
        self._ptrace(PTRACE_INTERRUPT)
        os.waitpid(thread, WALL)

    def let_go(self):
        self._ptrace(PTRACE_DETACH)

    def has_seen_end(self):
        """Whether the thread has ended; a process is not gone before its tracer has asked so."""
        return os.waitpid(self._thread, WALL | os.WNOHANG)[0] == self._thread

    def _ptrace(self, request):
        if self._library.ptrace(request, self._thread, None, None) != 0:
            raise Failure(f"ptrace({request:#x}): {os.strerror(ctypes.get_errno())}")
