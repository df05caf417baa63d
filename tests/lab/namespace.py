# SPDX-License-Identifier: GPL-2.0-or-later
"""Network namespaces, and what can be done in one."""

import contextlib
import ctypes
import os
import subprocess

from failure import Failure, patient

CLONE_NEWNET = 0x40000000
OWN_NAMESPACE = "/proc/thread-self/ns/net"

_libc = ctypes.CDLL(None, use_errno=True)


def _succeed(call, *arguments):
    if call(*arguments) != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{call.__name__}: {os.strerror(error)}")


def _sysctl_path(name):
    return "/proc/sys/" + name.replace(".", "/")


def _text(output):
    """What a program that was stopped had written so far."""
    return output.decode(errors="replace") if output else ""


class Namespace:
    """A network namespace that exists as long as this test holds it open.

    It has no name in the file system, so no two tests can meet in one and none can be left behind, even by
    a test that is killed. To look into one while a test runs: nsenter --net=PATH (path is printed on failure).
    """

    def __init__(self, label):
        self.label = label
        before = os.open(OWN_NAMESPACE, os.O_RDONLY | os.O_CLOEXEC)
        try:
            _succeed(_libc.unshare, CLONE_NEWNET)
            self._fd = os.open(OWN_NAMESPACE, os.O_RDONLY | os.O_CLOEXEC)
            # No duplicate address detection: an address can be used at once.
            self._write_sysctl("net.ipv6.conf.default.accept_dad", 0)
            self._write_sysctl("net.ipv6.conf.all.accept_dad", 0)
        finally:
            _succeed(_libc.setns, before, CLONE_NEWNET)
            os.close(before)
        self.path = f"/proc/{os.getpid()}/fd/{self._fd}"
        self.ip("link set lo up")

    def close(self):
        os.close(self._fd)

    @contextlib.contextmanager
    def entered(self):
        """Within this block the calling thread, and what it starts, is in the namespace."""
        before = os.open(OWN_NAMESPACE, os.O_RDONLY | os.O_CLOEXEC)
        try:
            _succeed(_libc.setns, self._fd, CLONE_NEWNET)
            yield
        finally:
            _succeed(_libc.setns, before, CLONE_NEWNET)
            os.close(before)

    def try_run(self, *command, text=None, timeout=60, **options):
        """Runs the command to its end with text as its standard input; any exit status will do."""
        timeout = patient(timeout)
        try:
            with self.entered():
                return subprocess.run(command, input=text or "", capture_output=True, text=True, errors="replace",
                                      timeout=timeout, **options)
        except subprocess.TimeoutExpired as late:
            raise Failure(f"'{' '.join(command)}' in namespace {self.label} was not done after {timeout} s:\n"
                          f"{_text(late.stdout)}{_text(late.stderr)}") from None

    def run(self, *command, **options):
        """As try_run, but the command must exit with 0. Returns its standard output."""
        done = self.try_run(*command, **options)
        if done.returncode != 0:
            raise Failure(f"'{' '.join(command)}' in namespace {self.label} exited with {done.returncode}:\n"
                          f"{done.stdout}{done.stderr}")
        return done.stdout

    def ip(self, *lines):
        """Runs ip(8) commands, given without the leading 'ip', in one batch."""
        self.run("ip", "-batch", "-", text="\n".join(lines) + "\n")

    def nft(self, ruleset):
        self.run("nft", "-f", "-", text=ruleset)

    def sysctl(self, name, value):
        with self.entered():
            self._write_sysctl(name, value)

    def has_sysctl(self, name):
        """False where the part of the kernel that it belongs to is not there, or not loaded."""
        with self.entered():
            return os.path.exists(_sysctl_path(name))

    @staticmethod
    def _write_sysctl(name, value):
        with open(_sysctl_path(name), "w", encoding="ascii") as file:
            file.write(str(value))


def connect(left, left_device, right, right_device):
    """Joins two namespaces by a cable (a veth pair)."""
    left.ip(f"link add {left_device} type veth peer name {right_device} netns {right.path}",
            f"link set {left_device} up")
    right.ip(f"link set {right_device} up")
