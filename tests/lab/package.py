# SPDX-License-Identifier: GPL-2.0-or-later
"""The Debian package, on a clean Debian with systemd (tests/lab/vm --clean): package.py BUILD_DIRECTORY

Makes the package as tools/package does, has lintian look at it, and runs installed.py there, which installs it, lives with
it and removes it. The emulated machine is slow, whatever else this one does: FTPALG_LAB_PATIENCE.
"""

import os
import pathlib
import subprocess
import sys
import tempfile

TESTS = pathlib.Path(__file__).resolve().parent.parent
DEBIAN = f"{os.environ.get('FTPALG_PEERS', '/var/cache/ftpalg-peers')}/debian"
MACHINE_SECONDS = 900
EMULATED_IS_SLOWER = "20"


def run(*command, **more):
    print("$", *command, flush=True)
    return subprocess.run(command, check=True, **more)


def main(build):
    # Below /tmp, of which the machine has only a view: nothing there is changed by it.
    with tempfile.TemporaryDirectory(prefix="ftpalg-package.") as scratch:
        run("cpack", "--config", build / "CPackConfig.cmake", "-G", "DEB", "-B", scratch, stdout=subprocess.DEVNULL)
        [package] = pathlib.Path(scratch).glob("*.deb")
        run("lintian", "--allow-root", "--fail-on", "error,warning", package)
        os.environ["FTPALG_LAB_PATIENCE"] = EMULATED_IS_SLOWER
        run(TESTS / "lab/vm", "--clean", "--limit", str(MACHINE_SECONDS),
            "/usr/bin/python3", "-B", f"/host{TESTS}/lab/installed.py", f"/host{package}", f"/host{DEBIAN}", stdin=subprocess.DEVNULL)


if __name__ == "__main__":
    try:
        main(pathlib.Path(sys.argv[1]).resolve())
    except subprocess.CalledProcessError as error:
        sys.exit(f"FAILED: {error}")
