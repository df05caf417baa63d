# SPDX-License-Identifier: GPL-2.0-or-later
"""One laboratory: namespaces, processes and a scratch directory that go away together."""

import contextlib
import pathlib
import shutil
import sys
import tempfile

from namespace import Namespace
from process import Process


class Lab(contextlib.ExitStack):
    """Everything made through it is torn down at the end of its block.

    When the block ends in an error the lab first prints what a person needs to understand it: every process's
    log and every router's conntrack table.
    """

    def __init__(self):
        super().__init__()
        self.processes = []
        self.routers = []
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="ftpalg-lab."))
        self.directory.chmod(0o755)  # servers read in it as nobody
        self.callback(shutil.rmtree, self.directory, ignore_errors=True)

    def namespace(self, label):
        namespace = Namespace(label)
        self.callback(namespace.close)
        return namespace

    def router(self, label):
        """A namespace that forwards, both families."""
        router = self.namespace(label)
        router.sysctl("net.ipv4.ip_forward", 1)
        router.sysctl("net.ipv6.conf.all.forwarding", 1)
        self.routers.append(router)
        return router

    def start(self, name, namespace, *command, pass_fds=()):
        """Starts a program in a namespace; its log is kept in the scratch directory."""
        log_path = self.directory / f"{len(self.processes)}-{name}.log"
        process = Process(name, namespace, log_path, *map(str, command), pass_fds=pass_fds)
        self.processes.append(process)
        self.callback(process.close)
        return process

    def __exit__(self, kind, error, trace):
        if error is not None and not isinstance(error, KeyboardInterrupt):
            self._report()
        return super().__exit__(kind, error, trace)

    def _report(self):
        for process in self.processes:
            print(f"--- log of {process.name}, its end ---\n{process.log_tail()}", file=sys.stderr)
        for router in self.routers:
            for table in ("conntrack", "expect -f ipv4", "expect -f ipv6"):
                listing = router.try_run("conntrack", "-L", *table.split())
                print(f"--- conntrack -L {table} on {router.label} ---\n{listing.stdout}", file=sys.stderr)
