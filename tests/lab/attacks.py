# SPDX-License-Identifier: GPL-2.0-or-later
r"""What is announced to open a hole in the router opens none: attacks.py CASE

        client -----------------+
           client    client_router  [ router ] ----------------- server
        other_client -----------+            server_router       server
             other_client_router
                      destination public_server:21 -> server
                           source client -> public_client

Client and server are both the attacker's; other_client is innocent, and transfers files meanwhile. What is said arrives
as it was said, no expectation ever appears in the kernel, and the gateway's log says why.
"""

import dataclasses
import re

import gateway
import runner
from address import plans
from expectation_events import ExpectationEvents
from failure import Failure, expect_equal, wait_until
from lab import Lab
from segment import send_segment
from talk import Talk, announcement, passive_reply
from topology import add_other_client, add_route, both

PORT = 51201  # one that would be opened if nothing else were wrong

FOREIGN = "the address is not that of the control connection's own end"
GATEWAYS = "the address is the gateway's own"
UNUSABLE = "loopback, multicast, broadcast, link-local and unspecified addresses are refused"
REFUSED_PORT = "the port is below the lowest allowed, or on the list of denied ports"
UNPARSABLE = "the line announces no host-port that can be read without doubt"
UNSOLICITED = "no PASV, EPSV, LPSV or CPSV is unanswered"
NOT_LOGGED_IN = "nobody has logged in yet"
UNANSWERED = "an earlier command is still unanswered"
EPSV_ALL = "after EPSV ALL only EPSV may open a data connection"
NOT_FTP = "this connection does not look like FTP, so it is left alone for good"


class Attack:
    """The scene of an attack, and what must be true when it is over."""

    def __init__(self, lab, plan):
        self.lab = lab
        self.plan = plan
        self.scene = both(lab, plan)
        [self.router] = self.scene.routers
        self.events = ExpectationEvents(lab, self.router)
        [self.gateway] = gateway.start_all(lab, self.scene)
        self.bystander = add_other_client(lab, self.scene)
        add_route(self.bystander, self.scene.dial, plan.other_client_router)
        add_route(self.scene.server, plan.other_client, plan.server_router)
        self.innocent = self._open(Talk(self.scene, client=self.bystander, client_as_seen=plan.other_client))
        self.innocent.log_in()

    def _open(self, talk):
        return self.lab.enter_context(talk)

    def talk(self):
        """One more control connection of the attackers."""
        return self._open(Talk(self.scene))

    def expect_innocent_transfers(self):
        verb, code = ("PORT", "227") if self.plan.family == "ipv4" else ("EPRT", "228")
        self.innocent.active_transfer(verb)
        self.innocent.passive_transfer(code)
        self.innocent.passive_transfer("229")

    def expect_nothing_opened(self):
        """The innocent's transfers show that the events would tell of others."""
        before = self.events.read().count(self._innocent_master)
        self.expect_innocent_transfers()
        appeared = self.events.read()
        expect_equal("expectations that appeared for the innocent", before + 3, appeared.count(self._innocent_master))
        if wrong := [master for master in appeared if master != self._innocent_master]:
            raise Failure(f"expectations appeared for the attacker's control connections from {wrong}")

    def expect_logged(self, reason, line=""):
        """The gateway has said of the line that it does nothing for it, and why."""
        wait_until(lambda: any(line in entry and reason in entry for entry in self.gateway.process.log().splitlines()),
                   f"the gateway's log says of {line!r}: {reason}")

    def end(self):
        self.gateway.wait_for_no_expectation()
        self.gateway.stop()

    @property
    def _innocent_master(self):
        return self.innocent.client.socket.getsockname()[:2]


@dataclasses.dataclass(frozen=True)
class Announced:
    """Something that one end announces, and why it opens nothing."""
    how: str   # a verb of the client's, or the code of a reply of the server's
    host: str  # an address, or the name of one in the plan
    port: int
    reason: str

    def line(self, plan):
        host = getattr(plan, self.host, self.host)
        make = announcement if self.how.isalpha() else passive_reply
        return make(self.how, host, self.port).decode().removesuffix("\r\n")


def announced(hosts_by_how, ports, reason):
    return [Announced(how, host, port, reason)
            for how, hosts in hosts_by_how.items() for host in hosts for port in ports]


THIRD_HOSTS = {
    "ipv4": {"PORT": ["other_client", "server_neighbour", "192.0.2.77"], "EPRT": ["other_client"],
             "LPRT": ["other_client"], "227": ["server_neighbour", "client", "192.0.2.77"],
             "228": ["server_neighbour"]},
    "ipv6": {"EPRT": ["other_client", "server_neighbour"], "LPRT": ["other_client"],
             "228": ["server_neighbour", "client"]}}
OWN_HOSTS = {"ipv4": {"PORT": ["client"], "EPRT": ["client"], "227": ["server"], "229": ["server"]},
             "ipv6": {"EPRT": ["client"], "LPRT": ["client"], "228": ["server"], "229": ["server"]}}
NOBODYS_HOSTS = {
    "ipv4": {how: ["127.0.0.1", "127.8.8.8", "0.0.0.0", "224.0.0.1", "239.255.255.255", "255.255.255.255",
                   "169.254.169.254"] for how in ("PORT", "227")},
    "ipv6": {how: ["::1", "::", "ff02::1", "ff0e::1", "fe80::1"] for how in ("EPRT", "228")}}
ROUTERS_HOSTS = {"ipv4": {"PORT": ["client_router", "server_router", "public_server"],
                          "227": ["client_router", "server_router"]},
                 "ipv6": {"EPRT": ["client_router", "server_router", "public_server"],
                          "228": ["client_router", "server_router"]}}
MAPPED_HOSTS = {"ipv4": {}, "ipv6": {how: ["::ffff:127.0.0.1", "::ffff:10.0.1.2"] for how in ("EPRT", "228")}}

ANNOUNCED = {
    "third_host": lambda family: announced(THIRD_HOSTS[family], [PORT], FOREIGN)
                                 + announced(MAPPED_HOSTS[family], [PORT], FOREIGN),
    "third_hosts_mail": lambda family: announced(THIRD_HOSTS[family], [25], FOREIGN),
    "own_mail": lambda family: announced(OWN_HOSTS[family], [25], REFUSED_PORT),
    "privileged_port": lambda family: announced(OWN_HOSTS[family], [1, 20, 21, 22, 139, 445, 1023], REFUSED_PORT),
    "denied_port": lambda family: announced(OWN_HOSTS[family], [1433, 3306, 6000, 6063, 8080, 11211], REFUSED_PORT),
    "nobodys_address": lambda family: announced(NOBODYS_HOSTS[family], [PORT], UNUSABLE),
    "routers_address": lambda family: announced(ROUTERS_HOSTS[family], [PORT], GATEWAYS),
}


def announce(family, rows):
    """Each is said in the same session, which goes on."""
    with Lab() as lab:
        attack = Attack(lab, plans(family)[0])
        talk = attack.talk()
        talk.log_in()
        for row in rows:
            line = row.line(attack.plan)
            if row.how.isalpha():
                talk.exchange(line, "200 Command successful.")
            else:
                talk.exchange("EPSV" if row.how == "229" else "PASV", line)
            attack.expect_logged(row.reason, line)
        attack.expect_nothing_opened()
        talk.exchange("NOOP", "200 Still here.")
        attack.end()


def _with_attack(converse):
    """A case with a conversation of its own, converse(attack, talk, announce), for each family. announce says by which
    verb and reply the ends announce themselves, in a way that would open a port."""
    for family, (verb, asking, code) in {"ipv4": ("PORT", "PASV", "227"), "ipv6": ("EPRT", "LPSV", "228")}.items():
        with Lab() as lab:
            attack = Attack(lab, plans(family)[0])
            converse(attack, Own(attack.plan, verb, asking, code))
            attack.expect_nothing_opened()
            attack.end()


@dataclasses.dataclass(frozen=True)
class Own:
    """How the attackers announce themselves, in a way that opens a port when the talk is right for it."""
    plan: object
    verb: str
    asking: str
    code: str

    @property
    def command(self):
        return announcement(self.verb, self.plan.client, PORT).decode().removesuffix("\r\n")

    @property
    def reply(self):
        return passive_reply(self.code, self.plan.server, PORT).decode().removesuffix("\r\n")


def unparsable():
    """Lines that could be read in more than one way."""
    lines = {
        "ipv4": ["PORT 10,0,1,2,200", "PORT 10,0,1,2,200,1,1", "PORT 10,0,1,2,256,1", "PORT 10,0,1,258,200,1",
                 "PORT 10,0,1,2,-56,1", "PORT 10.0.1.2,200,1", "PORT 10,0,1,2,0,0", "EPRT |2|10.0.1.2|51201|",
                 "EPRT |1|10.0.1.2|051201|", "EPRT |1|10.0.1.2|116737|", "EPRT |1|10.0.1.02|51201|",
                 "LPRT 4,4,10,0,1,2,2,200", "LPRT 6,4,10,0,1,2,2,200,1",
                 "227 Either (10,0,2,2,200,1) or (10,0,2,2,200,2).", "227 Entering Passive Mode (10,0,2,2,200,1,1).",
                 "227 Entering Passive Mode (10,0,2,2,200,256).", "229 Extended (|||0|)", "229 Extended (|||65537|)",
                 "228 Long (4,4,10,0,2,2,3,200,1,1)"],
        "ipv6": ["EPRT |1|fd00:1::2|51201|", "EPRT |2|fd00:1::2%eth0|51201|", "EPRT |2|fd00:1::2|0|",
                 "EPRT |2|fd00:1::2|116737|", "EPRT |2|[fd00:1::2]|51201|", "229 Extended (|||0|)",
                 "LPRT 6,16,253,0,0,1,0,0,0,0,0,0,0,0,0,0,0,2,2,200"]}
    for family, each in lines.items():
        announce(family, [Verbatim(line) for line in each])


class Verbatim:
    """A line as it is written here, that cannot be read without doubt."""
    reason = UNPARSABLE

    def __init__(self, line):
        self._line = line
        self.how = line[:line.index(" ")]

    def line(self, _plan):
        return self._line


def before_login():
    def converse(attack, own):
        talk = attack.talk()
        talk.server.say("220 lab server ready.")
        talk.client.hear("220 lab server ready.")
        talk.exchange(own.command, "200 Command successful.")
        talk.exchange(own.asking, own.reply)
        talk.exchange("USER anonymous", "331 Password?")
        talk.exchange(own.command, "200 Command successful.")
        talk.exchange(own.asking, own.reply)
        talk.exchange("PASS wrong", "530 Login incorrect.")
        talk.exchange(own.command, "200 Command successful.")
        attack.expect_logged(NOT_LOGGED_IN, own.command)
        attack.expect_logged(NOT_LOGGED_IN, own.reply)

    _with_attack(converse)


def unasked_reply():
    """A 227 that nobody asked for; and a second one for one PASV, though the server announces a denied port first."""
    def converse(attack, own):
        talk = attack.talk()
        talk.log_in()
        talk.reply(own.reply)
        talk.exchange("NOOP", own.reply)
        talk.exchange("STAT", own.reply)
        talk.exchange(own.asking, passive_reply(own.code, own.plan.server, 25).decode().removesuffix("\r\n"))
        talk.reply(own.reply)
        talk.exchange("NOOP", "200 Still here.")
        attack.expect_logged(UNSOLICITED, own.reply)

    _with_attack(converse)


def pipelined():
    """A port that a file name or a browser's form smuggles in behind another command, before that is answered."""
    def converse(attack, own):
        talk = attack.talk()
        talk.log_in()
        talk.client.write(f"RETR file\r\n{own.command}\r\n".encode())
        talk.server.hear("RETR file")
        talk.server.hear(own.command)
        talk.reply("550 No such file.")
        talk.reply("200 Command successful.")
        attack.expect_logged(UNANSWERED, own.command)

    _with_attack(converse)


def after_epsv_all():
    def converse(attack, own):
        talk = attack.talk()
        talk.log_in()
        talk.exchange("EPSV ALL", "200 EPSV ALL command successful.")
        talk.exchange(own.command, "200 Command successful.")
        talk.exchange(own.asking, own.reply)
        attack.expect_logged(EPSV_ALL, own.command)
        attack.expect_logged(EPSV_ALL, own.reply)

    _with_attack(converse)


def echoed():
    """A server repeats what the client makes it say: behind another code, in the middle of a reply, at the beginning of a
    segment. It is no reply of its own, so the log has nothing to say of it."""
    def converse(attack, own):
        talk = attack.talk()
        talk.log_in()
        talk.exchange(own.asking, f"500 '{own.reply}': command not understood.")
        for lines in (["211-Status of", own.reply, "211 End."],
                      ["211-Status of", f" {own.reply}", own.reply, f"{own.code}-", own.reply, "211 End."],
                      [f"550-{own.reply}", own.reply, f"550 {own.reply}"]):
            talk.client.say(own.asking)
            talk.server.hear(own.asking)
            for line in lines:
                talk.reply(line)
        talk.client.say(own.asking)
        talk.server.hear(own.asking)
        for beginning in ("500 ", "500 " + 400 * "x", "500 " + "x" * (talk.server.segment_bytes() - 4)):
            _write_segments(talk.server, beginning, f"{own.reply}\r\n")
            talk.client.hear(beginning + own.reply)

    _with_attack(converse)


def at_segment_boundary():
    """A PORT in the middle of a longer line, where a segment begins. It is none, so the log has nothing to say of it."""
    def converse(attack, own):
        talk = attack.talk()
        talk.log_in()
        for beginning in ("STAT ", "STAT " + 600 * "x", 3000 * " ", "x" * talk.client.segment_bytes(), "\r", "\0"):
            _write_segments(talk.client, beginning, f"{own.command}\r\n")
            talk.server.hear(beginning + own.command)
            talk.reply("500 What?")

    _with_attack(converse)


def _write_segments(end, *segments):
    end.set_nodelay(True)
    for content in segments:
        end.write(content.encode())
        end.wait_until_acknowledged()


def in_http():
    """A browser is made to send a form to the control port; the server greets first, or the browser speaks first."""
    def converse(attack, own):
        for greets_first in (True, False):
            talk = attack.talk()
            if greets_first:
                talk.reply("220 lab server ready.")
            for line in ("POST / HTTP/1.1", "Host: 203.0.113.222:21", "Content-Length: 99", ""):
                talk.client.say(line)
                talk.server.hear(line)
            if not greets_first:
                talk.reply("220 lab server ready.")
            talk.reply("500 What?")
            talk.exchange("USER anonymous", "230 Welcome.")
            talk.exchange(own.command, "200 Command successful.")
            talk.exchange(own.asking, own.reply)
            # The connection is left alone for good, and the reason said once, of the line that showed it.
            attack.expect_logged(NOT_FTP, "POST / HTTP/1.1")

    _with_attack(converse)


def out_of_window():
    """A third host sends a PORT in the client's name, and a 227 in the server's, without knowing the numbers of the
    connection. What the kernel does not count to the connection the gateway does not get to see."""
    def converse(attack, own):
        talk = attack.talk()
        talk.log_in()
        add_route(attack.bystander, attack.plan.public_client, attack.plan.other_client_router)
        _send_far(attack, talk.client, own.command)
        talk.exchange("NOOP", "200 Still here.")
        talk.client.say(own.asking)
        talk.server.hear(own.asking)
        _send_far(attack, talk.server, own.reply)
        talk.reply("500 No.")
        talk.exchange("NOOP", "200 Still here.")

    _with_attack(converse)


def _send_far(attack, end, line):
    for distance in (1 << 20, 1 << 30, 1 << 31):
        invalid, queued = _invalid_packets(attack.router), attack.gateway.packets_queued()
        send_segment(attack.bystander, end.socket, f"{line}\r\n".encode(), distance)
        wait_until(lambda: _invalid_packets(attack.router) > invalid,
                   f"the kernel finds a segment invalid that is {distance} ahead of what the {end.name} has sent")
        expect_equal("invalid packets that come to the gateway", 0, attack.gateway.packets_queued() - queued)
    # What lies behind newer kernels take for data that comes again: the gateway sees it, as such. (6.18 does.)
    invalid, queued = _invalid_packets(attack.router), attack.gateway.packets_queued()
    send_segment(attack.bystander, end.socket, f"{line}\r\n".encode(), -(1 << 20))
    wait_until(lambda: _invalid_packets(attack.router) > invalid or attack.gateway.packets_queued() > queued,
               f"a segment comes that is behind what the {end.name} has sent")


def _invalid_packets(router):
    """How many packets conntrack has counted to no connection, on all processors."""
    return sum(map(int, re.findall(r"\binvalid=(\d+)", router.run("conntrack", "-S"))))


def _announce_case(name):
    def case():
        for family in ("ipv4", "ipv6"):
            announce(family, ANNOUNCED[name](family))
    return case


CASES = {name: _announce_case(name) for name in ANNOUNCED} | {
    "unparsable": unparsable, "before_login": before_login, "unasked_reply": unasked_reply, "pipelined": pipelined,
    "after_epsv_all": after_epsv_all, "echoed": echoed, "at_segment_boundary": at_segment_boundary,
    "in_http": in_http, "out_of_window": out_of_window}


if __name__ == "__main__":
    runner.main_of(CASES)
