# SPDX-License-Identifier: GPL-2.0-or-later
"""One replay, and what must be true of it.

What it writes must be the same sessions as the other side would see them: tshark may find no TCP anomaly in a packet
that it did not find there before, all checksums are right, and each stream is the one that was captured with the
announced lines rewritten and nothing else. What it tells must follow from the capture: every announcement is rewritten
or right as it is, or there is a reason; and each data connection that comes of one is expected.
"""

import collections
import hashlib
import json
import pathlib
import shutil
import subprocess
import tempfile
import unittest

import ftp
import packets
from shown import FOREIGN, OPAQUE

DECISION_KEYS = {"time", "packet", "control", "from", "action", "reason", "before", "after", "expectation"}
TIMEOUT_SECONDS = 60

# What tshark says against a packet, as the ends of its fields' names, and what that comes to. A repetition of what has
# been acknowledged leaves without its bytes, so that the receiver says so again: tshark takes it for a keep-alive.
COMPLAINTS = {"retransmission": "repeated", "fast_retransmission": "repeated", "spurious_retransmission": "repeated",
              "keep_alive": "repeated", "out_of_order": "out of order", "lost_segment": "lost before",
              "ack_lost_segment": "acknowledges unseen", "duplicate_ack": "acknowledges again",
              "keep_alive_ack": "acknowledges again", "window_full": "window", "zero_window": "window",
              "zero_window_probe": "window", "zero_window_probe_ack": "window", "window_update": "window",
              "reused_ports": "reused ports"}

known_objections = {}  # the same packets come by many ways


def run(*arguments):
    return subprocess.run([ReplayCase.program, "replay", *map(str, arguments)], capture_output=True, text=True,
                          timeout=TIMEOUT_SECONDS, check=False)


def objections(path):
    """What tshark has against the packets of a file: ({(time, what): how often}, [time of a bad checksum])."""
    digest = hashlib.sha256(path.read_bytes()).digest()
    if digest not in known_objections:
        known_objections[digest] = ask_tshark(path)
    return known_objections[digest]


def ask_tshark(path):
    columns = ["frame.time_epoch", "tcp.checksum.status", "ip.checksum.status", "tcp.analysis.flags",
               *(f"tcp.analysis.{complaint}" for complaint in COMPLAINTS)]
    done = subprocess.run(["tshark", "-n", "-r", path, "-o", "tcp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE",
                           "-Y", "tcp.analysis.flags or tcp.checksum.status == 0 or ip.checksum.status == 0",
                           "-T", "fields", *(part for column in columns for part in ("-e", column))],
                          capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=True)
    complaints, bad_checksums = collections.Counter(), []
    for line in done.stdout.splitlines():
        time, tcp_status, ip_status, flags, *fields = line.split("\t")
        if "0" in (tcp_status, ip_status):
            bad_checksums.append(time)
        if flags:
            named = {what for what, field in zip(COMPLAINTS.values(), fields) if field}
            complaints.update((time, complaint) for complaint in named or {"other"})
    return complaints, bad_checksums


def translation(nats, client, server):
    """{inside: public} of the first NAT that fits a connection between these addresses, or {}."""
    for kind, _, addresses in (nat.partition(":") for nat in nats):
        public, _, inside = addresses.partition("=")
        if kind == "dnat" and server in (public, inside):
            return {inside: public}
        if kind == "snat" and (":" in public) == (":" in client) and (not inside or client in (public, inside)):
            return {inside or client: public}
    return {}


def place(decision):
    """The packet by which the line was complete, and who said it."""
    return decision["packet"], int(decision["control"]["client"].rpartition(":")[2]), decision["from"] == "client"


def endpoint(host, port):
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def escaped(line):
    return "".join(char if " " <= char <= "~" and char != "\\" else
                   "\\\\" if char == "\\" else f"\\x{ord(char):02x}" for char in line)


class ReplayCase(unittest.TestCase):
    program = None

    def setUp(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="ftpalg-replay."))
        self.addCleanup(shutil.rmtree, self.directory)
        self.out = self.directory / "out.pcap"
        self.harder = self.directory / "harder.pcap"

    def replay(self, path, nats, *options, notes=""):
        """The decisions; self.out has the packets."""
        nat_options = [part for nat in nats for part in ("--nat", nat)]
        done = run(path, "-w", self.out, "--json", *nat_options, *options)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stderr, f"^{notes}$")
        decisions = [json.loads(line) for line in done.stdout.splitlines()]
        for decision in decisions:
            self.assertEqual(set(decision), DECISION_KEYS)
        return decisions

    def read(self, path):
        """pcapng is read by the program; here only pcap is."""
        if path.suffix == ".pcapng":
            copy = self.directory / "in.pcap"
            subprocess.run(["editcap", "-F", "pcap", path, copy], check=True)
            path = copy
        return packets.read(path)

    def expect_good_packets(self, path, also_allowed=()):
        if packets.read(self.out) == self.read(path):
            return
        before, _ = objections(path)
        after, bad_checksums = objections(self.out)
        fresh = [(time, what) for time, what in after - before if what not in also_allowed]
        self.assertEqual(fresh, [], "anomalies that the input has not")
        self.assertEqual(bad_checksums, [])

    def expect_translated_streams(self, path, nats, decisions, port=21):
        """Each stream is as captured, but for the lines that decisions say were rewritten, and its ends."""
        outcomes = collections.defaultdict(collections.deque)
        for decision in decisions:
            outcomes[(*place(decision), decision["before"])].append(decision)
        sent, left = packets.streams(self.read(path), port), packets.streams(packets.read(self.out), port)
        self.assertEqual(len(sent), len(left))
        for each, other in zip(sent, left):
            from_client = each.destination[1] == port
            client, server = each.key if from_client else each.key[::-1]
            expected, taken = b"", 0
            for line in ftp.lines(each):
                outcome = outcomes[line.number, client[1], from_client, escaped(line.text)]
                if outcome and (decision := outcome.popleft())["action"] == "rewrite":
                    expected += each.data[taken:line.begin] + decision["after"].encode("latin-1")
                    taken = line.begin + len(line.text)
            expected += each.data[taken:]
            self.assertEqual(other.data, expected)
            names = translation(nats, client[0], server[0])
            # Known defect of alg/engine.cc (send_on): held bytes lose their URG flag when they acknowledge nothing new.
            may_be_held = from_client and client[0] in {*names, *names.values()}
            (self.assertLessEqual if may_be_held else self.assertEqual)(other.urgent, each.urgent)
            self.assertEqual(other.key, tuple((names.get(host, host), number) for host, number in each.key))

    def expect_other_side(self, path, shown, *options, nats=None, port=21, notes=""):
        """What the capture shows is dealt with as it must be. Returns the decisions."""
        if nats is None:
            nats = shown.nats
        decisions = self.replay(path, nats, *options, notes=notes)
        self.expect_right(path, shown, nats, decisions, port)
        return decisions

    def expect_right(self, path, shown, nats, decisions, port=21):
        self.expect_good_packets(path)
        self.expect_translated_streams(path, nats, decisions, port)
        decided, reasons = self.expect_decisions(path, nats, decisions, port)
        self.assertEqual(len(reasons), len(shown.refused))
        for reason, part in zip(reasons, shown.refused):
            self.assertIn(part, reason)
        expected, hidden = self.expect_data_connections(path, shown.nats, decided, port)
        self.assertEqual(hidden, shown.hidden, "data connections that nobody announced in plain text")
        if nats == shown.nats:
            actions = [decision["action"] for decision in decisions if decision["expectation"]]
            self.assertEqual((actions.count("rewrite"), actions.count("forward"), expected),
                             (shown.rewritten, shown.right_as_is, shown.connections))

    def expect_decisions(self, path, nats, decisions, port=21):
        """Each announcement is dealt with as it must be, and of other lines only the last ones in plain text are
        spoken of. Returns {announcement: its decision}, and the reasons why lines open nothing that would name the
        right address."""
        announcements = ftp.announcements(self.read(path), port)
        ends = [decision for decision in decisions if OPAQUE in decision["reason"]]
        about = [decision for decision in decisions if OPAQUE not in decision["reason"]]
        self.assertEqual([(*place(decision), decision["before"]) for decision in about],
                         [(each.number, each.client[1], each.is_active, escaped(each.line)) for each in announcements])
        reasons = [decision["reason"] for decision in ends]
        for each, decision in zip(announcements, about):
            names = translation(nats, each.client[0], each.server[0])
            own = (each.client if each.is_active else each.server)[0]
            is_own = each.listener in {own, names.get(own, own), *(inside for inside in names if names[inside] == own)}
            self.assertEqual(FOREIGN in decision["reason"], not is_own)
            if decision["expectation"] is None:
                self.assertEqual((decision["action"], decision["after"]), ("forward", decision["before"]))
                if is_own:
                    reasons.append(decision["reason"])
                continue
            public = names.get(each.listener, each.listener)
            inside = next((inside for inside in names if names[inside] == public), public)
            after = each.naming(public)
            self.assertEqual((decision["action"], decision["after"]),
                             ("forward" if after == each.line else "rewrite", escaped(after)))
            self.assertEqual(decision["expectation"], {"source": each.connector, "destination": public,
                                                       "port": each.port, "maps_to": endpoint(inside, each.port)})
        return dict(zip(announcements, about)), reasons

    def expect_data_connections(self, path, nats, decided, port=21):
        """Each data connection comes of the latest announcement on its control connection, and no two of one.
        Returns how many of them are expected, and how many nobody announced. `nats` are those of the network in
        which the capture was taken."""
        expected, announced = [], 0
        connections = ftp.data_connections(self.read(path), port)
        for connection in connections:
            before = [each for each in decided if each.number < connection.number]
            leading = [each for each in before
                       if each.leads_to(connection, translation(nats, each.client[0], each.server[0]))]
            if not leading:
                continue
            announced += 1
            if decided[leading[-1]]["expectation"]:
                latest = [each for each in before if each.client == leading[-1].client and decided[each]["expectation"]][-1]
                self.assertEqual(latest, leading[-1], "another expectation has taken its place")
                self.assertNotIn(latest, expected, "its expectation has been used up")
                expected.append(latest)
        return len(expected), len(connections) - announced
