# SPDX-License-Identifier: GPL-2.0-or-later
"""Many sessions at once, by a client that costs little: tests/load."""

import dataclasses
import json
import pathlib

import gateway
from failure import Failure, patient

WAIT_SECONDS_MAX = 30
LOAD_SECONDS_MAX = 600


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of one session."""
    mode: str
    transfers: int   # that were well, in bytes too
    seconds: float
    failure: str     # empty: none


def run_sessions(namespace, server, dial, modes, count, transfers, label, every_ms=0):
    """The outcomes of so many sessions, the modes by turns. Uploads are one.bin again, and are compared here."""
    program = pathlib.Path(gateway.PROGRAM).parent / "tests/load/ftp_load"
    if not program.exists():
        raise Failure(f"{program} is missing; build it with: ninja ftp_load")
    printed = namespace.run(str(program), "--server", dial, "--file", str(server.directory / "one.bin"),
                            "--download", "one.bin", "--upload", f"upload/{label}", "--sessions", str(count),
                            "--transfers", str(transfers), "--modes", ",".join(modes), "--every-ms", str(every_ms),
                            "--limit", str(patient(WAIT_SECONDS_MAX)), timeout=LOAD_SECONDS_MAX)
    outcomes = [Outcome(**json.loads(line)) for line in printed.splitlines()]
    for number, outcome in enumerate(outcomes):
        for transfer in range(1, outcome.transfers, 2):
            server.expect_upload(f"{label}.{number}.{transfer}", server.files["one.bin"])
    return outcomes
