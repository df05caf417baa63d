# SPDX-License-Identifier: GPL-2.0-or-later
"""What rules a namespace has, to be compared before and after."""

import re

from failure import Failure

LISTINGS = (("iptables-nft-save",), ("ip6tables-nft-save",), ("iptables-legacy-save",), ("ip6tables-legacy-save",),
            ("nft", "--stateless", "list", "ruleset"))


def read(router):
    """Every rule in the namespace as a list of lines, without counters and comments."""
    _make_legacy_tables(router)
    lines = []
    for command in LISTINGS:
        lines.append(f"== {' '.join(command)}")
        lines += [re.sub(r"\[\d+:\d+\]", "[]", line) for line in router.run(*command).splitlines()
                  if line and not line.startswith("#")]
    return lines


def expect_same(what, before, after):
    """Fails with the lines that are in one state only."""
    if before != after:
        gone = [f"  - {line}" for line in before if line not in after]
        new = [f"  + {line}" for line in after if line not in before]
        raise Failure(f"{what}: the rules are not the same:\n" + "\n".join(gone + new))


def _make_legacy_tables(router):
    """Legacy tables come into being when first looked at, and stay; look at all of them, so they never differ."""
    for program in ("iptables-legacy", "ip6tables-legacy"):
        for table in ("raw", "mangle", "nat", "filter", "security"):
            router.try_run(program, "-t", table, "-S")
