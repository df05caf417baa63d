# SPDX-License-Identifier: GPL-2.0-or-later
r"""The gateway over HTTP, as programs ask for it: web.py CASE

    client ----------------- [ router ] ----------------- server
       client    client_router        server_router       server
              destination public_server:21 -> server
                   source client -> public_client
"""

import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import time

import gateway
import runner
from address import plans
from failure import Failure, expect_equal, expect_in, patient, wait_until
from lab import Lab
from processes_of_gateway import capabilities, children_of, is_alive, keeper_of, status, threads_of
from refused_calls import RefusedCalls
from talk import Talk
from topology import both

PORT = 9121
PEERS = pathlib.Path(os.environ.get("FTPALG_PEERS", "/var/cache/ftpalg-peers"))
PROMTOOL = shutil.which("promtool") or PEERS / "prometheus/usr/bin/promtool"


class Shown:
    """A gateway with a page, between a client and a server."""

    def __init__(self, lab, listen=f"127.0.0.1:{PORT}", prepare=lambda _machine: None, wait=True):
        self.lab = lab
        self.scene = both(lab, plans("ipv4")[0])
        [self.machine] = self.scene.routers
        self.listen = listen
        prepare(self.machine)
        config = lab.directory / "ftpalg.toml"
        config.write_text(f"[http]\nlisten = \"{listen}\"\n")
        [self.gateway] = gateway.start_all(lab, self.scene, "--config", config)
        if wait:
            self.wait_for_page()

    def wait_for_page(self):
        self.gateway.process.wait_for_log(f"there is a page to look at on http://{self.listen}/")

    @property
    def web(self):
        """The process id of ftpalg-web."""
        return children_of(self.gateway.process, "ftpalg-web")[0]

    def new_session(self):
        talk = self.lab.enter_context(Talk(self.scene))
        talk.log_in()
        return talk

    def curl(self, path, *options, code="200", host=None):
        """The body of what is answered, which must have the status code."""
        done = self.machine.try_run("curl", "--silent", "--show-error", "--globoff", "--max-time", str(patient(20)),
                                    "--write-out", "\n%{http_code}", *options, f"http://{host or self.listen}{path}")
        body, _, got = done.stdout.rpartition("\n")
        expect_equal(f"status of {path} ({done.stderr.strip()}{body[:200]})", code, got)
        return body

    def metrics(self):
        """Values by name and labels, as they are written."""
        lines = [line for line in self.curl("/metrics").splitlines() if not line.startswith("#")]
        return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}

    def api(self, path, **options):
        return json.loads(self.curl(f"/api/{path}", **options))

    def connect(self):
        with self.machine.entered():
            return socket.create_connection(("127.0.0.1", PORT), patient(20))


def talk_of_everything(shown):
    """A session with a rewritten PASV and PORT, and a PORT that is refused. Returns it, and the lines."""
    talk = shown.new_session()
    passive = talk.passive_transfer("227")
    active = talk.active_transfer("PORT")
    foreign = "PORT 192,0,2,99,200,1"
    talk.exchange(foreign, "500 No.")
    return talk, passive, active, foreign


def shows():
    """What has happened is in /metrics, and in what the page asks for."""
    with Lab() as lab:
        refused = RefusedCalls(lab)
        shown = Shown(lab)
        before = shown.metrics()
        expect_equal("sessions at first", 0, before["ftpalg_sessions"])
        expect_equal("edits that waited at first", 0, before['ftpalg_decisions_total{reason="edit_waits"}'])
        _talk, passive, active, foreign = talk_of_everything(shown)
        _expect_counted(shown)
        text = shown.curl("/metrics")
        checked = subprocess.run((PROMTOOL, "check", "metrics"), input=text, capture_output=True, text=True, check=False)
        expect_equal("what promtool says of the metrics", (0, "", ""),
                     (checked.returncode, checked.stdout, checked.stderr))
        _expect_api(shown, passive, active, foreign)
        _expect_headers(shown)
        refused.expect_none_of(shown.web, shown.gateway.process.pid)
        shown.gateway.stop()


def _expect_counted(shown):
    metrics = wait_until(lambda: (found := shown.metrics())["ftpalg_decisions_total{reason=\"foreign_address\"}"] == 1 and found,
                         "the refused line is counted")
    expect_equal("rewritten lines", 2, metrics['ftpalg_decisions_total{reason="rewritten"}'])
    expect_equal("sessions", (1, 1), (metrics["ftpalg_sessions"], metrics["ftpalg_sessions_total"]))
    expect_equal("expectations", 2, metrics["ftpalg_expectations_total"])
    started = metrics["process_start_time_seconds"]
    if not 0 < time.time() - started < 600:
        raise Failure(f"the gateway says that it began at {started}")
    wait_until(lambda: sum(value for name, value in shown.metrics().items()
                           if name.startswith("ftpalg_queue_packets_total")) > 0, "packets are counted")


def _expect_api(shown, passive, active, foreign):
    status_now = shown.api("status")["status"]
    expect_equal("process of the gateway", shown.gateway.process.pid, status_now["pid"])
    listed = shown.api("sessions")
    expect_equal("sessions listed", 1, len(listed["list"]))
    [session] = listed["list"]
    expect_equal("the client", shown.scene.plan.client, session["client"].rsplit(":", 1)[0])
    expect_equal("sessions of another network", [], shown.api("sessions?address=192.0.2.0/24")["list"])
    expect_equal("sessions of the user", 1, len(shown.api("sessions?user=anonymous")["list"]))
    expect_in("what is said of a filter that is none", "address", shown.api("sessions?address=nonsense", code="400")["error"])
    ladder = shown.api(f"session?id={session['id']}")["session"]["ladder"]
    rewritten = [rung for rung in ladder if rung["action"] == "rewrite"]
    expect_equal("rewritten lines of the ladder", ["server", "client"], [rung["from"] for rung in rewritten])
    for rung, (announced, heard) in zip(rewritten, (passive, active)):
        expect_in("the line before", announced[0].replace(".", ","), rung["before"])
        expect_in("the line after", heard[0].replace(".", ","), rung["after"])
    expect_equal("lines that opened nothing", [foreign], [rung["before"] for rung in ladder
                                                          if rung["reason"] == "foreign_address"])
    if "lab@example.org" in json.dumps(ladder):
        raise Failure("the ladder has the password")
    expect_in("an unknown session", "21-999", shown.api("session?id=21-999", code="400")["error"])
    events = shown.api("events")["list"]
    expect_equal("refusals among the events", [foreign], [event["before"] for event in events
                                                          if event.get("reason") == "foreign_address"])
    expect_equal("transfers among the events", 2, len([event for event in events if event["kind"] == "transfer"]))
    times = [event["time"] for event in events]
    expect_equal("order of the events", sorted(times), times)


def _expect_headers(shown):
    head = shown.curl("/", "--head")
    for part in ("Content-Security-Policy: default-src 'none'", "X-Frame-Options: DENY", "nosniff",
                 "Content-Type: text/html"):
        expect_in("the header of the page", part, head)
    for path in ("/", "/page.js", "/page.css", "/ladder.js", "/ladder.css", "/icon.svg"):
        if not shown.curl(path):
            raise Failure(f"{path} is empty")
    for path in ("/nothing", "/../etc/passwd", "/%2e%2e/etc/passwd", "/api/", "/report.html"):
        shown.curl(path, "--path-as-is", code="404")


def rights():
    """The process has none, holds open only what it serves by, and ends with the gateway, whatever ends that one."""
    with Lab() as lab:
        shown = Shown(lab)
        web = shown.web
        wait_until(lambda: status(web).get("Seccomp") == "2", "it is restricted")
        expect_equal("capabilities", dict.fromkeys(capabilities(web), 0), capabilities(web))
        expect_equal("NoNewPrivs", "1", status(web)["NoNewPrivs"])
        expect_equal("threads", 1, len(threads_of(web)))
        shown.curl("/")
        # The listener, the life line and the way to the gateway, once curl's connection is over; besides, the log.
        wait_until(lambda: sorted(re.sub(r":.*", "", name) for name in _opened(web) if not name.startswith("/")) == ["socket"] * 3,
                   f"it holds open three sockets and nothing else; it does {_opened(web)}")
        keeper = keeper_of(shown.gateway.process)
        shown.gateway.kill()
        wait_until(lambda: not is_alive(web) and not is_alive(keeper), "its processes are gone")
    with Lab() as lab:
        shown = Shown(lab)
        web = shown.web
        os.kill(web, signal.SIGSTOP)
        shown.gateway.stop()
        wait_until(lambda: not is_alive(web), "it is gone, though it was stopped")


def _opened(pid):
    """What a process holds open, as /proc names it."""
    opened = []
    for path in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            opened.append(os.readlink(path))
    return opened


def killed():
    """Without it packets go on; the log says once that it is gone."""
    with Lab() as lab:
        shown = Shown(lab)
        talk = shown.new_session()
        os.kill(shown.web, signal.SIGKILL)
        shown.gateway.process.wait_for_log("ftpalg-web")
        talk.passive_transfer("227")
        talk.active_transfer("PORT")
        shown.gateway.process.signal(signal.SIGHUP)
        shown.gateway.process.wait_for_log("the configuration is read anew")
        expect_equal("how often the log tells of it", 1, len(re.findall(r"warning .*ftpalg-web", shown.gateway.process.log())))
        expect_equal("children that are left", [keeper_of(shown.gateway.process)],
                     list(filter(is_alive, children_of(shown.gateway.process))))
        shown.gateway.stop()


def silent():
    """A gateway that does not answer is told of in two seconds, and shown again when it does."""
    with Lab() as lab:
        shown = Shown(lab)
        shown.metrics()
        shown.gateway.process.pause()
        expect_in("what is said of a silent gateway", "does not answer", shown.curl("/metrics", code="503"))
        expect_in("what the page is told", "does not answer", shown.api("status", code="503")["error"])
        shown.curl("/")
        shown.gateway.process.signal(signal.SIGCONT)
        wait_until(lambda: shown.machine.try_run("curl", "--silent", "--fail", f"http://{shown.listen}/metrics").returncode == 0,
                   "the gateway is shown again")
        expect_equal("sessions of the second question", 0, shown.metrics()["ftpalg_sessions"])
        shown.gateway.stop()


def hostile():
    """Slow, silent and nonsensical clients keep nobody out, and are shown the door."""
    with Lab() as lab:
        shown = Shown(lab)
        silent = [lab.enter_context(shown.connect()) for _ in range(100)]
        slow = [lab.enter_context(shown.connect()) for _ in range(100)]
        for each in slow:
            each.sendall(b"GET / HT")
        # All its places are taken; each request that comes whole gets one.
        for _ in range(10):
            shown.curl("/metrics")
        _expect_answer(shown, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"400")
        _expect_answer(shown, b"GET / HTTP/1.1\r\n\r\n", b"400")
        _expect_answer(shown, b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n", b"431")
        _expect_answer(shown, b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 100_000, b"431")
        _expect_answer(shown, b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n" + b"a" * 1_000_000, b"405")
        for method in ("POST", "PUT", "DELETE", "OPTIONS", "PATCH"):
            shown.curl("/api/status", "--request", method, code="405")
        # The last of the slow ones is told so; a byte now and then does not help it.
        slow[-1].sendall(b"T")
        expect_in("what a slow client is told", b"408", _all_of(slow[-1]))
        for each in silent + slow:
            each.close()
        shown.new_session().passive_transfer("227")
        shown.curl("/metrics")
        shown.gateway.stop()


def _expect_answer(shown, request, code):
    with shown.connect() as connection:
        try:
            connection.sendall(request)
        except (BrokenPipeError, ConnectionResetError):
            pass  # it has heard enough
        expect_equal(f"answer to {request[:40]!r}", b"HTTP/1.1 " + code, _all_of(connection)[:12])


def _all_of(connection):
    content = b""
    try:
        while part := connection.recv(1 << 16):
            content += part
    except ConnectionResetError:
        pass
    return content


def wrong_host():
    """Whoever has a name of his own lead to loopback gets nothing; a tunnel to it does."""
    with Lab() as lab:
        shown = Shown(lab)
        for path in ("/", "/metrics", "/api/status", "/api/sessions"):
            body = shown.curl(path, "--header", "Host: evil.example", code="403")
            expect_in("the refusal", "localhost", body)
        for host in ("localhost:8080", "127.0.0.1", "[::1]:9121", "LOCALHOST"):
            shown.curl("/metrics", "--header", f"Host: {host}")
        shown.gateway.stop()


def elsewhere():
    """On another address, and over IPv6; names are not known there."""
    for listen in ("0.0.0.0", "[::1]"):
        with Lab() as lab:
            shown = Shown(lab, f"{listen}:{PORT}")
            host = {"0.0.0.0": shown.scene.plan.client_router, "[::1]": "[::1]"}[listen]
            shown.curl("/metrics", host=f"{host}:{PORT}")
            warned = "http.listen" in shown.gateway.process.log()
            expect_equal("whether it is warned of who can see it", listen == "0.0.0.0", warned)
            if listen == "0.0.0.0":
                shown.curl("/metrics", "--header", "Host: router.example", host=f"{host}:{PORT}")
            shown.gateway.stop()


def taken():
    """Where somebody else has the port, packets go on; the page is there as soon as the port is free."""
    with Lab() as lab:
        occupants = []

        def occupy(machine):
            with machine.entered():
                occupants.append(lab.enter_context(socket.create_server(("127.0.0.1", PORT))))

        shown = Shown(lab, prepare=occupy, wait=False)
        shown.gateway.process.wait_for_log(f"cannot listen on 127.0.0.1:{PORT}")
        shown.new_session().passive_transfer("227")
        occupants[0].close()
        shown.wait_for_page()
        shown.curl("/metrics")
        expect_equal("how often the log tells of it", 1, shown.gateway.process.log().count("cannot listen on"))
        shown.gateway.stop()


CASES = {"shows": shows, "rights": rights, "killed": killed, "silent": silent, "hostile": hostile, "wrong_host": wrong_host,
         "elsewhere": elsewhere, "taken": taken}


if __name__ == "__main__":
    runner.main_of(CASES)
