#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""replay_test.py FTPALG [TEST...]: `ftpalg replay` over real captures, and over harder ones made of them.

What must be true of a replay is in case.py, what each capture shows in shown.py.
"""

import copy
import dataclasses
import os
import pathlib
import shutil
import sys
import unittest

import ftp
import packets
from case import ReplayCase, run
from shown import CLIENT, CLIENT_OUTSIDE, SERVER, SHOWN

CAPTURES = pathlib.Path(__file__).resolve().parent.parent / "captures"


class ReplayTest(ReplayCase):
    def test_each_capture_shows_what_is_said_of_it(self):
        self.assertEqual({path.name for path in CAPTURES.glob("*.pcap*")}, set(SHOWN))
        for name, shown in SHOWN.items():
            with self.subTest(name):
                self.expect_other_side(CAPTURES / name, shown)
                streams = packets.streams(self.read(CAPTURES / name))
                self.assertEqual(sum(len(stream.urgent) for stream in streams), shown.urgent)
                self.assertEqual(sum(stream.data.startswith(b"220-") for stream in streams), shown.long_greetings)

    def test_each_capture_with_each_nat(self):
        for name, shown in SHOWN.items():
            for nats in (("none",), (), CLIENT, CLIENT_OUTSIDE, SERVER, CLIENT + SERVER, SERVER + CLIENT):
                if nats == shown.nats:
                    continue
                with self.subTest(name, nats=nats):
                    if CLIENT[0] in nats and name == "outside-client.pcap":
                        notes = ".*the capture was taken outside.*\n"
                        self.assertEqual(self.replay(CAPTURES / name, nats, notes=notes), [])
                        self.assertEqual(packets.read(self.out), self.read(CAPTURES / name))
                        continue
                    self.expect_other_side(CAPTURES / name, shown, nats=nats)
                    if nats in (("none",), ()):
                        self.assertEqual(packets.read(self.out), self.read(CAPTURES / name))

    def expect_objection(self, path, shown, decisions):
        with self.assertRaises(AssertionError):
            self.expect_right(path, shown, shown.nats, decisions)

    def test_damaged_packets_are_found(self):
        path, shown = CAPTURES / "abort-server.pcap", SHOWN["abort-server.pcap"]
        decisions = self.expect_other_side(path, shown)
        good = packets.read(self.out)
        segments = [packets.segment_of(good, frame) for frame in good.frames]
        at = next(at for at, (one, other) in enumerate(zip(segments, segments[1:]))
                  if one.key == other.key and one.payload and other.payload)
        before, packet, after = good.frames[:at], good.frames[at], good.frames[at + 1:]

        def with_data(frame, data):
            return dataclasses.replace(frame, data=data)

        urgent = next(at for at, segment in enumerate(segments) if segment.flags & packets.URG)
        segments[urgent].tcp[13] ^= packets.URG
        for name, frames in (
                ("repeated", [*before, packet, packet, *after]), ("missing", before + after),
                ("late", [*before, *after[:1], packet, *after[1:]]),
                ("wrong checksum", [*before, with_data(packet, packet.data[:-1] + b"x"), *after]),
                ("as captured", self.read(path).frames),
                ("not urgent", [*good.frames[:urgent], with_data(good.frames[urgent], segments[urgent].bytes()),
                                *good.frames[urgent + 1:]])):
            with self.subTest(name):
                packets.write(self.out, packets.Capture(good.link_type, frames))
                self.expect_objection(path, shown, decisions)
        packets.write(self.out, good)
        self.expect_right(path, shown, shown.nats, decisions)

    def test_damaged_decisions_are_found(self):
        path, shown = CAPTURES / "vsftpd-lftp.pcap", SHOWN["vsftpd-lftp.pcap"]
        decisions = self.expect_other_side(path, shown)
        for at in (0, -1):
            def changed(at=at, expectation=None, **change):
                others = copy.deepcopy(decisions)
                others[at] |= change
                others[at]["expectation"] |= expectation or {}
                return others

            port = decisions[at]["expectation"]["port"]
            for name, others in (
                    ("missing", [each for each in decisions if each is not decisions[at]]),
                    ("twice", [*decisions, decisions[at]]),
                    ("other packet", changed(packet=decisions[at]["packet"] + 1)),
                    ("other line", changed(before=decisions[at]["before"] + " ")),
                    ("other outcome", changed(after=decisions[at]["after"] + " ")),
                    ("other action", changed(action="wait")),
                    ("other port", changed(expectation={"port": port ^ 1})),
                    ("other source", changed(expectation={"source": "192.0.2.1"})),
                    ("other destination", changed(expectation={"destination": "192.0.2.1"})),
                    ("led elsewhere", changed(expectation={"maps_to": f"192.0.2.1:{port}"}))):
                with self.subTest(name, at=at):
                    self.expect_objection(path, shown, others)

    def test_data_connections_that_are_not_expected_are_found(self):
        path, shown = CAPTURES / "vsftpd-lftp.pcap", SHOWN["vsftpd-lftp.pcap"]
        decided, _ = self.expect_decisions(path, shown.nats, self.replay(path, shown.nats))
        self.assertEqual(self.expect_data_connections(path, shown.nats, decided), (8, 0))
        first, second = list(decided)[:2]
        for name, announced in (("unannounced", dataclasses.replace(first, port=first.port ^ 1)),
                                ("from elsewhere", dataclasses.replace(first, server=("192.0.2.1", 21))),
                                ("too late", dataclasses.replace(first, number=second.number + 1))):
            with self.subTest(name):
                others = {announced if each is first else each: decision for each, decision in decided.items()}
                self.assertEqual(self.expect_data_connections(path, shown.nats, others), (7, 1))
        with self.subTest("announced again"):
            again = dataclasses.replace(second, port=second.port ^ 1, number=second.number)
            with self.assertRaises(AssertionError):
                self.expect_data_connections(path, shown.nats, decided | {again: decided[second]})
        with self.subTest("one expectation for two"):
            capture = packets.read(path)
            at = ftp.data_connections(capture)[0].number
            again = packets.segment_of(capture, capture.frames[at - 1])
            again.renumber(1000, 0)
            capture.frames.insert(at, dataclasses.replace(capture.frames[at - 1], data=again.bytes()))
            packets.write(self.harder, capture)
            with self.assertRaises(AssertionError):
                self.expect_data_connections(self.harder, shown.nats, decided)

    def test_first_decision_of_a_client_behind_nat(self):
        first = self.replay(CAPTURES / "inside-client.pcap", CLIENT)[0]
        self.assertEqual(first["from"], "client")
        self.assertTrue(first["control"]["client"].startswith("10.0.1.2:"))
        self.assertEqual(first["control"]["server"], "203.0.113.77:21")
        self.assertRegex(first["time"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$")

    def test_lines_in_pieces_that_come_too_late(self):
        packets.write(self.harder, packets.slowed_down(packets.read(CAPTURES / "split-commands.pcap"), 1500))
        decisions = self.replay(self.harder, CLIENT)
        self.assertIn("did not come in time", decisions[0]["reason"])
        self.assertEqual(sum(decision["action"] == "rewrite" for decision in decisions), 5)
        self.expect_translated_streams(self.harder, CLIENT, decisions)
        # Nobody in the capture acknowledges what leaves late, so the gateway sends it again.
        self.expect_good_packets(self.harder, also_allowed=("repeated", "acknowledges unseen"))

    def test_same_ports_again(self):
        name = "large-segments.pcap"
        shown = dataclasses.replace(SHOWN[name], rewritten=2 * SHOWN[name].rewritten)
        for with_end in (True, False):
            with self.subTest(with_end=with_end):
                packets.write(self.harder, packets.twice(packets.read(CAPTURES / name), 100, with_end))
                self.expect_other_side(self.harder, shown)

    def test_segments_that_outgrow_the_path(self):
        self.replay(CAPTURES / "large-segments.pcap", CLIENT)
        for frame in packets.read(self.out).frames:
            self.assertLessEqual(len(frame.data), 1514)

    def test_initial_sequence_numbers(self):
        for name in ("inside-client.pcap", "inside-server.pcap", "lossy-client.pcap", "lossy-server.pcap",
                     "abort-server.pcap"):
            for initial in (2**31 - 100, 2**32 - 100, 2**32 - 1):
                with self.subTest(name, initial=initial):
                    packets.write(self.harder, packets.with_initial_numbers(packets.read(CAPTURES / name), initial))
                    self.expect_other_side(self.harder, SHOWN[name])

    def test_bytes_that_came_twice(self):
        """Where such bytes begin inside an edit, what the other end tells of them cannot be told in full here."""
        for name in ("inside-client.pcap", "inside-server.pcap"):
            for length in (4, 11, 25):
                with self.subTest(name, length=length):
                    packets.write(self.harder, packets.with_duplicate_sacks(packets.read(CAPTURES / name), length))
                    self.expect_other_side(self.harder, SHOWN[name])

    def test_link_types(self):
        name = "inside-server.pcap"
        macs = bytes(12)
        for link, link_type, header in (
                ("raw", packets.RAW, b""), ("null", packets.NULL, b"\x02\0\0\0"), ("loop", packets.LOOP, b"\0\0\0\x02"),
                ("sll", packets.LINUX_SLL, bytes(14) + b"\x08\x00"),
                ("vlan", packets.ETHERNET, macs + b"\x81\x00\x00\x05\x08\x00"),
                ("qinq", packets.ETHERNET, macs + b"\x88\xa8\x00\x05\x81\x00\x00\x07\x08\x00")):
            with self.subTest(link):
                packets.write(self.harder, packets.with_link_type(packets.read(CAPTURES / name), link_type, header))
                decisions = self.replay(self.harder, SERVER)
                self.assertEqual(sum(decision["action"] == "rewrite" for decision in decisions), SHOWN[name].rewritten)
                self.expect_good_packets(self.harder)
                for frame in packets.read(self.out).frames:
                    self.assertTrue(frame.data.startswith(header))

    def test_other_control_port(self):
        name = "inside-client.pcap"
        packets.write(self.harder, packets.with_port(packets.read(CAPTURES / name), 21, 2121))
        self.expect_other_side(self.harder, SHOWN[name], "--port", "21", "--port", "2121", port=2121)
        self.assertEqual(self.replay(self.harder, CLIENT, notes=".*none of the .* --port\n"), [])

    def test_joined_in_the_middle(self):
        for name, missed_max in (("inside-client.pcap", 2), ("inside-server.pcap", 2), ("lossy-client.pcap", 3)):
            for count in (1, 2, 4, 9, 13):
                with self.subTest(name, count=count):
                    packets.write(self.harder, packets.without_first(packets.read(CAPTURES / name), count))
                    decisions = self.replay(self.harder, SHOWN[name].nats)
                    self.assertGreaterEqual(sum(decision["action"] == "rewrite" for decision in decisions),
                                            SHOWN[name].rewritten - missed_max)
                    self.expect_good_packets(self.harder)

    def test_cut_off_by_snap_length(self):
        capture = packets.read(CAPTURES / "inside-client.pcap")
        packets.write(self.harder, packets.snapped(capture, 80))
        self.replay(self.harder, CLIENT, notes="(?s:.*tcpdump -s 0.*more packets like these\n)")
        left = packets.read(self.out)
        self.assertEqual([(len(f.data), f.wire_length, f.time) for f in left.frames if len(f.data) == 80],
                         [(80, f.wire_length, f.time) for f in capture.frames if f.wire_length >= 80])

    def test_each_decision_is_one_line_for_a_person(self):
        done = run(CAPTURES / "inside-client.pcap", "--nat", CLIENT[0])
        self.assertEqual(done.returncode, 0)
        self.assertEqual(len(done.stdout.splitlines()), 20)
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
    ReplayCase.program = os.path.abspath(sys.argv.pop(1))
    for tool in ("tshark", "editcap"):
        if not shutil.which(tool):
            sys.exit(f"replay_test.py: {tool} is missing; tests/setup installs it")
    unittest.main()
