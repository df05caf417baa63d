# SPDX-License-Identifier: GPL-2.0-or-later
"""A cell of the matrix by somebody who is not root, in a user namespace: rootless.py TOPOLOGY MODE FAMILY

Its root has no right outside of it, as in a container of an ordinary user.
"""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import gateway
import runner
from failure import expect_equal, patient

LIMIT_SECONDS = 60


def rootless(*cell):
    with tempfile.TemporaryDirectory(prefix="ftpalg-lab.") as name:
        # The user nobody can read them here, wherever they come from.
        directory = pathlib.Path(name)
        directory.chmod(0o755)
        program = shutil.copy2(gateway.PROGRAM, directory)
        lab = shutil.copytree(pathlib.Path(__file__).parent, directory / "lab")
        done = subprocess.run(
            ["setpriv", "--reuid", "nobody", "--regid", "nogroup", "--clear-groups", "--inh-caps=-all", "--pdeathsig", "KILL", "--",
             "unshare", "--user", "--map-root-user", "--net", "--", sys.executable, lab / "matrix.py", *cell],
            env=os.environ | {"FTPALG": program, "HOME": name}, timeout=patient(LIMIT_SECONDS), check=False)
    expect_equal("exit status of the test as nobody", 0, done.returncode)


if __name__ == "__main__":
    runner.main(rootless, *sys.argv[1:])
