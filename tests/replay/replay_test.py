#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""replay_test.py FTPALG [TEST...]: `ftpalg replay` over real captures, and over harder ones made of them.

What it writes must be the same sessions as the other side would see them: tshark may find no TCP anomaly in a
packet that was in order before, all checksums are right, and each stream is the one that was captured with the
announced lines rewritten and nothing else.
"""

import functools
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

import packets

CAPTURES = pathlib.Path(__file__).resolve().parent.parent / "captures"
DECISION_KEYS = {"time", "packet", "control", "from", "action", "reason", "before", "after", "expectation"}
TIMEOUT_SECONDS = 60

CLIENT = ["snat:198.51.100.1", "snat:2001:db8:1::1"]
CLIENT_OUTSIDE = ["snat:198.51.100.1=10.0.1.2"]
SERVER = ["dnat:203.0.113.1=10.0.2.2", "dnat:2001:db8:2::1=fd00:2::2"]

# Who is seen as what by NAT: the client inside, any other client too, the server inside.
PUBLIC = {"10.0.1.2": "198.51.100.1", "fd00:1::2": "2001:db8:1::1",
          "198.51.100.77": "198.51.100.1", "2001:db8:1::77": "2001:db8:1::1",
          "10.0.2.2": "203.0.113.1", "fd00:2::2": "2001:db8:2::1"}

program = None


def run(*arguments):
    return subprocess.run([program, "replay", *map(str, arguments)], capture_output=True, text=True,
                          timeout=TIMEOUT_SECONDS, check=False)


@functools.lru_cache(maxsize=None)
def objections(path, changed):
    """What tshark has against the packets of a file: ({time: what}, [time of a bad checksum]). `changed` is when."""
    del changed
    done = subprocess.run(["tshark", "-n", "-r", path, "-o", "tcp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE",
                           "-Y", "tcp.analysis.flags or tcp.checksum.status == 0 or ip.checksum.status == 0",
                           "-T", "fields", "-e", "frame.time_epoch", "-e", "tcp.analysis.flags",
                           "-e", "tcp.checksum.status", "-e", "ip.checksum.status", "-e", "_ws.col.Info"],
                          capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=True)
    anomalies, bad_checksums = {}, []
    for line in done.stdout.splitlines():
        time, flags, tcp_status, ip_status, info = line.split("\t")
        if flags:
            anomalies[time] = info
        if "0" in (tcp_status, ip_status):
            bad_checksums.append(time)
    return anomalies, bad_checksums


def tshark(path):
    return objections(path, path.stat().st_mtime_ns)


def translated(line):
    """An announcement as it must look on the other side; made without any code of the gateway's."""
    for inside, public in PUBLIC.items():
        line = re.sub(rf"\|{re.escape(inside)}\|", f"|{public}|", line)
        commas = r"\s*,\s*".join(inside.split(".")) if "." in inside else None
        if commas:
            line = re.sub(rf"\b{commas}\s*,\s*(\d+)\s*,\s*(\d+)\b",
                          lambda port, public=public: ",".join([*public.split("."), port[1], port[2]]), line)
    return line


class ReplayTest(unittest.TestCase):
    def setUp(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="ftpalg-replay."))
        self.addCleanup(shutil.rmtree, self.directory)
        self.out = self.directory / "out.pcap"

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

    def as_pcap(self, path):
        """pcapng is read by the program; here only pcap is."""
        if path.suffix != ".pcapng":
            return path
        copy = self.directory / "in.pcap"
        subprocess.run(["editcap", "-F", "pcap", path, copy], check=True)
        return copy

    def expect_good_packets(self, path, also_allowed=None):
        before, _ = tshark(path)
        after, bad_checksums = tshark(self.out)
        fresh = {time: info for time, info in after.items()
                 if time not in before and not (also_allowed and re.search(also_allowed, info))}
        self.assertEqual(fresh, {}, "anomalies that the input has not")
        self.assertEqual(bad_checksums, [])

    def expect_translated_streams(self, path, decisions, port=21):
        """Each stream is as captured, but for the lines that decisions say were rewritten."""
        rewritten = {}
        for decision in decisions:
            if decision["action"] == "rewrite":
                self.assertEqual(decision["after"], translated(decision["before"]))
                self.assertNotEqual(decision["after"], decision["before"])
                rewritten.setdefault(decision["before"], decision["after"])
        sent = packets.streams(packets.read(self.as_pcap(path)), port)
        left = packets.streams(packets.read(self.out), port)
        self.assertEqual(len(sent), len(left))
        for (sent_key, sent_bytes), (left_key, left_bytes) in zip(sent, left):
            self.assertEqual([end[1] for end in sent_key], [end[1] for end in left_key])
            for address, _ in left_key:
                self.assertNotIn(address, self.inside_addresses)
            for line, replacement in zip(sent_bytes.split(b"\n"), left_bytes.split(b"\n")):
                text = line.rstrip(b"\r").decode("latin-1")
                if line != replacement:
                    self.assertEqual(replacement.rstrip(b"\r").decode("latin-1"), rewritten.get(text))
            self.assertEqual(sent_bytes.count(b"\n"), left_bytes.count(b"\n"))

    # Addresses that must not be seen on the other side.
    inside_addresses = ()

    def expect_other_side(self, path, nats, rewrites, port=21, options=(), also_allowed=None):
        decisions = self.replay(path, nats, *options)
        self.inside_addresses = [nat.split("=")[-1] for nat in nats if "=" in nat]
        self.assertEqual(sum(decision["action"] == "rewrite" for decision in decisions), rewrites)
        self.expect_good_packets(path, also_allowed)
        self.expect_translated_streams(path, decisions, port)
        return decisions

    def test_client_behind_nat(self):
        decisions = self.expect_other_side(CAPTURES / "inside-client.pcap", CLIENT, 22)
        first = decisions[0]
        self.assertEqual(first["from"], "client")
        self.assertTrue(first["control"]["client"].startswith("10.0.1.2:"))
        self.assertEqual(first["control"]["server"], "203.0.113.77:21")
        self.assertEqual(first["expectation"]["source"], "203.0.113.77")
        self.assertEqual(first["expectation"]["destination"], "198.51.100.1")
        self.assertRegex(first["time"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$")
        self.assertEqual(sum(decision["before"].startswith("227 ") for decision in decisions), 9)

    def test_client_behind_nat_ipv6(self):
        self.expect_other_side(CAPTURES / "inside-client-ipv6.pcapng", CLIENT, 11)

    def test_server_behind_nat(self):
        self.expect_other_side(CAPTURES / "inside-server.pcap", SERVER, 11)

    def test_server_behind_nat_ipv6(self):
        decisions = self.expect_other_side(CAPTURES / "inside-server-ipv6.pcap", SERVER, 0)
        self.assertEqual(len(decisions), 11)  # a 229 has no address: expected, and right as it is
        self.assertEqual({decision["expectation"]["destination"] for decision in decisions}, {"2001:db8:2::1"})

    def test_captured_outside(self):
        self.expect_other_side(CAPTURES / "outside-client.pcap", CLIENT_OUTSIDE, 9)
        self.expect_other_side(CAPTURES / "outside-server.pcap", SERVER, 9)

    def test_any_interface(self):
        self.expect_other_side(CAPTURES / "any-interface.pcap", CLIENT, 3)

    def test_lines_in_pieces(self):
        self.expect_other_side(CAPTURES / "split-commands.pcap", CLIENT, 9)
        self.expect_other_side(CAPTURES / "split-replies.pcap", SERVER, 8)

    def test_lines_in_pieces_that_come_too_late(self):
        harder = self.directory / "harder.pcap"
        packets.write(harder, packets.slowed_down(packets.read(CAPTURES / "split-commands.pcap"), 1500))
        # Nobody in the capture acknowledges what leaves late, so the gateway sends it again.
        decisions = self.expect_other_side(harder, CLIENT, 5,
                                           also_allowed="Retransmission|Keep-Alive|ACKed unseen")
        self.assertIn("did not come in time", decisions[0]["reason"])

    def test_same_ports_again(self):
        harder = self.directory / "harder.pcap"
        capture = packets.read(CAPTURES / "large-segments.pcap")
        for with_end in (True, False):
            with self.subTest(with_end=with_end):
                packets.write(harder, packets.twice(capture, seconds_between=100, with_end=with_end))
                self.expect_other_side(harder, CLIENT, 6)

    def test_segments_that_outgrow_the_path(self):
        self.expect_other_side(CAPTURES / "large-segments.pcap", CLIENT, 3)
        for frame in packets.read(self.out).frames:
            self.assertLessEqual(len(frame.data), 1514)

    def test_loss(self):
        self.expect_other_side(CAPTURES / "lossy-client.pcap", CLIENT, 12)
        self.expect_other_side(CAPTURES / "lossy-server.pcap", SERVER, 12)

    def test_encrypted(self):
        decisions = self.expect_other_side(CAPTURES / "encrypted.pcap", CLIENT, 0)
        self.assertEqual([decision["action"] for decision in decisions], ["forward"])

    def test_no_nat_changes_nothing(self):
        for path in sorted(CAPTURES.glob("*.pcap*")):
            for nats in (["none"], []):
                with self.subTest(path.name, nats=nats):
                    decisions = self.replay(path, nats)
                    self.assertNotIn("rewrite", {decision["action"] for decision in decisions})
                    self.assertEqual(packets.read(self.out), packets.read(self.as_pcap(path)))

    def test_each_capture_with_each_nat(self):
        for path in sorted(CAPTURES.glob("*.pcap*")):
            for nats in (CLIENT, CLIENT_OUTSIDE, SERVER, CLIENT + SERVER, SERVER + CLIENT):
                with self.subTest(path.name, nats=nats):
                    outside = CLIENT[0] in nats and path.name == "outside-client.pcap"
                    decisions = self.replay(path, nats, notes="(.*the capture was taken outside.*\n)" if outside else "")
                    self.expect_good_packets(path)
                    self.expect_translated_streams(path, decisions)

    def test_initial_sequence_numbers(self):
        harder = self.directory / "harder.pcap"
        for name, nats, rewrites in (("inside-client.pcap", CLIENT, 22), ("inside-server.pcap", SERVER, 11),
                                     ("lossy-client.pcap", CLIENT, 12), ("lossy-server.pcap", SERVER, 12)):
            for initial in (2**31 - 100, 2**32 - 100, 2**32 - 1):
                with self.subTest(name, initial=initial):
                    packets.write(harder, packets.with_initial_numbers(packets.read(CAPTURES / name), initial))
                    self.expect_other_side(harder, nats, rewrites)

    def test_link_types(self):
        harder = self.directory / "harder.pcap"
        capture = packets.read(CAPTURES / "inside-server.pcap")
        macs = bytes(12)
        for name, link_type, header in (
                ("raw", packets.RAW, b""), ("null", packets.NULL, b"\x02\0\0\0"), ("loop", packets.LOOP, b"\0\0\0\x02"),
                ("sll", packets.LINUX_SLL, bytes(14) + b"\x08\x00"),
                ("vlan", packets.ETHERNET, macs + b"\x81\x00\x00\x05\x08\x00"),
                ("qinq", packets.ETHERNET, macs + b"\x88\xa8\x00\x05\x81\x00\x00\x07\x08\x00")):
            with self.subTest(name):
                packets.write(harder, packets.with_link_type(capture, link_type, header))
                decisions = self.replay(harder, SERVER)
                self.assertEqual(sum(decision["action"] == "rewrite" for decision in decisions), 11)
                self.expect_good_packets(harder)
                for frame in packets.read(self.out).frames:
                    self.assertTrue(frame.data.startswith(header))

    def test_other_control_port(self):
        harder = self.directory / "harder.pcap"
        packets.write(harder, packets.with_port(packets.read(CAPTURES / "inside-client.pcap"), 21, 2121))
        self.expect_other_side(harder, CLIENT, 22, port=2121, options=["--port", "21", "--port", "2121"])
        self.assertEqual(self.replay(harder, CLIENT, notes=".*none of the .* --port\n"), [])

    def test_joined_in_the_middle(self):
        harder = self.directory / "harder.pcap"
        for name, nats, at_least in (("inside-client.pcap", CLIENT, 20), ("inside-server.pcap", SERVER, 9),
                                     ("lossy-client.pcap", CLIENT, 9)):
            for count in (1, 2, 4, 9, 13):
                with self.subTest(name, count=count):
                    packets.write(harder, packets.without_first(packets.read(CAPTURES / name), count))
                    decisions = self.replay(harder, nats)
                    self.assertGreaterEqual(sum(decision["action"] == "rewrite" for decision in decisions), at_least)
                    self.expect_good_packets(harder)

    def test_cut_off_by_snap_length(self):
        harder = self.directory / "harder.pcap"
        capture = packets.read(CAPTURES / "inside-client.pcap")
        packets.write(harder, packets.snapped(capture, 80))
        self.replay(harder, CLIENT, notes="(?s:.*tcpdump -s 0.*more packets like these\n)")
        left = packets.read(self.out)
        self.assertEqual([(len(f.data), f.wire_length, f.time) for f in left.frames if len(f.data) == 80],
                         [(80, f.wire_length, f.time) for f in capture.frames if f.wire_length >= 80])

    def test_each_decision_is_one_line_for_a_person(self):
        done = run(CAPTURES / "inside-client.pcap", "--nat", CLIENT[0])
        self.assertEqual(done.returncode, 0)
        self.assertEqual(len(done.stdout.splitlines()), 31)
        self.assertRegex(done.stdout, r"PORT 10,0,1,2,\d+,\d+' becomes 'PORT 198,51,100,1,")

    def expect_refusal(self, arguments, *told):
        done = run(*arguments)
        self.assertNotEqual(done.returncode, 0)
        for part in told:
            self.assertIn(part, done.stderr)

    def test_refusals_name_thing_cause_and_mend(self):
        capture = CAPTURES / "inside-client.pcap"
        bad = self.directory / "bad.pcap"
        self.expect_refusal([bad], "bad.pcap", "No such file", "tcpdump -w")
        self.expect_refusal([self.directory], str(self.directory))
        bad.write_bytes(b"")
        self.expect_refusal([bad], "bad.pcap", "tcpdump -w")
        bad.write_bytes(b"220 ready\r\n" * 10)
        self.expect_refusal([bad], "bad.pcap", "tcpdump -w")
        packets.write(bad, packets.Capture(105, []))
        self.expect_refusal([bad], "bad.pcap", "IEEE802_11", "not supported")
        bad.write_bytes(capture.read_bytes()[:-7])
        self.expect_refusal([bad, "--nat", CLIENT[0], "-w", self.out], "bad.pcap", "cannot be read beyond packet")
        self.assertGreater(len(packets.read(self.out).frames), 10)
        self.expect_refusal([capture, "-w", capture], "overwritten")
        self.expect_refusal([capture, "-w", self.directory / "none" / "out.pcap"], "No such file")
        for nat in ("snat", "snat:", "snat:host", "dnat:203.0.113.1", "dnat:203.0.113.1=fd00::1", "nat:1.2.3.4"):
            with self.subTest(nat):
                self.expect_refusal([capture, f"--nat={nat}"], "--nat", "snat:PUBLIC")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    program = os.path.abspath(sys.argv.pop(1))
    for tool in ("tshark", "editcap"):
        if not shutil.which(tool):
            sys.exit(f"replay_test.py: {tool} is missing; tests/setup installs it")
    unittest.main()
