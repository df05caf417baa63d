# SPDX-License-Identifier: GPL-2.0-or-later
r"""What the journal of systemd is told, by a journal of the test's own, in a mount namespace of its own: journal.py

    client ----------------- [ router ] ----------------- server
       client    client_router        server_router       server
                   source client -> public_client
"""

import ast
import signal
import sys

import gateway
import runner
from address import plans
from failure import Failure, expect_equal, expect_in, wait_until
from lab import Lab
from processes_of_gateway import keeper_of
from refused_calls import RefusedCalls
from talk import Talk, announcement
from topology import snat

# Binds the journal's socket, and prints what it is sent, an entry a line.
JOURNAL = """
import os, socket
os.makedirs("/run/systemd/journal")
journal = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
journal.bind("/run/systemd/journal/socket")
print("listening", flush=True)
while True:
    print(journal.recv(1 << 16).decode().rstrip().split(chr(10)), flush=True)
"""


def fields():
    """Every line has its priority; those about a client say which, and why; no control byte of a peer's is in any."""
    with Lab() as lab:
        refused = RefusedCalls(lab)
        scene = snat(lab, plans("ipv4")[0])
        [router] = scene.routers
        journal = lab.start("journal", router, "unshare", "--mount", "--propagation", "private", "sh", "-c",
                            'mount -t tmpfs run /run && exec "$@"', "sh", sys.executable, "-c", JOURNAL)
        journal.wait_for_log("listening")
        process = lab.start("ftpalg", router, "nsenter", f"--mount=/proc/{journal.pid}/ns/mnt", "sh", "-c",
                            'JOURNAL_STREAM=$(stat --dereference --format %d:%i /proc/self/fd/2) exec "$@"', "sh",
                            gateway.PROGRAM, "run", "--apply-rules", "--socket", "none", "--queue", 0,
                            *gateway.format_options())
        process.wait_for_log("ready on queue")
        processes = process.pid, keeper_of(process)
        with Talk(scene) as talk:
            talk.log_in()
            talk.active_transfer("PORT")
            talk.client.write(b"PORT 10,0,0,9,1,1\x1b[2J\r\n")
            talk.server.hear_line()
            talk.reply("500 No.")
            talk.client.write(announcement("PORT", scene.plan.other_client, 40000))
            talk.server.hear_line()
            talk.reply("500 No.")
            wait_until(lambda: "foreign_address" in journal.log(), "the journal hears of the refusal")
        entries = [dict(field.split("=", 1) for field in ast.literal_eval(line))
                   for line in journal.log().splitlines()[1:]]
        for entry in entries:
            expect_equal("the identifier", "ftpalg", entry["SYSLOG_IDENTIFIER"])
            expect_in("the priorities", entry["PRIORITY"], "34567")
        [refusal] = [entry for entry in entries if entry.get("FTPALG_REASON") == "foreign_address"]
        expect_equal("fields of the refusal", (scene.plan.client, scene.plan.server, "forward"),
                     tuple(refusal[f"FTPALG_{key}"] for key in ("CLIENT", "SERVER", "ACTION")))
        expect_in("the line", "PORT ", refusal["FTPALG_LINE"])
        expect_equal("reasons", ["rewritten", "unparsable", "foreign_address"],
                     [entry["FTPALG_REASON"] for entry in entries if "FTPALG_REASON" in entry])
        if any(not character.isprintable() for entry in entries for value in entry.values() for character in value):
            raise Failure(f"there are control bytes in the journal: {entries}")
        if "[2J" not in journal.log() or "rewritten" in process.log():
            raise Failure(f"what the journal hears was to be there and there alone; standard error has:\n{process.log()}")
        process.signal(signal.SIGTERM)
        expect_equal("exit status", 0, process.wait_for_exit())
        refused.expect_none_of(*processes)


if __name__ == "__main__":
    runner.main_of({"fields": fields})
