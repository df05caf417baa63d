# SPDX-License-Identifier: GPL-2.0-or-later
r"""How often conntrack is asked for a control connection: questions.py

    client ----------------- [ router ] ----------------- server
       client    client_router        server_router       server
              destination public_server:21 -> server
                   source client -> public_client

Where the kernel tells of the connection with each packet (NFQA_CT) nobody asks for one that begins; elsewhere once a
session. `ftpalg check` says which it is. The gateway's requests are seen by strace.
"""

import json
import re

import gateway
import runner
from address import plans
from failure import Failure, expect_equal
from kernel import tells_connections
from lab import Lab
from talk import Talk
from topology import both

SESSIONS = 5
LOG = "requests"
# nlmsg_type: the subsystem in the higher byte, IPCTNL_MSG_CT_GET in the lower.
GET = re.compile(r"sendto\(.*NFNL_SUBSYS_CTNETLINK<<8\|IPCTNL_MSG_CT_GET")


def questions():
    asked_at_start = _asked(0)
    if not asked_at_start:
        raise Failure("strace has not seen the question by which the gateway tries conntrack at its start, "
                      "so that it would have seen no other")
    expect_equal(f"questions for {SESSIONS} sessions", 0 if tells_connections() else SESSIONS,
                 _asked(SESSIONS) - asked_at_start)


def _asked(sessions):
    with Lab() as lab:
        scene = both(lab, plans("ipv4")[0])
        [router] = scene.routers
        _check_says(router)
        requests = lab.directory / LOG
        process = lab.start("ftpalg", router, "strace", "-f", "-o", requests, "-e", "trace=sendto",
                            gateway.PROGRAM, "run", "--apply-rules", "--socket", "none", *gateway.format_options(), "--queues", 1)
        process.wait_for_log("ready on queue")
        for _ in range(sessions):
            with Talk(scene) as talk:
                talk.log_in()
                talk.exchange("NOOP", "200 Fine.")
                talk.exchange("QUIT", "221 Goodbye.")
        gateway_pid = re.match(r"\d+", requests.read_text(encoding="ascii", errors="replace"))[0]
        router.run("kill", "-TERM", gateway_pid)
        expect_equal("exit status", 0, process.wait_for_exit())
        lines = requests.read_text(encoding="ascii", errors="replace").splitlines()
        if sessions and not any("NFQNL_MSG_VERDICT" in line for line in lines):
            raise Failure("strace has seen no verdict, so that no session came by the gateway")
        return sum(bool(GET.search(line)) for line in lines)


def _check_says(router):
    report = json.loads(gateway.ftpalg(router, "check", "--json").stdout)
    [finding] = [each for each in report["findings"] if each["name"] == "NFQA_CT"]
    expect_equal("what check says of NFQA_CT", tells_connections(), finding["ok"])


if __name__ == "__main__":
    runner.main(questions)
