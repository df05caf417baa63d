# SPDX-License-Identifier: GPL-2.0-or-later
r"""What the daemon gives up, and that it does its work without: privileges.py CASE [FORMAT]

    client ----------------- [ router ] ----------------- server
       client    client_router        server_router       server
              destination public_server:21 -> server
                   source client -> public_client

On the router: ftpalg (the worker), and its child ftpalg-keeper.
"""

import os
import re
import shutil
import signal
import sys

import firewall_rules
import firewall_state
import gateway
import runner
from address import plans
from failure import Failure, expect_equal, expect_in, patient, wait_until
from gateway import Gateway
from lab import Lab
from processes_of_gateway import (CAP_DAC_READ_SEARCH, CAP_NET_ADMIN, CAP_NET_RAW, capabilities, is_alive, keeper_of,
                                  status, threads_of)
from refused_calls import RefusedCalls
from talk import Talk, announcement
from topology import both

NETWORK = CAP_NET_ADMIN | CAP_NET_RAW
NOBODY = "65534"
WAYS = {"ipv4": (("PORT", "EPRT"), ("227", "229")), "ipv6": (("LPRT", "EPRT"), ("228", "229"))}
SHORT_LIVES = f"""
[control]
hold_time = "{patient(1)}s"
[data]
expectation_life = "{patient(1)}s"
"""


def gives_up():
    """Each process has what it needs, and no way to more."""
    with Lab() as lab:
        router = Gateway(lab, lab.router("router"), "--queues", 2)
        worker, keeper = router.process.pid, keeper_of(router.process)
        expect_equal("capabilities of the worker",
                     {"CapInh": 0, "CapPrm": NETWORK, "CapEff": NETWORK, "CapBnd": NETWORK, "CapAmb": 0},
                     capabilities(worker))
        # The keeper's programs inherit what it has.
        expect_equal("capabilities of the keeper",
                     dict.fromkeys(capabilities(keeper), NETWORK | CAP_DAC_READ_SEARCH), capabilities(keeper))
        threads = threads_of(worker)
        wait_until(lambda: all(status(thread)["Seccomp"] != "0" for thread in threads), "every thread is restricted")
        expect_equal("threads of the worker", {"ftpalg", "ftpalg-0", "ftpalg-1"},
                     {status(thread)["Name"] for thread in threads})
        for thread in threads:
            expect_equal(f"capabilities of {status(thread)['Name']}", capabilities(worker), capabilities(thread))
        for pid, filters in ((keeper, "0"), *((thread, "2") for thread in threads)):
            expect_equal(f"NoNewPrivs of {status(pid)['Name']}", "1", status(pid)["NoNewPrivs"])
            expect_equal(f"Seccomp of {status(pid)['Name']}", filters, status(pid)["Seccomp"])
        expect_equal("the keeper's name", "ftpalg-keeper", status(keeper)["Name"])
        router.stop()


def works(rules_format):
    """Everything that the gateway does, from its rules to their end; no system call is refused in the course."""
    if rules_format == "nft" and not firewall_rules.kernel_has_nft_queue():
        _refused_start(rules_format)
        return
    for family in WAYS:
        with Lab() as lab:
            refused = RefusedCalls(lab)
            scene = both(lab, plans(family)[0])
            [machine] = scene.routers
            before = firewall_state.read(machine)
            config = lab.directory / "ftpalg.toml"
            config.write_text(SHORT_LIVES)
            [router] = gateway.start_all(lab, scene, "--format", rules_format, "--config", config)
            processes = router.process.pid, keeper_of(router.process)
            talk = _logged_in(lab, scene)
            _transfer_each_way(talk)
            _expire(router, talk)
            _release(_logged_in(lab, scene))
            config.write_text(SHORT_LIVES.replace("[control]", "[control]\nports = [21, 2121]"))
            router.process.signal(signal.SIGHUP)
            router.process.wait_for_log("the configuration is read anew")
            _transfer_each_way(talk)
            # One is left for the end.
            _announce(talk)
            router.stop()
            firewall_state.expect_same("the end of the run", before, firewall_state.read(machine))
            expect_equal("expectations after the end", [], router.expectations())
            refused.expect_none_of(*processes)
            _expect_gone(*processes)


def _refused_start(rules_format):
    """Where the kernel has no queue for nft the daemon cannot start so; it says why, and leaves nothing."""
    with Lab() as lab:
        router = lab.router("router")
        before = firewall_state.read(router)
        said = gateway.ftpalg(router, "run", "--apply-rules", "--socket", "none", "--format", rules_format)
        expect_equal("exit status", 1, said.returncode)
        expect_in("the refusal", "queue", said.stderr)
        firewall_state.expect_same("a refused start", before, firewall_state.read(router))


def few_rights():
    """Somebody who is not root, and has CAP_NET_ADMIN and CAP_NET_RAW, can run it, and have it apply its rules."""
    for may_apply in (False, True):
        with Lab() as lab:
            refused = RefusedCalls(lab)
            scene = both(lab, plans("ipv4")[0])
            [machine] = scene.routers
            before = firewall_state.read(machine)
            if not may_apply:
                firewall_rules.rules(machine, "apply", _usual_format(machine))
            options = ("--apply-rules", *gateway.format_options()) if may_apply else ()
            process = _run_as_nobody(lab, machine, "--log-level", "debug", *options)
            process.wait_for_log("ready on queue")
            worker, keeper = process.pid, keeper_of(process)
            for pid in (worker, keeper):
                expect_equal("its user", NOBODY, status(pid)["Uid"].split()[0])
                expect_equal("NoNewPrivs", "1", status(pid)["NoNewPrivs"])
                expect_equal("effective capabilities", NETWORK, capabilities(pid)["CapEff"])
            expect_equal("what the worker hands on", (0, 0), (capabilities(worker)["CapInh"],
                                                              capabilities(worker)["CapAmb"]))
            talk = _logged_in(lab, scene)
            _transfer_each_way(talk)
            process.signal(signal.SIGTERM)
            expect_equal("exit status", 0, process.wait_for_exit())
            if may_apply:
                firewall_state.expect_same("the end of the run", before, firewall_state.read(machine))
            refused.expect_none_of(worker, keeper)


def keeper_killed():
    """The sessions go on; the log says what works no more, and how to mend it."""
    with Lab() as lab:
        scene = both(lab, plans("ipv4")[0])
        [machine] = scene.routers
        config = lab.directory / "ftpalg.toml"
        config.write_text("")
        [router] = gateway.start_all(lab, scene, "--config", config)
        talk = _logged_in(lab, scene)
        _transfer_each_way(talk)
        os.kill(keeper_of(router.process), signal.SIGKILL)
        router.process.wait_for_log("the configuration cannot be read anew, and rules of this run stay at its end; "
                                    "mend: start the gateway anew")
        _transfer_each_way(talk)
        # It is not said again and again, and asking for what works no more harms nothing.
        router.process.signal(signal.SIGHUP)
        _transfer_each_way(talk)
        _transfer_each_way(_logged_in(lab, scene))
        expect_equal("how often the log tells that the keeper is gone", 1,
                     len(re.findall(r"\(ftpalg-keeper\) is gone; the configuration", router.process.log())))
        expect_equal("effective capabilities of the worker", NETWORK, capabilities(router.process.pid)["CapEff"])
        router.process.signal(signal.SIGTERM)
        expect_equal("exit status", 1, router.process.wait_for_exit())
        expect_in("what it says at its end", "mend: ftpalg rules remove", router.process.log())
        # The mend works.
        left = firewall_state.read(machine)
        removed = gateway.ftpalg(machine, "rules", "remove")
        expect_equal(f"exit status of ftpalg rules remove, which said:\n{removed.stderr}", 0, removed.returncode)
        if firewall_state.read(machine) == left:
            raise Failure("the rules were to be left at the end of a run whose keeper is gone")


def worker_killed():
    """The keeper ends too, and nothing is left over."""
    with Lab() as lab:
        router = Gateway(lab, lab.router("router"))
        keeper = keeper_of(router.process)
        router.kill()
        _expect_gone(keeper)


def nobody_reads_log():
    """The log's reader goes away, and the gateway goes on: to the end it does what it must."""
    with Lab() as lab:
        scene = both(lab, plans("ipv4")[0])
        [machine] = scene.routers
        before = firewall_state.read(machine)
        process = lab.start("ftpalg", machine, "bash", "-c",
                            'exec 2> >(read -r first; echo "reader has: $first"; exec 0<&-; echo "reader is gone") && exec "$@"',
                            "bash", gateway.PROGRAM, "run", "--apply-rules", "--socket", "none", "--log-level", "debug", *gateway.format_options())
        process.wait_for_log("reader is gone")
        wait_until(lambda: status(process.pid).get("Seccomp") == "2", "the gateway serves")
        _transfer_each_way(_logged_in(lab, scene))
        process.signal(signal.SIGHUP)
        _transfer_each_way(_logged_in(lab, scene))
        process.signal(signal.SIGTERM)
        expect_equal("exit status", 0, process.wait_for_exit())
        firewall_state.expect_same("the end of the run", before, firewall_state.read(machine))


def _logged_in(lab, scene):
    talk = lab.enter_context(Talk(scene))
    talk.log_in()
    return talk


def _transfer_each_way(talk):
    """Whole, and with the line in two pieces: the first is held and acknowledged."""
    verbs, codes = WAYS[talk.scene.plan.family]
    for verb in verbs:
        talk.active_transfer(verb)
        talk.active_transfer(verb, _in_two)
    for code in codes:
        talk.passive_transfer(code)
        talk.passive_transfer(code, _in_two)


def _in_two(end, line):
    end.set_nodelay(True)
    end.write(line[:10])
    end.wait_until_acknowledged()
    end.write(line[10:])


def _announce(talk):
    talk.client.write(announcement("EPRT", talk.client.socket.getsockname()[0], 40000))
    talk.server.hear_line()
    talk.reply("200 Go ahead.")


def _expire(router, talk):
    """An announced data connection that does not come is expected no more."""
    _announce(talk)
    expect_equal("expectations", 1, len(router.expectations()))
    router.wait_for_no_expectation()
    talk.exchange("NOOP", "200 Still here.")


def _release(talk):
    """The beginning of a line whose rest does not come leaves in the end."""
    talk.client.write(b"EPRT |")
    talk.client.wait_until_acknowledged()
    expect_equal("what the server gets in the end", b"EPRT |", talk.server.hear_bytes(6))
    talk.client.write(b"9|\r\n")
    talk.server.hear("9|")
    talk.reply("501 No.")


def _run_as_nobody(lab, machine, *options):
    program = shutil.copy(gateway.PROGRAM, lab.directory)  # where nobody may read it, too
    return lab.start("ftpalg", machine, "setpriv", "--reuid", NOBODY, "--regid", NOBODY, "--clear-groups",
                     "--inh-caps=-all,+net_admin,+net_raw", "--ambient-caps=-all,+net_admin,+net_raw",
                     "--bounding-set=-all,+net_admin,+net_raw", "--pdeathsig", "KILL", "--", program, "run", "--socket", "none", *options)


def _usual_format(machine):
    return gateway.FORMAT or ("nft" if firewall_rules.kernel_has_nft_queue() else "iptables")


def _expect_gone(*pids):
    wait_until(lambda: not any(map(is_alive, pids)), f"the processes {pids} are gone")


CASES = {"gives_up": gives_up, "works": works, "few_rights": few_rights, "keeper_killed": keeper_killed,
         "worker_killed": worker_killed, "nobody_reads_log": nobody_reads_log}


if __name__ == "__main__":
    runner.main(lambda case, *arguments: CASES[case](*arguments), *sys.argv[1:])
