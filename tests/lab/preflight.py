# SPDX-License-Identifier: GPL-2.0-or-later
"""`ftpalg check` says what is wrong, and the command that it names mends it: preflight.py CASE"""

import json
import signal

import gateway
import runner
from failure import Failure, expect_equal, expect_in
from gateway import ftpalg
from lab import Lab


def all_well():
    """With forwarding on and the rules in place nothing is wrong."""
    with Lab() as lab:
        router = _ready_router(lab)
        text = ftpalg(router, "check")
        expect_equal(f"exit status of ftpalg check, which said:\n{text.stdout}{text.stderr}", 0, text.returncode)
        _check(router, expected_status=0)


def beside_gateway():
    """A gateway that runs is seen to be one; one that serves fewer queues than the rules have is not well."""
    with Lab() as lab:
        router = _ready_router(lab)
        queues = ("--queues", "2")
        expect_equal("exit status of ftpalg rules apply", 0, ftpalg(router, "rules", "apply", *queues).returncode)
        for served, status in (2, 0), (1, 1):
            process = lab.start("ftpalg", router, gateway.PROGRAM, "run", "--socket", "none", "--queues", served)
            process.wait_for_log("ready on queue")
            done = ftpalg(router, "check", *queues)
            expect_equal(f"exit status of ftpalg check, which said:\n{done.stdout}", status, done.returncode)
            expect_in("the text", "ftpalg serves" if served == 2 else "ftpalg serves 1 of them", done.stdout)
            process.signal(signal.SIGTERM)
            expect_equal("exit status", 0, process.wait_for_exit())


def no_forwarding():
    """A router that forwards neither family; one of the two would be enough to be one."""
    with Lab() as lab:
        router = _ready_router(lab)
        router.sysctl("net.ipv4.ip_forward", 0)
        router.sysctl("net.ipv6.conf.all.forwarding", 0)
        _expect_found_and_mended(router, "forward")


def no_rules():
    with Lab() as lab:
        _expect_found_and_mended(lab.router("router"), "rules")


def kernel_helper():
    """The kernel's own ftp helper on the same traffic."""
    with Lab() as lab:
        router = _ready_router(lab)
        router.run("iptables", "-t", "raw", "-A", "PREROUTING", "-p", "tcp", "--dport", "21",
                   "-j", "CT", "--helper", "ftp")
        _expect_found_and_mended(router, "helper")


def _ready_router(lab):
    router = lab.router("router")
    applied = ftpalg(router, "rules", "apply")
    expect_equal(f"exit status of ftpalg rules apply, which said:\n{applied.stdout}{applied.stderr}",
                 0, applied.returncode)
    return router


def _expect_found_and_mended(router, subject):
    """check fails on one thing, which names the subject; the command that is to mend it does."""
    wrong = [finding for finding in _check(router, expected_status=1)["findings"]
             if finding["severity"] == "needed" and not finding["ok"]]
    if not wrong or not all(subject in finding["name"] + finding["detail"] for finding in wrong):
        raise Failure(f"expected ftpalg check to find fault with {subject!r} only, got {wrong}")
    for finding in wrong:
        expect_equal(f"whether the text of ftpalg check tells the mend of {finding['name']}", True,
                     finding["mend"] != "" and finding["mend"] in ftpalg(router, "check").stdout)
    for finding in wrong:
        router.run("sh", "-c", finding["mend"], env=gateway.environment())
    _check(router, expected_status=0)


def _check(router, expected_status):
    done = ftpalg(router, "check", "--json")
    expect_equal(f"exit status of ftpalg check --json, which said:\n{done.stdout}{done.stderr}",
                 expected_status, done.returncode)
    report = json.loads(done.stdout)
    expect_equal("'ok' in the report", expected_status == 0, report["ok"])
    return report


if __name__ == "__main__":
    runner.main_of({"all_well": all_well, "beside_gateway": beside_gateway, "no_forwarding": no_forwarding, "no_rules": no_rules,
                    "kernel_helper": kernel_helper})
