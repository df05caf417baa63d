# SPDX-License-Identifier: GPL-2.0-or-later
"""What this kernel was built with, by its own configuration."""

import gzip
import os
import pathlib

from failure import Failure

PEERS = pathlib.Path(os.environ.get("FTPALG_PEERS", "/var/cache/ftpalg-peers"))


def tells_connections():
    """Whether a queue can tell of the connection with each packet (NFQA_CT)."""
    return "CONFIG_NETFILTER_NETLINK_GLUE_CT=y" in _configuration()


def _configuration():
    running = pathlib.Path("/proc/config.gz")
    if running.exists():
        return gzip.decompress(running.read_bytes()).decode().splitlines()
    name = f"boot/config-{os.uname().release}"
    for place in (pathlib.Path("/", name), *PEERS.glob(f"*/{name}")):
        if place.exists():
            return place.read_text(encoding="ascii").splitlines()
    raise Failure(f"this kernel tells its configuration neither in {running} nor in {name} below / or {PEERS}")
