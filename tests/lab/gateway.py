# SPDX-License-Identifier: GPL-2.0-or-later
"""The program under test, on a router."""

import os
import signal

from failure import expect_equal, wait_until

PROGRAM = os.environ.get("FTPALG", "")

# The firewall for the rules of every test that does not ask for a certain one; without it the gateway chooses.
FORMAT = os.environ.get("FTPALG_LAB_FORMAT", "")
KNOWS_FORMAT = (("run",), ("check",), ("rules", "apply"), ("rules", "verify"))


class Gateway:
    """`ftpalg run --apply-rules` on a router, taking packets from the moment it is made."""

    def __init__(self, lab, router, *options, queue=0, socket=None):
        self.router = router
        # The file system is everybody's, whatever the namespace.
        self.socket = socket or lab.directory / f"ftpalg-{len(lab.processes)}.sock"
        self.process = lab.start(f"ftpalg-{router.label}", router,
                                 PROGRAM, *_formatted("run", "--apply-rules", "--queue", queue, "--log-level", "debug",
                                                      "--socket", self.socket, *options))
        self.process.wait_for_log("ready on queue")

    def expectations(self):
        return expectations(self.router)

    def packets_queued(self):
        """How many packets the kernel has put into the queues since the gateway took them."""
        return sum(self.packets_by_queue())

    def packets_by_queue(self):
        return [numbers[7] for numbers in self._queue_numbers()]

    def packets_waiting(self):
        return sum(numbers[2] for numbers in self._queue_numbers())

    def _queue_numbers(self):
        with self.router.entered(), open("/proc/thread-self/net/netfilter/nfnetlink_queue", encoding="ascii") as file:
            return [[int(word) for word in line.split()] for line in file]

    def wait_for_no_expectation(self):
        wait_until(lambda: not self.expectations(),
                   f"no expectation is left on {self.router.label}, but there is: {self.expectations()}")

    def stop(self, number=signal.SIGTERM):
        """Ends the gateway as a person does; it must obey and say that all is well."""
        self.process.signal(number)
        expect_equal(f"exit status of ftpalg after {signal.Signals(number).name}", 0, self.process.wait_for_exit())

    def kill(self):
        """Ends the gateway as a crash does; its rules stay."""
        self.process.signal(signal.SIGKILL)
        self.process.wait_for_exit()


def start_all(lab, scene, *options):
    """A gateway on each of the scene's routers."""
    return [Gateway(lab, router, *options) for router in scene.routers]


def expectations(router):
    """A router's expectation table as conntrack(8) prints it, one string per expectation."""
    # Unlike connections, conntrack(8) lists expectations of one family only, and by default of IPv4.
    return [line for family in ("ipv4", "ipv6")
            for line in router.run("conntrack", "-L", "expect", "-f", family).splitlines()]


def ftpalg(router, *arguments):
    """Runs the program to its end on the router, and returns what became of it, whatever that is."""
    return router.try_run(PROGRAM, *_formatted(*arguments))


def format_options():
    """What has a command of the program use this run's firewall."""
    return ("--format", FORMAT) if FORMAT else ()


def _formatted(*arguments):
    """The arguments, with the format where none is asked for."""
    knows = any(arguments[:len(command)] == command for command in KNOWS_FORMAT)
    return arguments + format_options() if knows and "--format" not in arguments else arguments


def environment():
    """An environment in which the command ftpalg is the program under test."""
    return os.environ | {"PATH": f"{os.path.dirname(PROGRAM)}:{os.environ['PATH']}"}
