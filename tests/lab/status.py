# SPDX-License-Identifier: GPL-2.0-or-later
r"""What a gateway tells of itself while it runs, to those who may ask: status.py CASE

    client ----------------- [ router ] ----------------- server
       client    client_router        server_router       server
                   source client -> public_client
"""

import fcntl
import json
import os
import pty
import select
import shutil
import signal
import socket
import stat
import struct
import subprocess
import termios
import threading

import gateway
import runner
from address import plans
from control import Control, command, said, sessions, status
from failure import Failure, expect_equal, expect_in, patient, wait_until
from gateway import Gateway
from lab import Lab
from processes_of_gateway import keeper_of
from refused_calls import RefusedCalls
from talk import Talk, announcement
from topology import snat

NOBODY = "65534"
MANY = 300
STUCK_SECONDS = 5
CUT_OFF_SECONDS = 10


def tells():
    """Status and sessions of a real session with active and passive transfers; nothing is refused to the gateway."""
    with Lab() as lab:
        refused = RefusedCalls(lab)
        scene = snat(lab, plans("ipv4")[0])
        [router] = gateway.start_all(lab, scene)
        processes = router.process.pid, keeper_of(router.process)
        talk = _talk(lab, scene)
        _expect_session(router, state="greeting", user=None)
        talk.log_in()
        client_port = talk.client.socket.getsockname()[1]
        _expect_session(router, state="ready", user="anonymous", tls="none", transfers=0, data=None,
                        client=f"{scene.plan.client}:{client_port}", server=f"{scene.plan.server}:21",
                        dialled=f"{scene.plan.server}:21", hint=None)
        announced, heard = talk.active_transfer("PORT")
        session = _expect_session(router, state="ready", transfers=1)
        _expect_data(session, mode="active", announced=_text(announced), advertised=_text(heard), who=scene.plan.server)
        talk.passive_transfer("227")
        session = _expect_session(router, transfers=2)
        expect_equal("who connects in passive mode", "passive", session["data"]["mode"])
        expect_equal("the last command", "RETR file", session["last_command"]["text"])
        expect_equal("the last reply", "226 Transfer complete.", session["last_reply"]["text"])

        told = wait_until(lambda: _with_packets(status(router)), "the packets of the queue are counted")
        expect_equal("the process", router.process.pid, told["pid"])
        expect_equal("the rules", ("in place", []), (told["rules"]["state"], told["rules"]["lacks"]))
        expect_equal("sessions", (1, 1, 0), tuple(told["sessions"][key] for key in ("now", "begun", "ended")))
        expect_equal("transfers", (0, 2, 0), tuple(told["transfers"][key] for key in ("now", "done", "failed")))
        expect_equal("expectations that were installed", 2, told["expectations"]["installed"])
        expect_equal("the release of the kernel", os.uname().release, told["kernel"]["release"])
        expect_in("the reasons", "rewritten", [decision["reason"] for decision in told["decisions"]])
        _expect_text(router, scene)
        talk.end()
        wait_until(lambda: not sessions(router), "the session is gone")
        expect_equal("the ended session's state", ["ended"], [each["state"] for each in sessions(router, "--ended")])
        router.stop()
        if router.socket.exists():
            raise Failure("the control socket was to be gone with the gateway")
        refused.expect_none_of(*processes)


def stuck():
    """Somebody who never saw the project is told why a transfer is stuck, and where to look."""
    with Lab() as lab:
        scene = snat(lab, plans("ipv4")[0])
        [router] = gateway.start_all(lab, scene)
        talk = _talk(lab, scene)
        talk.log_in()
        talk.client.write(announcement("PORT", talk.client.socket.getsockname()[0], 40000))
        talk.server.hear_line()
        talk.reply("200 PORT command successful.")
        talk.client.say("RETR file")
        talk.server.hear("RETR file")
        # The server does not come.
        [session] = wait_until(lambda: [each for each in sessions(router) if each["hint"]], "there is a hint",
                               limit=STUCK_SECONDS + 10)
        for part in (f"the server {scene.plan.server} was told to connect to {scene.client_as_seen}:40000, and has not",
                     "look whether a firewall"):
            expect_in("the hint", part, session["hint"])
        expect_in("the sessions' text", "HINT", said(router, "sessions"))
        expect_in("those that are stuck", session["id"], said(router, "sessions", "--stuck"))
        talk.reply("425 Can't open data connection.")
        talk.client.write(announcement("PORT", scene.plan.other_client, 40000))
        talk.server.hear_line()
        talk.reply("500 Illegal PORT command.")
        [session] = sessions(router)
        expect_in("the hint", "the address is not that of the control connection's own end", session["hint"])
        expect_equal("the data connection", ("refused", "foreign_address"),
                     (session["data"]["state"], session["data"]["reason"]))
        with Control(router.socket) as control:
            ladder = control.ask(ask="session", id=session["id"])["session"]["ladder"]
        port = [rung for rung in ladder if rung["reason"] == "rewritten"]
        expect_equal("rewritten lines in the ladder", 1, len(port))
        expect_equal("the first line in the ladder", "220 lab server ready.", ladder[0]["before"])
        expect_in("the ladder as text", "PASS ***", said(router, "sessions", session["id"]))
        if "lab@example.org" in json.dumps(ladder):
            raise Failure(f"the password is in the ladder: {ladder}")
        router.stop()


def filters():
    """Sessions are picked by address and by user."""
    with Lab() as lab:
        scene = snat(lab, plans("ipv4")[0])
        [router] = gateway.start_all(lab, scene)
        for user in ("anna", "bob"):
            talk = _talk(lab, scene)
            talk.reply("220 lab server ready.")
            talk.exchange(f"USER {user}", "331 Password?")
        client, network = scene.plan.client, scene.plan.client.rsplit(".", 1)[0] + ".0/24"
        for options, users in (((), ["anna", "bob"]), (("--user", "anna"), ["anna"]), (("--user", "ann"), []),
                               (("--address", client), ["anna", "bob"]), (("--address", network), ["anna", "bob"]),
                               (("--address", scene.client_as_seen, "--user", "bob"), ["bob"]),
                               (("--address", "192.0.2.77"), [])):
            expect_equal(f"users with {options}", users, sorted(each["user"] for each in sessions(router, *options)))
        refused = command(router, "sessions", "--address", "10.0.0")
        expect_equal("exit status for what is no address", 1, refused.returncode)
        expect_in("what is said of it", "10.0.0.0/8", refused.stderr)
        router.stop()


def permissions():
    """Who is not root may not ask; with the group they may look, and change nothing."""
    with Lab() as lab:
        config = lab.directory / "ftpalg.toml"
        config.write_text("")
        router = Gateway(lab, lab.router("router"), "--config", config)
        # The program may stand where others may not read.
        program = shutil.copy(gateway.PROGRAM, lab.directory)
        mode = os.stat(router.socket)
        expect_equal("mode of the control socket", (0o660, 0, 0), (stat.S_IMODE(mode.st_mode), mode.st_uid, mode.st_gid))
        refused = _as_nobody(router, program, "status")
        expect_equal("exit status for somebody else", 1, refused.returncode)
        expect_in("what they are told", "you may not use", refused.stderr)
        router.stop()

        config.write_text('[service]\ngroup = "nogroup"\n')
        router = Gateway(lab, router.router, "--config", config)
        expect_equal("exit status for somebody of the group", 0, _as_nobody(router, program, "status").returncode)
        refused = _as_nobody(router, program, "reload")
        expect_equal("exit status of their reload", 1, refused.returncode)
        expect_in("what they are told", "only root", refused.stderr)
        router.stop()
        absent = command(router, "status")
        expect_equal("exit status when no gateway runs", 1, absent.returncode)
        expect_in("what is said then", "no gateway answers on", absent.stderr)


def reload():
    """A wrong file is told to whoever asked, with its place; a right one counts. No session is lost."""
    with Lab() as lab:
        scene = snat(lab, plans("ipv4")[0])
        config = lab.directory / "ftpalg.toml"
        config.write_text("")
        [router] = gateway.start_all(lab, scene, "--config", config)
        talk = _talk(lab, scene)
        talk.log_in()
        expect_in("a reload of the same", "what it said before", said(router, "reload"))
        config.write_text('[data]\nactive = "no"\nlowst_port = 3\n')
        refused = command(router, "reload")
        expect_equal("exit status with a wrong file", 1, refused.returncode)
        for part in (f"{config}:2:10: data.active", f"{config}:3:1: data.lowst_port", "stays"):
            expect_in("what is said of it", part, refused.stderr)
        talk.active_transfer("PORT")
        config.write_text("[data]\nactive = false\n")
        expect_equal("what is said of a right file", "the configuration is read anew\n", said(router, "reload"))
        talk.client.write(announcement("PORT", talk.client.socket.getsockname()[0], 40000))
        talk.server.hear_line()
        talk.reply("500 No.")
        expect_equal("why the port is not opened", "active_refused", sessions(router)[0]["data"]["reason"])
        # The errors of the file are among the last ones.
        expect_in("the last errors", "lowst_port", json.dumps(status(router)["errors"]))
        router.stop()


def events():
    """Whoever follows sees a session begin, its lines rewritten, its transfer, and its end."""
    with Lab() as lab:
        scene = snat(lab, plans("ipv4")[0])
        [router] = gateway.start_all(lab, scene)
        follower = lab.start("events", router.router, gateway.PROGRAM, "events", "--json", "--socket", router.socket)
        other = lab.start("other-events", router.router, gateway.PROGRAM, "events", "--user", "nobody-of-that-name",
                          "--socket", router.socket)
        talks = []

        def begun():
            # A follower follows from when the gateway has heard it, which shows in nothing but what it hears then.
            talks.append(_talk(lab, scene))
            talks[-1].reply("220 lab server ready.")
            return "begin" in follower.log()
        wait_until(begun, "a session is seen to begin", interval=0.2)
        talk = talks[-1]
        talk.exchange("USER anna", "331 Password?")
        talk.exchange("PASS secret", "230 Welcome.")
        talk.active_transfer("PORT")
        talk.end()
        wait_until(lambda: '"kind":"end"' in follower.log(), "the session is seen to end")
        kinds = [(each["event"]["kind"], each["event"].get("reason"), each["event"]["user"])
                 for each in map(json.loads, follower.log().splitlines())]
        expected = [("decision", "rewritten", "anna"), ("transfer", None, "anna"), ("end", None, "anna")]
        expect_equal("the last events", expected, kinds[-3:])
        expect_equal("what passes the filter", "", other.log())
        router.stop()
        expect_equal("exit status of a follower when the gateway ends", 1, follower.wait_for_exit())


def many():
    """Hundreds of sessions are listed completely, each once, whoever comes and goes meanwhile."""
    with Lab() as lab:
        scene = snat(lab, plans("ipv4")[0])
        [router] = gateway.start_all(lab, scene, "--queues", 2)
        with scene.server.entered():
            listener = socket.create_server((scene.plan.server, 21), backlog=MANY)
        lab.callback(listener.close)
        ends = []
        for _ in range(MANY):
            ends.append(_pair(lab, scene, listener))
        wait_until(lambda: len(sessions(router)) == MANY, f"{MANY} sessions are listed", limit=20)
        come_and_go = threading.Event()
        passing = threading.Thread(target=_come_and_go, args=(scene, listener, come_and_go))
        passing.start()
        try:
            for _ in range(5):
                listed = [each["id"] for each in sessions(router)]
                expect_equal("sessions that are listed twice", len(listed), len(set(listed)))
                if len(listed) < MANY:
                    raise Failure(f"of {MANY} sessions {len(listed)} are listed")
        finally:
            come_and_go.set()
            passing.join()
        with Control(router.socket) as control:
            control.send(ask="sessions", limit=7)
            lines = [control.receive() for _ in range(8)]
            expect_equal("how many are shown", 7, lines[-1]["end"]["shown"])
        router.stop()


def bad_clients():
    """Garbage, endless requests, and readers that do not read: they are cut off, and disturb nobody."""
    with Lab() as lab:
        scene = snat(lab, plans("ipv4")[0])
        [router] = gateway.start_all(lab, scene)
        talk = _talk(lab, scene)
        talk.log_in()
        deaf = [Control(router.socket) for _ in range(3)]
        for control in deaf:
            control.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            _fill(control)
        for request in (b"\n\n", b"garbage\n", b"\x00\xff\x1b[2J\n", b"[1]\n", b'{"ask":7}\n', b'{"ask":"nothing"}\n',
                        b'{"ask":"session","id":"x"}\n', b'{"ask":"session","id":"21-99999999999999999999"}\n',
                        b'{"ask":"sessions","filter":7}\n', b"[" * 10000 + b"\n"):
            with Control(router.socket) as control:
                control.write(request)
                control.send(ask="nothing")
                answer = control.receive()
                expect_in(f"the answer to {request!r}", "error", answer)
        with Control(router.socket) as control:
            _write_until_refused(control)
        talk.active_transfer("PORT")
        for control in deaf:
            wait_until(lambda control=control: _is_cut_off(control), "one that does not read is cut off",
                       limit=CUT_OFF_SECONDS + 20)
            control.close()
        crowd = [Control(router.socket) for _ in range(100)]
        expect_equal("sessions for one that comes behind a crowd", 1, len(sessions(router)))
        for control in crowd:
            control.close()
        talk.passive_transfer("227")
        router.stop()


def another_gateway():
    """The socket is the first gateway's; one that was killed leaves it to the next."""
    with Lab() as lab:
        first = Gateway(lab, lab.router("router1"))
        path = str(first.socket)
        second = lab.start("second", lab.router("router2"), gateway.PROGRAM, "run", "--queue", 0, "--socket", path)
        second.wait_for_log("ready on queue")
        expect_in("what the second one says", "another gateway answers on the control socket", second.log())
        expect_equal("who answers", first.process.pid, status(first)["pid"])
        second.signal(signal.SIGTERM)
        expect_equal("exit status of the second", 0, second.wait_for_exit())
        expect_equal("who answers then", first.process.pid, status(first)["pid"])
        first.kill()
        if not first.socket.exists():
            raise Failure("a gateway that was killed was to leave its socket")
        third = Gateway(lab, first.router, socket=path)
        expect_equal("who answers after the kill", third.process.pid, status(first)["pid"])
        third.stop()
        if first.socket.exists():
            raise Failure("the control socket was to be gone with the last gateway")


def watch():
    """Live on a terminal, which is left as it was; on a small one, and where there is none."""
    with Lab() as lab:
        scene = snat(lab, plans("ipv4")[0])
        [router] = gateway.start_all(lab, scene)
        talk = _talk(lab, scene)
        talk.log_in()
        text = said(router, "watch", "--count", "2")
        expect_equal("looks", 2, text.count("packets,"))
        expect_in("a look", scene.plan.client, text)
        looks = [json.loads(line) for line in said(router, "watch", "--json", "--count", "2").splitlines()]
        expect_equal("sessions of the looks", [1, 1], [len(look["sessions"]) for look in looks])
        for rows, columns, ending in ((24, 80, b"q"), (2, 10, b"\x03"), (1, 1, b"q"), (24, 80, None)):
            shown, before, after = _watch_on_terminal(router, rows, columns, ending)
            expect_equal(f"settings of the terminal after {ending}", before, after)
            expect_in("how it begins", b"\x1b[?1049h", shown)
            expect_equal("how it ends", b"\x1b[?1049l", shown[-8:])
            if columns == 80:
                expect_in("what is shown", scene.plan.client.encode(), shown)
        router.stop()


def _talk(lab, scene):
    return lab.enter_context(Talk(scene))


def _expect_session(router, **expected):
    """The only session, once it is as it must be."""
    found = {}

    def is_as_expected():
        listed = sessions(router)
        if len(listed) == 1:
            found.update(listed[0])
        return len(listed) == 1 and all(listed[0][key] == value for key, value in expected.items())
    try:
        wait_until(is_as_expected, "the session is as it must be")
    except Failure as failure:
        raise Failure(f"{failure}: expected {expected}, got {found}") from None
    return found


def _expect_data(session, **expected):
    expect_equal("the data connection", expected, {key: session["data"][key] for key in expected})


def _expect_text(router, scene):
    """The screens have no line that is too long for a terminal, where they are for one."""
    text = said(router, "status")
    for part in ("running for", "in place", "1 now", "2 done", "rewritten, and the data connection is expected"):
        expect_in("ftpalg status", part, text)
    text = said(router, "sessions")
    for part in (f"{scene.plan.client}:", "anonymous", "RETR file", "1 session"):
        expect_in("ftpalg sessions", part, text)


def _with_packets(told):
    return told if sum(queue["packets"] for queue in told["queues"]) > 0 else None


def _text(endpoint):
    return f"{endpoint[0]}:{endpoint[1]}"


def _as_nobody(router, program, *arguments):
    return router.router.try_run("setpriv", "--reuid", NOBODY, "--regid", NOBODY, "--clear-groups", "--inh-caps=-all",
                                 program, *arguments, "--socket", str(router.socket))


def _pair(lab, scene, listener):
    """A control connection that the server has greeted; both ends of it."""
    with scene.client.entered():
        client = socket.create_connection((scene.dial, 21), patient(10))
    server = listener.accept()[0]
    lab.callback(client.close)
    lab.callback(server.close)
    server.sendall(b"220 lab server ready.\r\n")
    return client, server


def _come_and_go(scene, listener, until):
    while not until.is_set():
        with Lab() as passing:
            _pair(passing, scene, listener)


def _fill(control):
    """Asks for more than it will ever read."""
    control.socket.setblocking(False)
    try:
        for _ in range(100_000):
            control.socket.send(b'{"ask":"status"}\n' * 50)
    except BlockingIOError:
        pass
    control.socket.setblocking(True)


def _is_cut_off(control):
    hangup = select.poll()
    hangup.register(control.socket, 0)
    return any(event & (select.POLLHUP | select.POLLERR) for _, event in hangup.poll(0))


def _write_until_refused(control):
    """A request without an end."""
    try:
        for _ in range(1000):
            control.write(b"x" * 10_000)
    except OSError:
        return
    raise Failure("a request without an end was to be refused")


def _watch_on_terminal(router, rows, columns, ending):
    """What `ftpalg watch` shows until `ending` is typed, or SIGTERM comes; and the terminal before and after."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    before = termios.tcgetattr(slave)
    process = subprocess.Popen((gateway.PROGRAM, "watch", "--socket", str(router.socket)), stdin=slave, stdout=slave,
                               stderr=slave)
    shown = b""

    def read():
        nonlocal shown
        while select.select([master], [], [], 0)[0]:
            shown += os.read(master, 1 << 16)
        return b"\x1b[J" in shown
    try:
        wait_until(read, "something is shown")
        if ending:
            os.write(master, ending)
        else:
            process.send_signal(signal.SIGTERM)
        wait_until(lambda: read() is None or process.poll() is not None, "ftpalg watch has ended")
        expect_equal("exit status of ftpalg watch", 0, process.returncode)
        read()
        return shown, before, termios.tcgetattr(slave)
    finally:
        process.kill()
        process.wait()
        os.close(master)
        os.close(slave)


if __name__ == "__main__":
    runner.main_of({"tells": tells, "stuck": stuck, "filters": filters, "permissions": permissions, "reload": reload,
                    "events": events, "many": many, "bad_clients": bad_clients, "another_gateway": another_gateway,
                    "watch": watch})
