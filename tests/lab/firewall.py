# SPDX-License-Identifier: GPL-2.0-or-later
"""The router's own rules: what a person has in place before the gateway comes.

Forwarding is closed but for control connections and what conntrack relates to them, so a data connection that
gets through proves that an expectation was there for it.
"""

import dataclasses

from address import family_of

CONTROL_PORTS = (21,)


@dataclasses.dataclass(frozen=True)
class Nat:
    """NAT of one connection's first packet; a field that is None is not looked at."""
    to: str                    # the new address
    port: int | None = None    # the new destination port
    source: str | None = None
    destination: str | None = None
    destination_port: int | None = None

    def rule(self, verb):
        family = {"ipv4": "ip", "ipv6": "ip6"}[family_of(self.to)]
        parts = []
        if self.source:
            parts.append(f"{family} saddr {self.source}")
        if self.destination:
            parts.append(f"{family} daddr {self.destination}")
        if self.destination_port:
            parts.append(f"tcp dport {self.destination_port}")
        target = self.to if family == "ip" or self.port is None else f"[{self.to}]"
        return " ".join(parts + [verb, family, "to", target + (f":{self.port}" if self.port else "")])


def install(router, dnat=(), snat=(), control_ports=CONTROL_PORTS):
    """Closes the router's forwarding but for the control ports, and adds its NAT rules."""
    router.nft(f"""
        table inet firewall {{
            chain forward {{
                type filter hook forward priority filter; policy drop;
                ct state established,related accept
                ct state new tcp dport {_set(control_ports)} accept
            }}
            chain prerouting {{
                type nat hook prerouting priority dstnat;
                {_lines(nat.rule("dnat") for nat in dnat)}
            }}
            chain postrouting {{
                type nat hook postrouting priority srcnat;
                {_lines(nat.rule("snat") for nat in snat)}
            }}
        }}""")


def close_own_doors(router, control_ports=CONTROL_PORTS):
    """Closes what comes to the router itself, but for the control ports, established and related connections."""
    router.nft(f"""
        table inet own_doors {{
            chain input {{
                type filter hook input priority filter; policy drop;
                ct state established,related accept
                meta l4proto icmpv6 accept
                ct state new tcp dport {_set(control_ports)} accept
            }}
        }}""")


def _set(ports):
    return "{ " + ", ".join(map(str, ports)) + " }"


def _lines(rules):
    return "\n                ".join(rules)
