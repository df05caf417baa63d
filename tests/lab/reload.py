# SPDX-License-Identifier: GPL-2.0-or-later
r"""The configuration file is read anew on SIGHUP, and no session is lost: reload.py CASE

    client ----------------- [ router ] ----------------- server
       client    client_router        server_router       server
              destination public_server:21 -> server
                   source client -> public_client
"""

import re
import signal

import firewall_state
import gateway
import runner
from address import plans
from failure import Failure, expect_equal, expect_in, wait_until
from firewall import Nat
from gateway import ftpalg
from lab import Lab
from servers import Pyftpdlib
from session import Session, converse
from talk import ASKING, Talk, announcement, passive_reply
from topology import both

READ = "the configuration is read anew"
STAYS = "the configuration that was running stays"
PORT = 51201
BURST = 100

# Wrong files, and what the log says of each: line, key, what is wrong, what would be right.
WRONG = (
    ("[data]\nactive = maybe\n", "{file}:2:", "this is not TOML", "in quotes"),
    ("[data]\nactive = true\nactve = false\n", "{file}:3:1: data.actve: there is no such key; did you mean active?"),
    ("[data]\nlowest_port = \"low\"\n", "{file}:2:15: data.lowest_port: \"low\" is no port; write a number from 1 to 65535"),
    ("[limits]\nsessions = 0\n", "{file}:2:12: limits.sessions: 0 is no whole number from 1 to"),
    ("[[refused_commands]]\ncommands = [\"DELETE\"]\n", "{file}:2:", "refused_commands", "DELETE"),
    # Right in itself, but this kernel has no such helper: the rules cannot be put in place.
    ("[data]\nactive = true\n[firewall]\ncarrier = \"nonesuch\"\n", "nonesuch", "nothing was changed"),
)


class Running:
    """A gateway with a configuration file, and a session that was there before the file changed."""

    def __init__(self, lab, content="", family="ipv4", prepare=lambda _scene: None):
        self._lab = lab
        self.scene = both(lab, plans(family)[0])
        [self.machine] = self.scene.routers
        prepare(self.scene)
        self.file = lab.directory / "ftpalg.toml"
        self.file.write_text(content)
        self.without_gateway = self.rules()
        [self.gateway] = gateway.start_all(lab, self.scene, "--config", self.file)
        self.session = self.new_session()

    def new_session(self):
        talk = self._lab.enter_context(Talk(self.scene))
        talk.log_in()
        return talk

    def reload(self, content, expected=READ):
        """Has the file say something else. Returns what the log says of it."""
        self.file.write_text(content)
        return self.read_anew(expected)

    def read_anew(self, expected=READ):
        before = len(self.log())
        self.gateway.process.signal(signal.SIGHUP)
        return wait_until(lambda: expected in self.log()[before:] and self.log()[before:], f"the log says {expected!r}")

    def log(self):
        return self.gateway.process.log()

    def rules(self):
        return firewall_state.read(self.machine)

    def end(self):
        self.session.exchange("NOOP", "200 Still here.")
        self.gateway.wait_for_no_expectation()
        self.gateway.stop()
        firewall_state.expect_same("the end of the run", self.without_gateway, self.rules())


def policy():
    """Another file counts for the next line of each session, and so does the first file again."""
    for family, (verb, code) in {"ipv4": ("PORT", "227"), "ipv6": ("EPRT", "228")}.items():
        with Lab() as lab:
            running = Running(lab, family=family)
            rules = running.rules()

            def expect_all_works(talk):
                talk.active_transfer(verb)
                talk.passive_transfer(code)
                talk.exchange("DELE x", "250 Gone.")

            def expect_in_each_session(check):
                for talk in (running.session, running.new_session()):
                    check(talk)
                    talk.exchange("NOOP", "200 Still here.")

            expect_in_each_session(expect_all_works)
            running.reload("[data]\nactive = false\n")
            expect_in_each_session(lambda talk: _expect_active_refused(running, talk, verb))
            running.session.passive_transfer(code)
            running.reload("")
            expect_in_each_session(expect_all_works)
            running.reload(f"[data]\nlowest_port = {PORT + 1}\n")
            expect_in_each_session(lambda talk: _expect_port_refused(running, talk, code))
            running.reload('[[refused_commands]]\ncommands = ["DELE"]\n')
            expect_in_each_session(lambda talk: _expect_command_refused(talk, "DELE x", "XXXX x"))
            running.session.passive_transfer(code)
            running.reload("")
            expect_in_each_session(expect_all_works)
            firewall_state.expect_same("reloads that change no rule", rules, running.rules())
            running.end()


def wrong_file():
    """It is told what is wrong, and everything stays as it was."""
    with Lab() as lab:
        running = Running(lab, "[data]\nactive = false\n")
        rules = running.rules()

        def expect_unchanged(what):
            firewall_state.expect_same(what, rules, running.rules())
            _expect_active_refused(running, running.session, "PORT")
            running.session.passive_transfer("227")

        for content, *reasons in WRONG:
            said = running.reload(content, STAYS)
            for reason in reasons:
                expect_in(f"what is said of\n{content}", reason.format(file=running.file), said)
            expect_unchanged(f"the file\n{content}")
        running.file.unlink()
        said = running.read_anew(STAYS)
        expect_in("what is said of a file that is gone", f"cannot read '{running.file}': No such file", said)
        expect_unchanged("a file that is gone")
        # A good one is taken as if nothing had been.
        running.reload("")
        running.session.active_transfer("PORT")
        running.end()


def other_ports():
    """The rules follow the control ports. What is no control port any more is served no more."""
    with Lab() as lab:
        running = Running(lab, prepare=_let_through_2121)
        plan = running.scene.plan
        rules = running.rules()
        other = Pyftpdlib(lab, running.scene.server, plan.server, 2121)
        running.reload("[control]\nports = [21, 2121]\n")
        _expect_verified(running)
        for mode in ("PORT", "PASV"):
            with Session(running.scene.client, other, running.scene.dial, mode, port=2121) as session:
                converse(session, upload=f"up.{mode}")
        running.session.active_transfer("PORT")
        running.reload("[control]\nports = [2121]\n")
        _expect_verified(running)
        talk = running.new_session()
        talk.exchange(_own("PORT", talk), "200 Command successful.")
        with Session(running.scene.client, other, running.scene.dial, "PORT", port=2121) as session:
            session.download("one.bin")
        running.reload("")
        firewall_state.expect_same("the first file again", rules, running.rules())
        running.session.active_transfer("PORT")
        running.end()


def other_mark():
    """The rules follow the connection mark, and so does what the gateway sets on a connection that is encrypted."""
    with Lab() as lab:
        running = Running(lab)
        rules = running.rules()
        running.reload("[firewall]\ndone_mark = 0x40\n")
        _expect_verified(running)
        if running.rules() == rules:
            raise Failure("the mark is another, and the rules are the same")
        running.session.exchange("AUTH TLS", "234 Go ahead.")
        port = running.session.client.socket.getsockname()[1]
        listed = running.machine.run("conntrack", "-L", "-p", "tcp", "--orig-port-src", str(port))
        expect_equal("mark of the encrypted connection", ["64"], re.findall(r"\bmark=(\d+)", listed))
        queued = running.gateway.packets_queued()
        running.session.exchange("NOOP", "200 Still here.")
        expect_equal("packets queued of the encrypted connection", 0, running.gateway.packets_queued() - queued)
        running.end()


def many_at_once():
    """Signals in a burst, while somebody transfers: in the end the last file counts."""
    with Lab() as lab:
        running = Running(lab)
        for number in range(BURST):
            running.file.write_text(f"[data]\nlowest_port = {1024 + number}\n")
            running.gateway.process.signal(signal.SIGHUP)
            if number % 10 == 0:
                running.session.active_transfer("PORT")
                running.session.passive_transfer("229")
        running.reload(f"[data]\nlowest_port = {PORT + 1}\n")

        def refuses():
            before = len(running.log())
            running.session.exchange(ASKING["229"], _reply("229", running.scene.plan))
            return "the port is below the lowest allowed" in running.log()[before:]

        # One reading that was under way may have been told of in the place of the last.
        wait_until(refuses, "the last file counts")
        running.end()


def rules_of_others():
    """Rules that were put in place by hand stay, and the log says that they have to be changed."""
    with Lab() as lab:
        scene = both(lab, plans("ipv4")[0])
        [machine] = scene.routers
        file = lab.directory / "ftpalg.toml"
        file.write_text("")
        applied = ftpalg(machine, "rules", "apply", "--config", str(file))
        expect_equal(f"exit status of ftpalg rules apply, which said:\n{applied.stderr}", 0, applied.returncode)
        rules = firewall_state.read(machine)
        process = lab.start("ftpalg", machine, gateway.PROGRAM, "run", "--socket", "none", "--config", file)
        process.wait_for_log("ready on queue")
        file.write_text("[control]\nports = [21, 2121]\n[firewall]\nqueue = 22\n")
        process.signal(signal.SIGHUP)
        process.wait_for_log(READ)
        expect_in("the log", "mend: ftpalg rules apply, with the options of this run", process.log())
        expect_in("the log", "firewall.queue stays 21 until the next start, and becomes 22 then", process.log())
        firewall_state.expect_same("a reload", rules, firewall_state.read(machine))
        process.signal(signal.SIGTERM)
        expect_equal("exit status", 0, process.wait_for_exit())
        firewall_state.expect_same("the end of the run", rules, firewall_state.read(machine))


def _expect_active_refused(running, talk, verb):
    _expect_logged(running, "active mode is switched off",
                   lambda: talk.exchange(_own(verb, talk), "200 Command successful."))


def _expect_port_refused(running, talk, code):
    _expect_logged(running, "the port is below the lowest allowed",
                   lambda: talk.exchange(ASKING[code], _reply(code, running.scene.plan)))


def _expect_logged(running, reason, act):
    """What is done arrives as it was said, opens nothing, and the log has the reason."""
    before = len(running.log())
    act()
    wait_until(lambda: reason in running.log()[before:], f"the log says: {reason}")
    expect_equal("expectations", [], running.gateway.expectations())


def _expect_command_refused(talk, said, heard):
    talk.client.say(said)
    talk.server.hear(heard)
    talk.reply("500 What?")


def _own(verb, talk):
    """An announcement of the client's own, as it is written."""
    return announcement(verb, talk.client.socket.getsockname()[0], PORT).decode().removesuffix("\r\n")


def _reply(code, plan):
    return passive_reply(code, plan.server, PORT).decode().removesuffix("\r\n")


def _let_through_2121(scene):
    [machine] = scene.routers
    machine.nft("add rule inet firewall forward tcp dport 2121 accept")
    machine.nft(f"add rule inet firewall prerouting "
                f"{Nat(destination=scene.plan.public_server, destination_port=2121, to=scene.plan.server).rule('dnat')}")


def _expect_verified(running):
    done = ftpalg(running.machine, "rules", "verify", "--config", str(running.file), "--queue", "0")
    expect_equal(f"exit status of ftpalg rules verify, which said:\n{done.stdout}{done.stderr}", 0, done.returncode)


if __name__ == "__main__":
    runner.main_of({"policy": policy, "wrong_file": wrong_file, "other_ports": other_ports, "other_mark": other_mark,
                    "many_at_once": many_at_once, "rules_of_others": rules_of_others})
