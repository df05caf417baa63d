# SPDX-License-Identifier: GPL-2.0-or-later
"""The transfer log: a line for each transfer that is over, with what conntrack counted: transfer_log.py CASE [ARGUMENT...]

What conntrack counts is compared with what a rule of the router's own has counted.
"""

import contextlib
import json
import signal
import socket
import sys

import gateway
import runner
from address import plans
from failure import Failure, expect_equal, expect_in, patient, wait_until
from gateway import ftpalg
from lab import Lab
from servers import SERVERS
from session import UPLOAD_BYTES, Session, modes
from talk import Talk
from topology import both, snat

ACCOUNTING = "net.netfilter.nf_conntrack_acct"
EVENTS = "net.netfilter.nf_conntrack_events"

# A packet has at least this much of headers, by family: IP's and TCP's.
HEADERS_MIN = {"ipv4": 40, "ipv6": 60}

# What TCP may send again when the end of a connection is acknowledged late.
LATE_PACKETS_MAX = 3


class Log:
    """A gateway that logs transfers to a file, in JSON."""

    def __init__(self, lab, scene, text='log = "{file}"\nformat = "json"', accounting=1):
        [self.router] = scene.routers
        self.router.sysctl(ACCOUNTING, accounting)
        self.path = lab.directory / "transfers.log"
        configuration = lab.directory / "ftpalg.toml"
        configuration.write_text("[transfers]\n" + text.format(file=self.path))
        [self.gateway] = gateway.start_all(lab, scene, "--config", configuration)

    def lines(self):
        return self.path.read_text(encoding="ascii").splitlines()

    def wait_for(self, count, limit=20.0):
        """The transfers, once there are as many."""
        wait_until(lambda: len(self.lines()) >= count, f"{count} transfers are logged, and not only "
                   f"{self.lines()}", limit)
        expect_equal("transfers in the log", count, len(self.lines()))
        return [json.loads(line) for line in self.lines()]


def expect_part(what, expected, got):
    """All of expected is in the object."""
    expect_equal(what, expected, {key: got[key] for key in expected})


class Counter:
    """What the router forwards on data connections, in all, as its own rules count it: per direction, by the address that
    packets go to behind it."""

    def __init__(self, router, plan):
        self._router = router
        family = {"ipv4": "ip", "ipv6": "ip6"}[plan.family]
        chains = "".join(f"ct status expected {family} daddr {address} counter name {name}\n"
                         for name, address in (("to_client", plan.client), ("to_server", plan.server)))
        router.nft(f"""
            table inet counted {{
                counter to_client {{}}
                counter to_server {{}}
                chain postrouting {{ type filter hook postrouting priority 300; {chains} }}
            }}""")

    def read(self):
        """(packets, bytes) of the direction since the last time."""
        listed = json.loads(self._router.run("nft", "--json", "reset", "counters", "table", "inet", "counted"))
        counters = [item["counter"] for item in listed["nftables"] if "counter" in item]
        return {counter["name"]: (counter["packets"], counter["bytes"]) for counter in counters}


def with_server(server_name, family):
    """Downloads, uploads, listings, refusals in every mode, with a real server: each line is right, and its bytes are to the
    byte what the router has forwarded."""
    with Lab() as lab:
        plan = plans(family)[0]
        scene = both(lab, plan)
        server = SERVERS[server_name](lab, scene.server, plan.server)
        log = Log(lab, scene)
        counter = Counter(log.router, plan)
        done = 0
        for mode in modes(family):
            if mode in ("LPRT", "LPSV") and server_name != "pyftpdlib":
                continue
            with Session(scene.client, server, scene.dial, mode) as session:
                common = {"user": server.user, "dialled": f"{_text(scene.dial)}:21", "server": f"{_text(plan.server)}:21",
                          "mode": mode}
                for run, kind, command, path, payload in (
                        (session.list, "listing", "NLST", None, None),
                        (lambda: session.download("one.bin"), "download", "RETR", "one.bin", len(server.files["one.bin"])),
                        (lambda: session.upload(f"{mode}.bin"), "upload", "STOR", f"upload/{mode}.bin", UPLOAD_BYTES)):
                    counter.read()
                    run()
                    done += 1
                    line = log.wait_for(done)[-1]
                    expect_part(f"the line of {command}", common | {"result": "done", "code": 226, "direction": kind,
                                                                     "command": command, "path": path}, line)
                    _expect_counted(line, counter, payload, family)
                session.expect_reply("TYPE I", "200")
                refused = f"no{mode}.bin"
                _expect_refused(session, refused)
                done += 1
                line = log.wait_for(done)[-1]
                expect_part("the line of a refusal", common | {"result": "refused", "code": 550, "path": refused}, line)
                session.quit()
        log.gateway.stop()
        log.wait_for(done)


def _text(address):
    return address if ":" not in address else f"[{address}]"


def _expect_refused(session, name):
    with contextlib.suppress(Failure):
        with session.open_download(name):
            raise AssertionError("the server sends a file that it does not have")


def _expect_counted(line, counter, payload, family):
    """As much as the router has forwarded, but for what TCP sent again after the connection had ended."""
    direction = "to_server" if line["direction"] == "upload" else "to_client"
    counted = counter.read()[direction]
    late_packets, late_bytes = counted[0] - line["ip_packets"], counted[1] - line["ip_bytes"]
    if not (0 <= late_packets <= LATE_PACKETS_MAX and (late_bytes > 0) == (late_packets > 0)):
        raise Failure(f"the router has forwarded {counted} packets and bytes {direction}, and the line is {line}")
    if payload is None:
        return
    headers_min = HEADERS_MIN[family] * line["ip_packets"]
    expect_equal(f"the most that can be payload, of {line}", line["ip_bytes"] - headers_min, line["payload_bytes_max"])
    if line["payload_bytes_max"] < payload:
        raise Failure(f"{payload} bytes went, more than the line tells of: {line}")


def aborted():
    """A transfer that is taken back, and one whose end goes away: with what has passed."""
    with Lab() as lab:
        scene = both(lab, plans("ipv4")[0])
        log = Log(lab, scene)
        talk = lab.enter_context(Talk(scene))
        talk.log_in()
        with _open_data(talk) as (at_server, at_client):
            at_server.sendall(bytes(10_000))
            _receive(at_client, 10_000)
            talk.client.say("ABOR")
            talk.server.hear("ABOR")
            talk.reply("426 Connection closed; transfer aborted.")
            talk.reply("226 Abort successful.")
        [line] = log.wait_for(1)
        expect_part("the line of an abort", {"result": "aborted", "code": 426, "command": "RETR", "path": "a file",
                                             "mode": "PASV"}, line)
        if line["payload_bytes_max"] < 10_000:
            raise Failure(f"10000 bytes went before the abort, more than the line tells of: {line}")

        with _open_data(talk) as (at_server, at_client):
            at_server.sendall(b"x")
            _receive(at_client, 1)
            at_client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            at_client.close()
            talk.reply("451 The client is gone.")
        expect_part("the line of a reset", {"result": "aborted", "code": 451}, log.wait_for(2)[1])
        # The control connection ends first.
        with _open_data(talk):
            talk.end()
            line = log.wait_for(3)[2]
        expect_part("the line of a lost session", {"result": "unanswered", "code": None}, line)
        log.gateway.stop()


@contextlib.contextmanager
def _open_data(talk):
    """A download's data connection, both ends: (server's, client's)."""
    host = talk.scene.plan.server
    with talk.scene.server.entered():
        listener = socket.create_server((host, 0))
    with listener:
        listener.settimeout(patient(10))
        port = listener.getsockname()[1]
        talk.client.say("PASV")
        talk.server.hear("PASV")
        talk.server.say(f"227 Entering Passive Mode ({host.replace('.', ',')},{port >> 8},{port & 255}).")
        talk.client.hear_line()
        talk.client.say("RETR a file")
        talk.server.hear("RETR a file")
        with talk.scene.client.entered():
            at_client = socket.create_connection((talk.dial, port), patient(10))
        at_server = listener.accept()[0]
        with at_client, at_server:
            talk.reply("150 Here it comes.")
            yield at_server, at_client


def _receive(connection, count):
    while count > 0:
        content = connection.recv(count)
        if not content:
            raise Failure("the data connection ended before its bytes had come")
        count -= len(content)


def never_connected():
    """Nobody comes for the data connection: by the server's word, and by conntrack's."""
    with Lab() as lab:
        scene = both(lab, plans("ipv4")[0])
        log = Log(lab, scene)
        talk = lab.enter_context(Talk(scene))
        talk.log_in()
        for number, replies in enumerate((["425 Nobody came."], ["150 Here it comes.", "426 Nobody came."])):
            talk.client.say("EPSV")
            talk.server.hear("EPSV")
            talk.reply("229 Entering Extended Passive Mode (|||50000|).")
            talk.client.say("LIST")
            talk.server.hear("LIST")
            for reply in replies:
                talk.reply(reply)
            line = log.wait_for(number + 1)[number]
            expect_part("the line", {"result": "never_connected", "direction": "listing", "mode": "EPSV", "path": None,
                                     "ip_bytes": None, "payload_bytes_max": None}, line)
        log.gateway.stop()


def words():
    """As text: what peers say is escaped, and no password is there. What is not known is '-'."""
    with Lab() as lab:
        scene = both(lab, plans("ipv4")[0])
        log = Log(lab, scene, 'log = "{file}"', accounting=0)
        talk = lab.enter_context(Talk(scene))
        talk.server.say("220 lab server ready.")
        talk.client.hear("220 lab server ready.")
        talk.exchange('USER "an" na', "331 Password?")
        talk.exchange("PASS secret-word", "230 Welcome.")
        with _open_data(talk) as (at_server, at_client):
            at_server.close()
            _receive_all(at_client)
            talk.reply("226 Done.")
        wait_until(log.lines, "a transfer is logged")
        talk.client.write(b"STOR \x1b[2J\xff\\ \"x\"\r\n")
        talk.server.hear_bytes(16)
        talk.reply("553 No.")
        wait_until(lambda: len(log.lines()) == 2, "two transfers are logged")
        first, second = log.lines()
        for part in (" result=done code=226 direction=download ", ' user="\\"an\\" na" command=RETR path="a file" ',
                     " mode=PASV ip_bytes=- ip_packets=- payload_bytes_max=- duration="):
            expect_in("the first line", part, first)
        expect_in("the second line", r'path="\\x1b[2J\\xff\\\\ \"x\"" ', second)
        for line in (first, second, log.gateway.process.log()):
            if "secret-word" in line:
                raise Failure(f"a password is told: {line}")
        expect_in("the log of the gateway", f"{ACCOUNTING} is 0", log.gateway.process.log())
        checked = ftpalg(log.router, "check", "--config", str(lab.directory / "ftpalg.toml")).stdout
        expect_in("what check says", f"mend: sysctl -w {ACCOUNTING}=1", checked)
        log.gateway.stop()


def _receive_all(connection):
    while connection.recv(1 << 16):
        pass


def events_off():
    """Conntrack tells of no connection: lines are written by the replies alone, and the gateway says so."""
    with Lab() as lab:
        scene = both(lab, plans("ipv4")[0])
        scene.routers[0].sysctl(EVENTS, 0)
        log = Log(lab, scene)
        expect_in("the log of the gateway", f"{EVENTS} is 0", log.gateway.process.log())
        expect_in("its mend", f"mend: sysctl -w {EVENTS}=1", log.gateway.process.log())
        talk = lab.enter_context(Talk(scene))
        talk.log_in()
        talk.passive_transfer("227")
        [line] = log.wait_for(1)
        expect_part("the line", {"result": "done", "ip_bytes": None}, line)
        log.gateway.stop()


def rotated():
    """The file is moved away; SIGHUP has the gateway go on in a new one. What comes until then is in the old one."""
    with Lab() as lab:
        scene = both(lab, plans("ipv4")[0])
        log = Log(lab, scene)
        talk = lab.enter_context(Talk(scene))
        talk.log_in()
        talk.passive_transfer("227")
        log.wait_for(1)
        old = log.path.with_suffix(".1")
        log.path.rename(old)
        talk.passive_transfer("227")
        wait_until(lambda: len(old.read_text(encoding="ascii").splitlines()) == 2, "the second line is in the old file")
        log.gateway.process.signal(signal.SIGHUP)
        # The keeper makes the file before the gateway has it.
        log.gateway.process.wait_for_log("the configuration is read anew")
        expect_equal("who may read the file", 0o640, log.path.stat().st_mode & 0o777)
        talk.passive_transfer("227")
        log.wait_for(1)
        # One that cannot be opened changes nothing.
        log.path.rename(log.path.with_suffix(".2"))
        log.path.mkdir()
        log.gateway.process.signal(signal.SIGHUP)
        log.gateway.process.wait_for_log("the file that was open until now is used on")
        talk.passive_transfer("227")
        wait_until(lambda: len(log.path.with_suffix(".2").read_text(encoding="ascii").splitlines()) == 2,
                   "the last line is in the file that was open")
        log.gateway.stop()


def cannot_be_opened():
    """A log that cannot be opened is told of with its mend, and the gateway serves."""
    with Lab() as lab:
        scene = both(lab, plans("ipv4")[0])
        log = Log(lab, scene, 'log = "{file}/missing/transfers.log"')
        expect_in("the log of the gateway", "No such file or directory; mend: make its directory",
                  log.gateway.process.log())
        talk = lab.enter_context(Talk(scene))
        talk.log_in()
        talk.passive_transfer("227")
        log.gateway.stop()


def journal():
    """To the journal each value goes as a field of its own. The journal is the test's own, in a mount namespace."""
    with Lab() as lab:
        scene = both(lab, plans("ipv4")[0])
        [router] = scene.routers
        router.sysctl(ACCOUNTING, 1)
        configuration = lab.directory / "ftpalg.toml"
        configuration.write_text('[transfers]\nlog = "journal"\n')
        place = lab.directory / "journal"
        place.mkdir()
        listener = lab.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        listener.settimeout(patient(10))
        listener.bind(str(place / "socket"))
        process = lab.start("ftpalg", router, "unshare", "--mount", "sh", "-c",
                            'mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/journal /run/ftpalg && '
                            'mount --bind "$1" /run/systemd/journal && shift && exec "$@"', "sh", place,
                            gateway.PROGRAM, "run", "--apply-rules", *gateway.format_options(), "--config", configuration)
        process.wait_for_log("ready on queue")
        expect_in("the first entry", b"MESSAGE=transfers are logged from here on\n", listener.recv(1 << 16))
        talk = lab.enter_context(Talk(scene))
        talk.log_in()
        talk.passive_transfer("227")
        entry = listener.recv(1 << 16).decode("ascii").splitlines()
        for field in ("FTPALG_RESULT=done", "FTPALG_CODE=226", "FTPALG_USER=anonymous", "FTPALG_DIRECTION=download",
                      "SYSLOG_IDENTIFIER=ftpalg", "PRIORITY=6"):
            expect_in("the entry", field, entry)
        [message] = [line for line in entry if line.startswith("MESSAGE=")]
        expect_in("its message", " result=done code=226 ", message)
        process.signal(signal.SIGTERM)
        expect_equal("exit status", 0, process.wait_for_exit())


def others_wake_nobody():
    """Connections that have nothing to do with FTP do not wake the main thread, which hears of data connections."""
    others = 3000
    with Lab() as lab:
        plan = plans("ipv4")[0]
        scene = snat(lab, plan)
        [router] = scene.routers
        router.nft("add rule inet firewall forward tcp dport 8080 accept")
        log = Log(lab, scene)
        talk = lab.enter_context(Talk(scene))
        talk.log_in()
        talk.active_transfer("PORT")
        log.wait_for(1)
        with scene.server.entered():
            listener = socket.create_server((plan.server, 8080), backlog=100)
        with listener, scene.client.entered():
            # What is left to do after the transfer is done when nothing more happens for a while.
            before = _wakeups(log.gateway.process.pid)
            for _ in range(others):
                connection = socket.create_connection((plan.server, 8080), patient(10))
                accepted = listener.accept()[0]
                connection.close()
                accepted.close()
        woken = _wakeups(log.gateway.process.pid) - before
        if woken > others / 20:
            raise Failure(f"{others} connections of others have woken the main thread {woken} times")
        talk.active_transfer("PORT")
        log.wait_for(2)
        log.gateway.stop()


def _wakeups(process):
    """How often the process's main thread has waited for something."""
    with open(f"/proc/{process}/task/{process}/status", encoding="ascii") as file:
        [line] = [line for line in file if line.startswith("voluntary_ctxt_switches")]
    return int(line.split()[1])


def live():
    """`ftpalg sessions` shows a data connection while it is open, with what has passed, whether transfers are logged or
    not."""
    for is_logged in (True, False):
        with Lab() as lab:
            scene = both(lab, plans("ipv4")[0])
            log = Log(lab, scene) if is_logged else Log(lab, scene, 'log = "off"')
            talk = lab.enter_context(Talk(scene))
            talk.log_in()
            with _open_data(talk) as (at_server, at_client):
                for total in (10_000, 30_000):
                    at_server.sendall(bytes(total))
                    _receive(at_client, total)
                    wait_until(lambda total=total: (_shown(log)["to_client"] or 0) >= total,
                               f"{total} bytes are shown, and not only {_shown(log)}", interval=0.2)
                    expect_equal("state", "open", _shown(log)["state"])
                at_server.close()
                _receive_all(at_client)
            talk.reply("226 Done.")
            wait_until(lambda: _shown(log)["state"] == "closed", "the data connection has closed", interval=0.2)
            if is_logged:
                [line] = log.wait_for(1)
                wait_until(lambda: _shown(log)["to_client"] == line["ip_bytes"], f"as much is shown as is logged: {line}",
                           interval=0.2)
            log.gateway.stop()


def _shown(log):
    """What is shown of the only session's data connection."""
    asked = ftpalg(log.router, "sessions", "--json", "--socket", str(log.gateway.socket))
    expect_equal(f"exit status of ftpalg sessions, which said:\n{asked.stderr}", 0, asked.returncode)
    return json.loads(asked.stdout)[0]["data"]


CASES = {"with_server": with_server, "aborted": aborted, "never_connected": never_connected, "words": words,
         "events_off": events_off, "rotated": rotated, "cannot_be_opened": cannot_be_opened, "journal": journal,
         "others_wake_nobody": others_wake_nobody, "live": live}

if __name__ == "__main__":
    runner.main(CASES[sys.argv[1]], *sys.argv[2:])
