# SPDX-License-Identifier: GPL-2.0-or-later
"""Where captures are made: a client and a server with a router between them that changes nothing."""

import contextlib
import dataclasses
import ipaddress
import pathlib
import signal
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lab"))

from address import family_of, plans  # noqa: E402
from topology import one_router  # noqa: E402

SETTLE_SECONDS = 0.3  # until the last packet is in the capture


@dataclasses.dataclass(frozen=True)
class Place:
    """Who talks to whom, and where that is captured: on the router's to_client or to_server, or on 'any'
    interface of the client."""
    client: str
    server: str
    interface: str


INSIDE_CLIENT = Place("10.0.1.2", "203.0.113.77", "to_client")
INSIDE_CLIENT_IPV6 = Place("fd00:1::2", "2001:db8:2::77", "to_client")
INSIDE_CLIENT_ITSELF = Place("10.0.1.2", "203.0.113.77", "any")
INSIDE_SERVER = Place("198.51.100.77", "10.0.2.2", "to_server")
INSIDE_SERVER_IPV6 = Place("2001:db8:1::77", "fd00:2::2", "to_server")
OUTSIDE_CLIENT = Place("198.51.100.1", "203.0.113.77", "to_server")
OUTSIDE_SERVER = Place("198.51.100.77", "203.0.113.1", "to_client")


class Road:
    """A place laid out in a lab."""

    def __init__(self, lab, place, output):
        self.lab, self.place, self.output = lab, place, output
        plan = dataclasses.replace(plans(family_of(place.client))[0],
                                   client=place.client, client_router=_router_beside(place.client),
                                   server=place.server, server_router=_router_beside(place.server))
        self.scene = one_router(lab, plan, dial=place.server, client_as_seen=place.client)
        self.client, self.server = self.scene.client, self.scene.server
        [self.router] = self.scene.routers
        # Segments and checksums shall be those of the wire.
        for namespace, device in ((self.client, "uplink"), (self.router, "to_client"),
                                  (self.router, "to_server"), (self.server, "uplink")):
            namespace.run("ethtool", "-K", device, "tx", "off", "gso", "off", "tso", "off", "gro", "off")

    @staticmethod
    def lose(namespace, match):
        """What matches gets no further than into this namespace."""
        namespace.nft("add table inet loss\n"
                      "add chain inet loss arrival { type filter hook prerouting priority -300; }\n"
                      f"add rule inet loss arrival {match} drop")

    @contextlib.contextmanager
    def captured(self):
        """What passes within this block is in the output."""
        interface = self.place.interface
        tcpdump = self.lab.start("tcpdump", self.client if interface == "any" else self.router,
                                 "tcpdump", "-i", interface, "-s", "0", "-U", "-B", "16384", "--immediate-mode",
                                 "-Z", "root", "-w", self.output, "tcp")
        tcpdump.wait_for_log("listening on")
        yield
        time.sleep(SETTLE_SECONDS)
        tcpdump.signal(signal.SIGINT)
        tcpdump.wait_for_exit()


def has_gaps(path):
    """tcpdump itself may lose packets on a busy machine."""
    found = subprocess.run(["tshark", "-r", path, "-Y", "tcp.analysis.lost_segment or tcp.analysis.ack_lost_segment"],
                           capture_output=True, check=True)
    return bool(found.stdout)


def _router_beside(host):
    """An address in the host's network that no host has."""
    return str(ipaddress.ip_address(host) + 100)
