# SPDX-License-Identifier: GPL-2.0-or-later
r"""Encrypted connections are marked and leave the queue: opaque_mark.py CASE

    client ----------------- [ router ] ----------------- server
      plain, and AUTH TLS      DNAT, SNAT                  pyftpdlib with a certificate of its own
"""

import ftplib
import json
import re
import signal
import socket
import ssl
import struct

import gateway
import runner
from address import plans
from failure import Failure, expect_equal, expect_in, patient, wait_until
from gateway import ftpalg
from lab import Lab
from servers import Pyftpdlib, make_certificate
from session import Session, converse
from talk import Talk
from topology import both

DONE_MARK = 0x01000000
NOOPS = 20
FLIGHT = b"\x81\x9e in the middle of a record"


def leaves_queue():
    """Once encrypted, no packet of a connection is queued, to its end; others are served as before."""
    for family in ("ipv4", "ipv6"):
        for end in (_quit, _reset):
            with Lab() as lab:
                scene, server, [router] = _scene(lab, family)
                with _Encrypted(scene, server) as encrypted:
                    expect_equal("the connection mark", DONE_MARK, encrypted.mark())
                    queued = router.packets_queued()
                    encrypted.talk()
                    end(encrypted)
                    encrypted.wait_for_end()
                    expect_equal("packets queued since the connection is encrypted", 0,
                                 router.packets_queued() - queued)
                _expect_plain_service(scene, server)
                router.stop()


def served_beside():
    """A session in the clear is served while an encrypted one goes on, and is not marked."""
    with Lab() as lab:
        scene, server, [router] = _scene(lab, "ipv4")
        with _Encrypted(scene, server) as encrypted, Session(scene.client, server, scene.dial, "PASV") as session:
            session.download("one.bin")
            expect_equal("marks of both connections", {0, DONE_MARK}, set(_marks(scene).values()))
            encrypted.talk()
            converse(session)
            encrypted.talk()
            _quit(encrypted)
        router.stop()


def others_bits():
    """The firewall has bits of its own in the connection mark, set before ours and after: all stay."""
    with Lab() as lab:
        scene, server, [router] = _scene(lab, "ipv4")
        [machine] = scene.routers
        machine.nft("""
            table ip wan {
                chain choose {
                    type filter hook prerouting priority mangle + 10; policy accept;
                    ct state new tcp dport 21 ct mark set ct mark | 0x00000005
                }
                chain count {
                    type filter hook forward priority mangle; policy accept;
                    tcp dport 21 ct mark & 0x01000000 == 0x01000000 ct mark set ct mark | 0x00000010
                }
            }""")
        with _Encrypted(scene, server) as encrypted:
            wait_until(lambda: encrypted.mark() == DONE_MARK | 0x15, "both users' bits are set")
            queued = router.packets_queued()
            encrypted.talk()
            expect_equal("packets queued", 0, router.packets_queued() - queued)
        _expect_plain_service(scene, server)
        check = ftpalg(machine, "check", "--json")
        wrong = [finding for finding in json.loads(check.stdout)["findings"]
                 if finding["name"] == "connection mark"]
        expect_equal("rules that ftpalg check finds to use our bits", 1, len(wrong))
        expect_in("the rule that it names", "ct mark set ct mark | 0x00000010", wrong[0]["detail"])
        expect_in("the mend", "--done-mark 0x80000000", wrong[0]["mend"])
        router.stop()


def other_mark():
    """The mark is the user's to choose."""
    with Lab() as lab:
        scene, server, [router] = _scene(lab, "ipv4", "--done-mark", "0x40")
        with _Encrypted(scene, server) as encrypted:
            expect_equal("the connection mark", 0x40, encrypted.mark())
            queued = router.packets_queued()
            encrypted.talk()
            expect_equal("packets queued", 0, router.packets_queued() - queued)
        router.stop()


def no_mark():
    """Without a mark encrypted connections pass through the queue, unharmed."""
    with Lab() as lab:
        scene, server, [router] = _scene(lab, "ipv4", "--done-mark", "0")
        with _Encrypted(scene, server) as encrypted:
            expect_equal("the connection mark", 0, encrypted.mark())
            queued = router.packets_queued()
            encrypted.talk()
            if router.packets_queued() - queued < 2 * NOOPS:
                raise Failure("there is no mark, and yet the packets are not queued")
            _quit(encrypted)
        _expect_plain_service(scene, server)
        router.stop()


def queued_before():
    """What was queued before the mark was set takes up no session anew, which would count for the client for a day."""
    with Lab() as lab:
        scene = both(lab, plans("ipv4")[0])
        config = lab.directory / "ftpalg.toml"
        config.write_text("[limits]\nsessions_per_client = 1\n")
        [router] = gateway.start_all(lab, scene, "--config", config, "--queues", 1)
        with Talk(scene) as talk:
            talk.log_in()
            talk.client.say("AUTH TLS")
            talk.server.hear("AUTH TLS")
            talk.server.set_nodelay(True)
            # The reply waits in the queue with what comes behind it.
            router.process.pause()
            for count, content in enumerate((b"234 Go ahead.\r\n", *[FLIGHT] * 5), start=1):
                talk.server.write(content)
                # One by one: TCP joins what is written while the segment before is on its way (tcp_should_autocork).
                wait_until(lambda: router.packets_waiting() >= count, f"{count} segments are in the queue")
            router.process.signal(signal.SIGCONT)
            talk.client.hear("234 Go ahead.")
            talk.client.hear_bytes(5 * len(FLIGHT))
            talk.end()
        with Talk(scene) as talk:
            talk.log_in()
            talk.active_transfer("PORT")
        router.stop()


def _scene(lab, family, *options):
    plan = plans(family)[0]
    scene = both(lab, plan)
    server = Pyftpdlib(lab, scene.server, plan.server, certificate=make_certificate(lab, scene.server))
    return scene, server, gateway.start_all(lab, scene, *options)


class _Encrypted:
    """A control connection that is encrypted from AUTH TLS on, logged in, and no more."""

    def __init__(self, scene, server):
        self._scene = scene
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        self.ftp = ftplib.FTP_TLS(timeout=patient(10), context=context)
        with scene.client.entered():
            self.ftp.connect(scene.dial, 21)
        self._port = self.ftp.sock.getsockname()[1]
        self.ftp.auth()
        self.ftp.login(server.user, server.password)

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        self.ftp.close()

    def mark(self):
        return _marks(self._scene)[self._port]

    def talk(self):
        for _ in range(NOOPS):
            expect_equal("reply to NOOP", "200", self.ftp.sendcmd("NOOP")[:3])
        expect_equal("reply to a command that nobody knows", "500", self._refusal("NONSENSE"))

    def wait_for_end(self):
        """Until conntrack has seen both ends close."""
        wait_until(lambda: re.search(rf"\b(TIME_WAIT|CLOSE|LAST_ACK) .*\bsport={self._port}\b", _listing(self._scene)),
                   "conntrack takes the encrypted connection for ended")

    def _refusal(self, command):
        try:
            return self.ftp.sendcmd(command)
        except ftplib.error_perm as refusal:
            return str(refusal)[:3]


def _quit(encrypted):
    expect_equal("reply to QUIT", "221", encrypted.ftp.sendcmd("QUIT")[:3])
    encrypted.ftp.close()


def _reset(encrypted):
    """The client goes away at once."""
    encrypted.ftp.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    encrypted.ftp.close()


def _expect_plain_service(scene, server):
    with Session(scene.client, server, scene.dial, "EPSV") as session:
        session.download("one.bin")
        session.quit()


def _listing(scene):
    [router] = scene.routers
    return router.run("conntrack", "-L", "-f", scene.plan.family, "-p", "tcp", "--orig-port-dst", "21")


def _marks(scene):
    """The mark of every control connection, by its client's port."""
    return {int(port): int(mark) for port, mark in
            re.findall(r"^tcp .*? sport=(\d+) dport=21 .*\bmark=(\d+)", _listing(scene), re.MULTILINE)}


if __name__ == "__main__":
    runner.main_of({"leaves_queue": leaves_queue, "served_beside": served_beside, "others_bits": others_bits,
                    "other_mark": other_mark, "no_mark": no_mark, "queued_before": queued_before})
