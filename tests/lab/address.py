# SPDX-License-Identifier: GPL-2.0-or-later
"""Who has which address. Two plans per family: NAT makes addresses longer in one and shorter in the other."""

import dataclasses
import ipaddress


@dataclasses.dataclass(frozen=True)
class Plan:
    """The addresses of one laboratory. Both ends live in a network of their own behind a router; each router
    address in such a network is the end's way out, each public address is what NAT shows of that end."""
    name: str
    client: str
    client_router: str
    public_client: str
    server: str
    server_neighbour: str  # a further host in the server's network
    server_router: str
    public_server: str
    other_client: str      # a client in a network of its own behind the same router
    other_client_router: str
    transit_client: str    # between two routers: the client's
    transit_server: str    # between two routers: the server's

    @property
    def family(self):
        return family_of(self.client)


def family_of(address):
    return f"ipv{ipaddress.ip_address(address).version}"


def host_prefix(address):
    """The address as a route to exactly this host."""
    return f"{address}/{ipaddress.ip_address(address).max_prefixlen}"


def in_network(address):
    """The address with the length of the network that every network in the lab has."""
    return f"{address}/{24 if family_of(address) == 'ipv4' else 64}"


def bracketed(address):
    """The address as it stands in a URL."""
    return address if family_of(address) == "ipv4" else f"[{address}]"


PLANS = (
    Plan("ipv4 longer",
         client="10.0.1.2", client_router="10.0.1.1", public_client="198.51.100.201",
         server="10.0.2.2", server_neighbour="10.0.2.3", server_router="10.0.2.254",
         public_server="203.0.113.222", other_client="10.0.3.2", other_client_router="10.0.3.1",
         transit_client="172.31.0.1", transit_server="172.31.0.2"),
    Plan("ipv4 shorter",
         client="192.168.101.201", client_router="192.168.101.1", public_client="192.0.2.1",
         server="192.168.202.202", server_neighbour="192.168.202.203", server_router="192.168.202.1",
         public_server="192.0.2.2", other_client="192.168.103.203", other_client_router="192.168.103.1",
         transit_client="172.31.0.1", transit_server="172.31.0.2"),
    Plan("ipv6 longer",
         client="fd00:1::2", client_router="fd00:1::ff", public_client="2001:db8:2aaa:bbbb:cccc:dddd:eeee:2001",
         server="fd00:2::2", server_neighbour="fd00:2::3", server_router="fd00:2::aaaa:bbbb:cccc:dddd",
         public_server="2001:db8:2aaa:bbbb:cccc:dddd:eeee:2002", other_client="fd00:4::2",
         other_client_router="fd00:4::1", transit_client="fd00:3::1", transit_server="fd00:3::2"),
    Plan("ipv6 shorter",
         client="fd00:aaaa:bbbb:cc01:dddd:eeee:ffff:1001", client_router="fd00:aaaa:bbbb:cc01::1",
         public_client="2001:db8::1",
         server="fd00:aaaa:bbbb:cc02:dddd:eeee:ffff:1002", server_neighbour="fd00:aaaa:bbbb:cc02:dddd:eeee:ffff:1003",
         server_router="fd00:aaaa:bbbb:cc02::1", public_server="2001:db8::2",
         other_client="fd00:aaaa:bbbb:cc04:dddd:eeee:ffff:1004", other_client_router="fd00:aaaa:bbbb:cc04::1",
         transit_client="fd00:3::1", transit_server="fd00:3::2"),
)


def plans(family):
    return [plan for plan in PLANS if plan.family == family]


def long_host_port(host, port):
    """The argument of LPRT and the middle of 228."""
    address = ipaddress.ip_address(host)
    numbers = [{4: 4, 6: 6}[address.version], len(address.packed), *address.packed, 2, port >> 8, port & 255]
    return ",".join(map(str, numbers))


def parse_long_host_port(text):
    """The host and port in an argument of LPRT or the middle of 228; ValueError if it is none."""
    family, length, *rest = map(int, text.split(","))
    if (family, length) not in ((4, 4), (6, 16)) or len(rest) != length + 3 or rest[length] != 2:
        raise ValueError(text)
    return str(ipaddress.ip_address(bytes(rest[:length]))), rest[-2] << 8 | rest[-1]
