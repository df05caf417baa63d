# SPDX-License-Identifier: GPL-2.0-or-later
r"""After any run the kernel holds no expectation of ours, and still each of others': leftovers.py CASE

    client ------------------ [ router ] ------------------ server
      control connections                other services, which others expect something of
"""

import contextlib
import re
import socket
import struct

import gateway
import runner
from address import plans
from failure import expect_equal, wait_until
from gateway import Gateway, expectations
from lab import Lab
from talk import ASKING, Talk, announcement, passive_reply
from topology import both, no_nat

MANY = 40
ANNOUNCED_PORT = 40000


def killed():
    """A killed gateway leaves expectations; the next one removes these and no other, and the sessions go on."""
    for family, verb, code in (("ipv4", "PORT", "227"), ("ipv6", "EPRT", "229")):
        for topology in (both, no_nat):
            with Lab() as lab, contextlib.ExitStack() as talks:
                scene = topology(lab, plans(family)[0])
                [router] = gateway.start_all(lab, scene)
                active, passive = (talks.enter_context(_session(scene)) for _ in range(2))
                foreign = talks.enter_context(_foreign_expectations(scene))
                _announce_active(active, verb)
                _announce_passive(passive, code)
                expect_equal("expectations before the end", 2 + len(foreign), len(router.expectations()))
                router.kill()
                expect_equal("expectations that the killed gateway leaves", 2 + len(foreign),
                             len(router.expectations()))

                router = Gateway(lab, router.router)
                _expect_only(foreign, router)
                router.process.wait_for_log("2 expectations that were left over are removed")
                for talk in (active, passive):
                    talk.exchange("NOOP", "200 Still here.")
                    talk.active_transfer(verb)
                    talk.passive_transfer(code)
                router.stop()
                _expect_only(foreign, router)


def ends_with_many():
    """SIGTERM while many are announced."""
    with Lab() as lab, contextlib.ExitStack() as talks:
        scene = both(lab, plans("ipv4")[0])
        [router] = gateway.start_all(lab, scene)
        foreign = talks.enter_context(_foreign_expectations(scene))
        for number in range(MANY):
            _announce_active(talks.enter_context(_session(scene)), "PORT", ANNOUNCED_PORT + number)
        expect_equal("expectations", MANY + len(foreign), len(router.expectations()))
        router.stop()
        _expect_only(foreign, router)


def unknown_to_engine():
    """An expectation of a control connection of which the gateway knows nothing any more goes at the end too."""
    with Lab() as lab, contextlib.ExitStack() as talks:
        scene = no_nat(lab, plans("ipv4")[0])
        [router] = gateway.start_all(lab, scene)
        foreign = talks.enter_context(_foreign_expectations(scene))
        talk = talks.enter_context(_session(scene))
        # Without NAT the carrier's own look as ours do.
        _have_sane_expect(talk.client.socket, talk.server.socket)
        expect_equal("expectations", 1 + len(foreign), len(router.expectations()))
        router.stop()
        _expect_only(foreign, router)


def _session(scene):
    talk = Talk(scene)
    talk.log_in()
    return talk


def _announce_active(talk, verb, port=ANNOUNCED_PORT):
    talk.client.write(announcement(verb, talk.client.socket.getsockname()[0], port))
    talk.server.hear_line()
    talk.reply("200 Go ahead.")


def _announce_passive(talk, code):
    talk.client.say(ASKING[code])
    talk.server.hear(ASKING[code])
    talk.server.write(passive_reply(code, talk.scene.plan.server, ANNOUNCED_PORT))
    talk.client.hear_line()


@contextlib.contextmanager
def _foreign_expectations(scene):
    """Connections of the router itself to other services, of which the kernel's own helpers expect something: our
    carrier on a port that is not ours, and another helper. Hands out the expectations."""
    [router] = scene.routers
    with contextlib.ExitStack() as connections:
        client, server = (connections.enter_context(end) for end in _connect(scene, "sane", 2121))
        _have_sane_expect(client, server)
        client, server = (connections.enter_context(end) for end in _connect(scene, "ftp", 2122))
        # The kernel's ftp helper believes a line that follows another.
        for line in (b"NOOP\r\n", announcement("EPRT", client.getsockname()[0], ANNOUNCED_PORT)):
            client.sendall(line)
            server.recv(100)
        wait_until(lambda: len(_listed(router)) == 2, "the kernel's helpers expect connections")
        yield _listed(router)


def _connect(scene, helper, port):
    """Both ends of a connection from the router to the server, which bears the helper."""
    [router] = scene.routers
    iptables = {"ipv4": "iptables", "ipv6": "ip6tables"}[scene.plan.family]
    router.run(iptables, "-t", "raw", "-A", "OUTPUT", "-p", "tcp", "--dport", str(port), "-j", "CT", "--helper", helper)
    family = {"ipv4": socket.AF_INET, "ipv6": socket.AF_INET6}[scene.plan.family]
    with scene.server.entered():
        listener = socket.create_server((scene.plan.server, port), family=family)
    with listener, router.entered():
        client = socket.create_connection((scene.plan.server, port), 10)
        return client, listener.accept()[0]


def _have_sane_expect(client, server):
    """The one exchange that the helper sane knows (SANE_NET_START): the server names a data port."""
    client.sendall(struct.pack("!II", 7, 0))
    server.recv(100)
    server.sendall(struct.pack("!IHH", 0, 0, ANNOUNCED_PORT))
    client.recv(100)


def _listed(router):
    """Every expectation, without the time that is left to it."""
    return sorted(re.sub(r"^\d+ ", "", line) for line in expectations(router))


def _expect_only(expectations, gateway_):
    expect_equal("expectations that are left", expectations, _listed(gateway_.router))


if __name__ == "__main__":
    runner.main_of({"killed": killed, "ends_with_many": ends_with_many, "unknown_to_engine": unknown_to_engine})
