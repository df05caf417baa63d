# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs one live test as a program: sees that it can run at all, and turns its end into an exit status."""

import os
import shutil
import signal
import sys

import gateway
from failure import Failure

PROGRAMS = ("ip", "nft", "iptables", "ip6tables", "iptables-legacy", "ip6tables-legacy", "conntrack", "setpriv",
            "unshare", "strace", "curl", "lftp", "tnftp")


def require_everything():
    """A live test that cannot run fails, and says how to mend it."""
    if os.geteuid() != 0:
        raise Failure("live tests make network namespaces and firewall rules, which needs root; run them as root")
    missing = [program for program in PROGRAMS if not shutil.which(program)]
    if missing:
        raise Failure(f"not installed: {', '.join(missing)}; run tests/setup")
    try:
        import pyftpdlib  # noqa: F401
    except ImportError:
        raise Failure(f"{sys.executable} has no pyftpdlib; run tests/setup, "
                      "and the test with /usr/bin/python3") from None
    if not os.access(gateway.PROGRAM, os.X_OK):
        raise Failure(f"FTPALG={gateway.PROGRAM!r} is no program; "
                      "build ftpalg and set FTPALG to its path, as ctest does")


def main(test, *arguments):
    """Runs test(*arguments) and exits: 0 when it returns, 1 when it fails."""
    # The end by a signal takes the same way out as any other, through every context manager.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))
    try:
        require_everything()
        test(*arguments)
    except Failure as failure:
        sys.exit(f"FAILED: {failure}")
    except KeyboardInterrupt:
        sys.exit("ended by SIGINT")


def main_of(cases):
    """As main, for a file with several tests: the first command line argument names one."""
    names = ", ".join(cases)
    if len(sys.argv) != 2 or sys.argv[1] not in cases:
        sys.exit(f"usage: {sys.argv[0]} CASE, with CASE one of: {names}")
    main(cases[sys.argv[1]])
