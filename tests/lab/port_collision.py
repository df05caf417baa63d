# SPDX-License-Identifier: GPL-2.0-or-later
r"""Two clients behind one public address announce the same port: port_collision.py next_free|from_range|remembered|others_stay

The server is vsftpd, which dials only when the transfer is asked for: both announcements stand at once, or (remembered)
the first client has gone when the second one comes. It dials from port 20 always, so that a connection that conntrack
remembers cannot be made again. The clients are served by two workers as a rule, who know nothing of each other. In
others_stay the test is the server, and dials from any port, so that both clients get the same one.

    client --------+
                   [ router ] ------------------------------- server
    other_client --+
         source client, other_client -> public_client
"""

import gateway
import runner
from address import plans
from failure import Failure, expect_equal
from firewall import Nat
from lab import Lab
from servers import Vsftpd
from session import Session, parse_announcement
from talk import Talk
from topology import add_other_client, add_route, snat

PORT = 40000
RANGE = (50000, 50009)
QUEUES = 6


def next_free():
    collide(on_collision=lambda port: port != PORT)


def from_range():
    collide("--data-ports", "{}-{}".format(*RANGE), on_collision=lambda port: RANGE[0] <= port <= RANGE[1])


def remembered():
    with Lab() as lab:
        scene = snat(lab, plans("ipv4")[0])
        other = _second_client(lab, scene)
        server = Vsftpd(lab, scene.server, scene.plan.server)
        [router] = gateway.start_all(lab, scene, "--queues", QUEUES)
        for client, name in ((scene.client, "one.bin"), (other, "two.bin")) * 2:
            with Session(client, server, scene.dial, "PORT") as session, session.announced(PORT) as listener:
                session.download_to(listener, name)
                session.quit()
        _expect_ports(server, scene, lambda port: port != PORT)
        router.stop()


def others_stay():
    """The end of a client's session takes away nothing that the other's worker has been given since."""
    with Lab() as lab:
        scene = snat(lab, plans("ipv4")[0])
        other = _second_client(lab, scene)
        [router] = gateway.start_all(lab, scene, "--queues", QUEUES)
        with Talk(scene) as first, Talk(scene, client=other) as second:
            for talk in (first, second):
                talk.log_in()
            queues = sum(packets > 0 for packets in router.packets_by_queue())
            expect_equal("queues that the two sessions are in", 2, queues)
            _, heard_first = first.active_transfer("PORT", port=PORT)
            _, heard_second = second.active_transfer("PORT", port=PORT, then=first.end)
            expect_equal("the port of the second client, which is the first's no more", heard_first, heard_second)
        router.wait_for_no_expectation()
        router.stop()


def collide(*options, on_collision):
    for family in ("ipv4", "ipv6"):
        for plan in plans(family):
            with Lab() as lab:
                scene = snat(lab, plan)
                other = _second_client(lab, scene)
                server = Vsftpd(lab, scene.server, plan.server)
                [router] = gateway.start_all(lab, scene, "--queues", QUEUES, *options)
                for mode in ("PORT", "EPRT") if family == "ipv4" else ("EPRT",):
                    _announce_both(scene, other, server, mode)
                _expect_ports(server, scene, on_collision)
                router.wait_for_no_expectation()
                router.stop()


def _second_client(lab, scene):
    other = add_other_client(lab, scene)
    add_route(other, scene.dial, scene.plan.other_client_router)
    scene.routers[0].nft(f"add rule inet firewall postrouting "
                         f"{Nat(source=scene.plan.other_client, to=scene.plan.public_client).rule('snat')}")
    return other


def _announce_both(scene, other, server, mode):
    """Both clients have announced before either transfers."""
    with (Session(scene.client, server, scene.dial, mode) as first,
          Session(other, server, scene.dial, mode) as second,
          first.announced(PORT) as first_listener,
          second.announced(PORT) as second_listener):
        second.download_to(second_listener, "two.bin")
        first.download_to(first_listener, "one.bin")
        for session in (first, second):
            session.noop()
            session.quit()


def _expect_ports(server, scene, on_collision):
    """The server was told pairs of ports at the public address: one that collides with nothing, one that did."""
    announcements = [parse_announcement(*each) for each in server.announced()]
    expect_equal("announced addresses", {scene.client_as_seen}, {host for host, _port in announcements})
    ports = [port for _host, port in announcements]
    for first, second in zip(ports[::2], ports[1::2]):
        if first == second:
            raise Failure(f"the server was told the same port {first} for two clients")
        if not on_collision(second):
            raise Failure(f"the second client's port became {second}, which is none of those allowed")


if __name__ == "__main__":
    runner.main_of({"next_free": next_free, "from_range": from_range, "remembered": remembered,
                    "others_stay": others_stay})
