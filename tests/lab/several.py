# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs live tests, several at once, and says of each what became of it: several.py JOBS LIST

A line of the list is a test: its name, its limit in seconds, its file and its arguments, with blanks between. Each runs
in a fork of this process, which has imported everything: on an emulated machine the imports are half of a short test.
Exits with 0 when all have passed.
"""

import os
import pathlib
import runpy
import signal
import sys
import tempfile
import time

import clients  # noqa: F401
import exhaustion  # noqa: F401
import firewall_rules  # noqa: F401
import privileges  # noqa: F401

HERE = pathlib.Path(__file__).parent


class Run:
    """A test that is under way."""

    def __init__(self, name, limit, file, *arguments):
        self.name = name
        self.limit = float(limit)
        self.began = time.monotonic()
        self.output = tempfile.TemporaryFile()
        self.pid = os.fork()
        if self.pid == 0:
            self._become(file, arguments)

    def _become(self, file, arguments):
        os.setsid()
        for stream in (1, 2):
            os.dup2(self.output.fileno(), stream)
        sys.argv = [str(HERE / file), *arguments]
        status = 1
        try:
            runpy.run_path(sys.argv[0], run_name="__main__")
            status = 0
        except SystemExit as end:
            if isinstance(end.code, str):
                print(end.code, file=sys.stderr)
            status = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
        except BaseException:
            sys.excepthook(*sys.exc_info())
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)

    def seconds(self):
        return time.monotonic() - self.began

    def said(self):
        self.output.seek(0)
        return self.output.read().decode(errors="replace")


def main(jobs, tests):
    waiting, running, failed = list(reversed(tests)), {}, []
    while waiting or running:
        while waiting and len(running) < jobs:
            run = Run(*waiting.pop())
            running[run.pid] = run
        for run in running.values():
            if run.seconds() > run.limit:
                print(f"{run.name} has taken over {run.limit:g} s")
                os.kill(run.pid, signal.SIGKILL)
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            time.sleep(0.05)
            continue
        run = running.pop(pid)
        passed = os.waitstatus_to_exitcode(status) == 0
        if not passed:
            failed.append(run.name)
            print(run.said())
        print(f"{run.name} {'Passed' if passed else 'Failed'} {run.seconds():.1f} s", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    print(f"kernel {os.uname().release}", flush=True)
    sys.exit(main(int(sys.argv[1]), [line.split() for line in sys.argv[2].splitlines()]))
