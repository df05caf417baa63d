# SPDX-License-Identifier: GPL-2.0-or-later
"""How the daemon starts and ends: daemon.py CASE"""

import signal

import firewall_state
import gateway
import runner
from address import plans
from failure import Failure, expect_equal, expect_in, wait_until
from gateway import Gateway
from lab import Lab
from processes_of_gateway import status, threads_of
from servers import Pyftpdlib
from session import Session, converse
from topology import snat


def second_on_queue():
    """A second daemon on the same queue says so and ends; the first goes on."""
    plan = plans("ipv4")[0]
    with Lab() as lab:
        scene = snat(lab, plan)
        server = Pyftpdlib(lab, scene.server, plan.server)
        first = Gateway(lab, *scene.routers, queue=7)
        second = lab.start("second", *scene.routers, gateway.PROGRAM, "run", "--socket", "none", "--queue", 7)
        _expect_refusal(second, "queue 7")
        with Session(scene.client, server, scene.dial, "PORT") as session:
            converse(session)
        first.stop()


def no_rights():
    """Without the rights that it needs the daemon says which, and ends."""
    with Lab() as lab:
        powerless = lab.start("powerless", lab.router("router"),
                              "setpriv", "--bounding-set=-all", "--inh-caps=-all", gateway.PROGRAM, "run", "--socket", "none")
        _expect_refusal(powerless, "CAP_NET_ADMIN")


def ends_on_sigterm():
    _removes_rules_on(signal.SIGTERM)


def ends_on_sigint():
    _removes_rules_on(signal.SIGINT)


def ends_with_worker():
    """A worker that cannot go on ends the gateway, so that whoever watches over it learns of it, and its rules go."""
    with Lab() as lab:
        router = lab.router("router")
        before = firewall_state.read(router)
        process = Gateway(lab, router, "--queues", 2).process
        [worker] = wait_until(lambda: [thread for thread in threads_of(process.pid)
                                       if status(thread).get("Name") == "ftpalg-1"], "the second worker has its name")
        lab.start("strace", router, "strace", "-p", worker, "-e", "trace=recvmmsg", "-e", "inject=recvmmsg:error=EIO")
        expect_equal("exit status", 1, process.wait_for_exit(limit=10))
        expect_in("the reason", "queue 1 failed: Input/output error", process.log())
        firewall_state.expect_same("a worker's failure", before, firewall_state.read(router))


def warns_of_rules():
    """Rules that others have put in place, for another number of queues, are told of with their mend."""
    with Lab() as lab:
        router = lab.router("router")
        for queues, is_right in ((1, False), (2, True)):
            applied = gateway.ftpalg(router, "rules", "apply", "--queues", str(queues))
            expect_equal(f"exit status of ftpalg rules apply, which said:\n{applied.stderr}", 0, applied.returncode)
            process = lab.start("ftpalg", router, gateway.PROGRAM, "run", "--socket", "none", *gateway.format_options(), "--queues", 2)
            process.wait_for_log("ready on queues 21-22")
            expect_equal(f"whether the log is silent on rules for {queues} of 2 queues, and says:\n{process.log()}",
                         is_right, "; mend: ftpalg rules apply" not in process.log())
            process.signal(signal.SIGTERM)
            expect_equal("exit status", 0, process.wait_for_exit())


def keeps_rules():
    """`run --apply-rules --keep-rules` leaves them, the same as they were, to the run that comes next."""
    with Lab() as lab:
        router = lab.router("router")
        before = firewall_state.read(router)
        daemon = Gateway(lab, router, "--keep-rules")
        during = firewall_state.read(router)
        daemon.stop()
        firewall_state.expect_same("the end of a run that keeps its rules", during, firewall_state.read(router))
        daemon = Gateway(lab, router)
        daemon.stop()
        firewall_state.expect_same("the end of the next run", before, firewall_state.read(router))


def _removes_rules_on(number):
    """`run --apply-rules` takes its rules away when it is asked to end."""
    with Lab() as lab:
        router = lab.router("router")
        before = firewall_state.read(router)
        daemon = Gateway(lab, router)
        if firewall_state.read(router) == before:
            raise Failure("run --apply-rules says that it is ready, but there is no rule")
        daemon.stop(number)
        firewall_state.expect_same(f"after {number.name}", before, firewall_state.read(router))


def _expect_refusal(process, reason):
    status = process.wait_for_exit()
    if status <= 0 or reason not in process.log():
        raise Failure(f"{process.name} was to exit with a positive status and name {reason!r}; "
                      f"it exited with {status} and said:\n{process.log_tail()}")


if __name__ == "__main__":
    runner.main_of({"second_on_queue": second_on_queue, "no_rights": no_rights,
                    "ends_on_sigterm": ends_on_sigterm, "ends_on_sigint": ends_on_sigint,
                    "keeps_rules": keeps_rules,
                    "warns_of_rules": warns_of_rules, "ends_with_worker": ends_with_worker})
