# SPDX-License-Identifier: GPL-2.0-or-later
"""Programs that run beside the test."""

import pathlib
import signal
import subprocess

from failure import Failure, patient, wait_until

LOG_TAIL_LINES = 400


class Process:
    """A program in a namespace, its output in a log file. It dies with the test, whatever ends the test."""

    def __init__(self, name, namespace, log_path, *command, pass_fds=()):
        self.name = name
        self.log_path = log_path
        with namespace.entered(), open(log_path, "wb") as log:
            self._child = subprocess.Popen(("setpriv", "--pdeathsig", "KILL", "--") + command,
                                           stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                                           pass_fds=pass_fds)

    @property
    def pid(self):
        return self._child.pid

    def log(self):
        return self.log_path.read_text(errors="replace")

    def log_tail(self):
        lines = self.log().splitlines()[-LOG_TAIL_LINES:]
        return "\n".join(f"    {line}" for line in lines) or "    (nothing)"

    def is_running(self):
        return self._child.poll() is None

    def wait_for_log(self, text, limit=10.0):
        """Waits until the program has said text."""
        def said():
            if text in self.log():
                return True
            if not self.is_running():
                raise Failure(f"{self.name} exited with {self._child.returncode} before it said {text!r}:\n"
                              f"{self.log_tail()}")
            return False
        wait_until(said, f"{self.name} says {text!r}", limit)

    def signal(self, number):
        self._child.send_signal(number)

    def pause(self):
        """Has it stand still until signal.SIGCONT. The kernel stops the thread that takes the signal first, and then the
        others, which go on until then: they are waited for."""
        self.signal(signal.SIGSTOP)
        wait_until(self._stands_still, f"all threads of {self.name} stand still")

    def _stands_still(self):
        stats = [task.read_text(encoding="utf-8") for task in pathlib.Path(f"/proc/{self.pid}/task").glob("*/stat")]
        return stats and all(stat.rsplit(") ", 1)[1].startswith("T") for stat in stats)

    def wait_for_exit(self, limit=5.0):
        """Returns the exit status (negative: the signal that ended it)."""
        limit = patient(limit)
        try:
            return self._child.wait(limit)
        except subprocess.TimeoutExpired:
            raise Failure(f"{self.name} is still running after {limit:g} s:\n{self.log_tail()}") from None

    def close(self):
        self._child.kill()
        self._child.wait()
