# SPDX-License-Identifier: GPL-2.0-or-later
"""What a test says when something is not as it must be, and how long it waits."""

import os
import time

# How many times as long as usual to wait before something counts as failed: for machines that are slow, such as emulated ones.
PATIENCE = int(os.environ.get("FTPALG_LAB_PATIENCE", 1))


class Failure(Exception):
    """A sentence for a person: what was expected, what came."""


def expect_equal(what, expected, got):
    if got != expected:
        raise Failure(f"{what}: expected {expected!r}, got {got!r}")


def expect_in(what, part, whole):
    if part not in whole:
        raise Failure(f"{what}: expected it to contain {part!r}, got {whole!r}")


def patient(seconds):
    """How long to wait on this machine for what takes at most so long on a usual one."""
    return seconds * PATIENCE


def wait_until(condition, what, limit=5.0, interval=0.01):
    """Returns the first true value of condition(); fails when none came within limit seconds of a usual machine."""
    limit = patient(limit)
    deadline = time.monotonic() + limit
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise Failure(f"waited {limit:g} s in vain until {what}")
        time.sleep(interval)
    return value
