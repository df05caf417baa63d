# SPDX-License-Identifier: GPL-2.0-or-later
r"""Several queues, and both directions of every session in the same one: queues.py TOPOLOGY FAMILY

        clients ---------------- [ router ] ----------------- server
          CLIENTS   client_router        server_router       server

    snat     source clients -> public_client
    dnat     destination public_server:21 -> server
    both     both of them
    hairpin  the clients are in the server's network, and dial public_server

Each session logs in, asks for a port (passive) and announces one (active). A gateway that had met one direction without
the other would have rewritten neither: it would not know of the login, nor of what was asked. All the sessions of the
tests together are 10,000 and some.
"""

import asyncio
import itertools
import socket
import sys

import gateway
import runner
from address import host_prefix, plans
from failure import Failure, expect_equal
from firewall import Nat, install
from lab import Lab
from session import parse_announcement
from talk import announcement, parse_passive_reply, passive_reply
from topology import hairpin, one_router

QUEUES = 4
SESSIONS = 1260  # of one test; there are 4 topologies x 2 families
AT_ONCE = 40
# Addresses, and the network that they are in. The match cluster looks at no more than the first 32 bits of an IPv6 address.
CLIENTS = {"ipv4": ([f"10.{number}.0.2" for number in range(64, 128)], "10.64.0.0/10"),
           "ipv6": ([f"fd{number:x}::2" for number in range(0x40, 0x80)], "fd40::/10")}
SESSION_SECONDS_MAX = 60
DATA_PORT = 50_000
WAYS = {"ipv4": ("PASV", "227", "PORT"), "ipv6": ("LPSV", "228", "EPRT")}


def queues(topology, family):
    plan = plans(family)[0]
    with Lab() as lab:
        scene, clients = lay_out(lab, plan, topology)
        [router] = gateway.start_all(lab, scene, "--queues", QUEUES)
        seen = asyncio.run(Sessions(scene, clients, topology in ("snat", "both")).all())
        split = [each for each in seen if each.heard != each.expected]
        expect_equal(f"sessions whose directions met different workers, of {len(seen)} (the first: {split[:1]})",
                     0, len(split))
        expect_equal("sessions", SESSIONS, len(seen))
        shares = router.packets_by_queue()
        expect_equal("queues", QUEUES, len(shares))
        # Sixteen clients are a queue's part; less than two is no spreading.
        if min(shares) * 8 < sum(shares) / QUEUES:
            raise Failure(f"the sessions are not spread over the queues, which had {shares} packets")
        router.stop()


def lay_out(lab, plan, topology):
    """The scene, and the clients' addresses in it."""
    clients, network = CLIENTS[plan.family]
    to_server = Nat(destination=plan.public_server, destination_port=21, to=plan.server)
    if topology == "hairpin":
        scene = hairpin(lab, plan)
        install(*scene.routers, snat=[Nat(source=network, destination=plan.server, to=plan.server_router)])
    else:
        dial = plan.server if topology == "snat" else plan.public_server
        scene = one_router(lab, plan, dial, plan.client if topology == "dnat" else plan.public_client)
        install(*scene.routers, dnat=[] if topology == "snat" else [to_server],
                snat=[] if topology == "dnat" else [Nat(source=network, to=plan.public_client)])
    [router] = scene.routers
    scene.client.ip(*(f"address add {host_prefix(client)} dev uplink nodad" for client in clients))
    router.ip(*(f"route add {host_prefix(client)} dev {'inside' if topology == 'hairpin' else 'to_client'}"
                for client in clients))
    if topology == "dnat":
        scene.server.ip(*(f"route add {host_prefix(client)} via {plan.server_router}" for client in clients))
    return scene, clients


class Session:
    """What the ends of one session were told, and what they were to be told."""

    def __init__(self):
        self.heard, self.expected = [], []

    def note(self, heard, expected):
        self.heard.append(heard)
        self.expected.append(expected)

    def __repr__(self):
        return f"heard {self.heard}, expected {self.expected}"


class Sessions:
    """Plays both ends of all sessions."""

    def __init__(self, scene, clients, clients_are_hidden):
        self._scene = scene
        self._clients = clients
        self._clients_are_hidden = clients_are_hidden or scene.client_as_seen == scene.plan.server_router
        self._ask, self._code, self._verb = WAYS[scene.plan.family]

    async def all(self):
        with self._scene.server.entered():
            server = await asyncio.start_server(self._serve, self._scene.plan.server, 21, backlog=AT_ONCE)
        numbers = iter(range(SESSIONS))
        async with server:
            done = await asyncio.gather(*(self._some(numbers) for _ in range(AT_ONCE)))
        return list(itertools.chain.from_iterable(done))

    async def _some(self, numbers):
        return [await asyncio.wait_for(self._one(self._clients[number % len(self._clients)]), SESSION_SECONDS_MAX)
                for number in numbers]

    async def _one(self, client):
        session = Session()
        reader, writer = await self._connect(client)

        async def say(line):
            writer.write(line)
            return (await reader.readline()).decode().rstrip("\r\n")

        await reader.readline()
        await say(b"USER anonymous\r\n")
        await say(b"PASS lab@example.org\r\n")
        reply = await say(f"{self._ask}\r\n".encode())
        session.note(parse_passive_reply(self._code, reply, self._scene.dial)[0], self._scene.dial)
        heard = await say(announcement(self._verb, client, DATA_PORT))
        as_seen = self._scene.client_as_seen if self._clients_are_hidden else client
        session.note(parse_announcement(self._verb, heard.split(" ", 2)[2])[0], as_seen)
        await say(b"QUIT\r\n")
        writer.close()
        return session

    async def _connect(self, client):
        family = {"ipv4": socket.AF_INET, "ipv6": socket.AF_INET6}[self._scene.plan.family]
        with self._scene.client.entered():
            connection = socket.socket(family, socket.SOCK_STREAM)
        connection.setblocking(False)
        connection.bind((client, 0))
        await asyncio.get_running_loop().sock_connect(connection, (self._scene.dial, 21))
        return await asyncio.open_connection(sock=connection)

    async def _serve(self, reader, writer):
        """A server that repeats an announcement in its reply."""
        def answer(line):
            verb = line.split(b" ")[0].decode().strip()
            if verb == self._ask:
                return passive_reply(self._code, self._scene.plan.server, DATA_PORT)
            return {"USER": b"331 Password?\r\n", "PASS": b"230 Welcome.\r\n", "QUIT": b"221 Goodbye.\r\n",
                    self._verb: b"200 " + line}[verb]

        writer.write(b"220 lab server ready.\r\n")
        while line := await reader.readline():
            writer.write(answer(line))
        writer.close()


if __name__ == "__main__":
    runner.main(queues, *sys.argv[1:])
