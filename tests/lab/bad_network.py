# SPDX-License-Identifier: GPL-2.0-or-later
r"""Sessions on a bad network, and how long they take: bad_network.py FAMILY CONDITION...

Three networks of the same shape, by turns: without NAT and gateway, with NAT and the kernel's own ftp helper, with NAT
and ftpalg.

        client ----------------- [ router ] ----------------- server
           client    client_router        server_router       server
             netem           netem        netem            netem
                  destination public_server:21 -> server
                       source client -> public_client

Both ways, half of what a packet meets is before the router, half behind it. Every transfer must succeed, and the sessions
through ftpalg take no longer than those through the kernel's helper, but for a tenth. How long one takes depends on what
happens to be lost: it fails when that is certain (an interval of 95 %), not when the figures of a few sessions say so; and
how long they take is not judged where processors have little rest, as it would be these that were compared.

Needs netem, which Debian's stock kernel has: tests/lab/vm. By hand, SESSIONS=200 is a session count to believe.
"""

import contextlib
import dataclasses
import os
import random
import statistics
import sys

import load
import runner
from address import plans
from failure import Failure
from gateway import Gateway
from lab import Lab
from servers import Vsftpd
from topology import Scene, both, one_router

SESSIONS = int(os.environ.get("SESSIONS", 20))
SESSIONS_AT_ONCE = 10
ROUNDS = max(2, SESSIONS // SESSIONS_AT_ONCE)
TRANSFERS = 5
FILE_BYTES = 20_000
SLOWER_MAX = 1.10
IDLE_MIN = 0.5
RESAMPLED = 400

# What netem does to packets on each cable, both ways: half of what they meet on their whole way. Each takes its time: only
# then can a packet overtake another, and without delay it would be processors that are compared.
CONDITIONS = {
    "clean": "delay 25ms",
    "loss_1": "delay 25ms loss 0.5%",
    "loss_5": "delay 25ms loss 2.5%",
    "reordering": "delay 25ms reorder 12.5%",
    "duplication": "delay 25ms duplicate 2.5%",
    "jitter": "delay 25ms 5ms",
    "everything": "delay 25ms 5ms reorder 12.5% loss 2.5% duplicate 2.5%",
}


@dataclasses.dataclass
class Network:
    name: str
    scene: Scene
    server: Vsftpd
    outcomes: list = dataclasses.field(default_factory=list)

    def worsen(self, condition):
        """From now on."""
        for namespace, device in _cable_ends(self.scene):
            namespace.run("tc", "qdisc", "replace", "dev", device, "root", "netem", "limit", "10000",
                          *CONDITIONS[condition].split())

    def take_round(self, label):
        modes = ("PORT", "PASV") if self.scene.plan.family == "ipv4" else ("EPRT", "EPSV")
        self.outcomes += load.run_sessions(self.scene.client, self.server, self.scene.dial, modes, SESSIONS // ROUNDS,
                                           TRANSFERS, label, every_ms=40)

    def expect_success(self, what, share=1):
        """Of a share of the sessions at least."""
        failures = [f"{outcome.mode} after {outcome.transfers} transfers: {outcome.failure}"
                    for outcome in self.outcomes if outcome.failure]
        if len(self.seconds()) < share * len(self.outcomes):
            raise Failure(f"{what}: these of {len(self.outcomes)} sessions over the network '{self.name}' failed:\n"
                          + "\n".join(failures))

    def seconds(self):
        """How long each session took that succeeded."""
        return [outcome.seconds for outcome in self.outcomes if not outcome.failure]


def _cable_ends(scene):
    [router] = scene.routers
    return (scene.client, "uplink"), (router, "to_client"), (router, "to_server"), (scene.server, "uplink")


class _AnyNumber(Vsftpd):
    """It takes any number of sessions of one client, and no data port twice within the minute that TCP remembers one."""

    def command(self, lab):
        program, configuration = super().command(lab)
        text = configuration.read_text(encoding="ascii").replace("connect_from_port_20=YES", "connect_from_port_20=NO")
        configuration.write_text(text + "max_clients=0\nmax_per_ip=0\n", encoding="ascii")
        return program, configuration


def bad_network(family, *conditions):
    for condition in conditions or CONDITIONS:
        with contextlib.ExitStack() as labs:
            plain, kernel, gateway = networks = [make(labs.enter_context(Lab()), plans(family)[0])
                                                 for make in (_plain, _with_kernel, _with_gateway)]
            for network in networks:
                network.worsen(condition)
            before = _processor_ticks()
            for number in range(ROUNDS):
                _take_round(networks, f"{condition}.{number}", number)
            idle, total = (after - before for before, after in zip(before, _processor_ticks()))
            what = f"{family} {condition}"
            plain.expect_success(what)
            kernel.expect_success(what, share=0.5)  # that it fails with some is its own affair
            gateway.expect_success(what)
        _judge(what, plain, kernel, gateway, idle / total)


def _take_round(networks, label, number):
    """Each network has its turn, another one the first each time."""
    first = number % len(networks)
    for network in networks[first:] + networks[:first]:
        network.take_round(label)


def _processor_ticks():
    """How long the processors have been idle, and in all."""
    with open("/proc/stat", encoding="ascii") as file:
        ticks = [int(word) for word in file.readline().split()[1:]]
    return ticks[3], sum(ticks)


def _judge(what, plain, kernel, gateway, idle):
    print(f"{what}: {len(gateway.outcomes)} sessions each of {TRANSFERS} transfers, processors idle {idle:.0%}")
    for network in (plain, kernel, gateway):
        low, middle, high = statistics.quantiles(network.seconds(), n=4)
        print(f"    {network.name:7} {middle:7.3f} s in the median, half of them {low:.3f} to {high:.3f} s, "
              f"{len(network.outcomes) - len(network.seconds())} failed")
    for base in (plain, kernel):
        ratio, lowest, highest = _ratio(gateway, base)
        print(f"    ftpalg takes {ratio:.3f} times what {base.name} takes ({lowest:.3f} to {highest:.3f})", flush=True)
    if idle < IDLE_MIN:
        print("    not judged: the processors had little rest", flush=True)
    elif lowest > SLOWER_MAX:  # of the last one, the kernel's helper
        raise Failure(f"{what}: sessions through ftpalg take at least {lowest:.3f} times as long as with the kernel's helper; "
                      f"{SLOWER_MAX} would be right")


def _ratio(network, base):
    """Of the medians, and the interval of 95 % in which it is (bootstrap)."""
    def resampled():
        return [statistics.median(random.choices(each.seconds(), k=len(each.seconds()))) for each in (network, base)]
    ratios = sorted(ours / theirs for ours, theirs in (resampled() for _ in range(RESAMPLED)))
    return (statistics.median(network.seconds()) / statistics.median(base.seconds()),
            ratios[RESAMPLED * 25 // 1000], ratios[RESAMPLED * 975 // 1000])


def _plain(lab, plan):
    return _network("plain", lab, one_router(lab, plan, dial=plan.server, client_as_seen=plan.client))


def _with_kernel(lab, plan):
    scene = both(lab, plan)
    [router] = scene.routers
    router.try_run("modprobe", "nf_nat_ftp")
    family = {"ipv4": "ip", "ipv6": "ip6"}[plan.family]
    router.nft(f"""
        table {family} kernels_helper {{
            ct helper ftp {{
                type "ftp" protocol tcp
            }}
            chain prerouting {{
                type filter hook prerouting priority mangle;
                tcp dport 21 ct helper set "ftp"
            }}
        }}""")
    return _network("kernel", lab, scene)


def _with_gateway(lab, plan):
    scene = both(lab, plan)
    network = _network("ftpalg", lab, scene)
    Gateway(lab, *scene.routers)
    return network


def _network(name, lab, scene):
    # Packets as they are on a cable: netem would lose whole batches.
    for namespace, device in _cable_ends(scene):
        namespace.run("ethtool", "-K", device, "tso", "off", "gso", "off", "gro", "off")
    return Network(name, scene, _AnyNumber(lab, scene.server, scene.plan.server, file_bytes=FILE_BYTES))


if __name__ == "__main__":
    runner.main(bad_network, *sys.argv[1:])
