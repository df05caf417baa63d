# SPDX-License-Identifier: GPL-2.0-or-later
"""Rule 30: the control connection outlives a long transfer: long_transfer.py FAMILY [REMEMBERED TRANSFER]

    client ----------------- [ router ] ----------------- server
       client    client_router        server_router       server
              destination public_server:21 -> server
                   source client -> public_client

Nothing is said on it for longer than the router's conntrack remembers a silent connection. Forgotten, it would not be
translated any more, and the reply that ends the transfer would not arrive.
"""

import os
import sys
import time

import gateway
import runner
from address import plans
from lab import Lab
from talk import Talk
from topology import both

# How long conntrack remembers, and how long the transfer takes. On demand others, such as 20 and 60, which show the same in
# more time.
REMEMBERED_SECONDS = 8
TRANSFER_SECONDS = 20


def main(family, remembered=REMEMBERED_SECONDS, transfer=TRANSFER_SECONDS):
    with Lab() as lab:
        scene = both(lab, plans(family)[0])
        [router] = scene.routers
        router.sysctl("net.netfilter.nf_conntrack_tcp_timeout_established", int(remembered))
        [running] = gateway.start_all(lab, scene)
        talk = lab.enter_context(Talk(scene))
        talk.log_in()
        talk.passive_transfer({"ipv4": "227", "ipv6": "228"}[family], send=lambda data: _send_slowly(data, int(transfer)))
        talk.exchange("NOOP", "200 Still here.")
        running.stop()


def _send_slowly(data, seconds):
    """Returns what was sent. The data connection is never silent for long."""
    sent = b""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        part = os.urandom(100)
        data.sendall(part)
        sent += part
        time.sleep(0.5)
    return sent


if __name__ == "__main__":
    runner.main(main, *sys.argv[1:])
