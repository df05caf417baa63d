#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""explain_test.py FTPALG [TEST...]: `ftpalg explain` as a person and a program use it."""

import json
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile
import unittest

KEYS = ["line", "from", "action", "text", "expect", "opaque", "reason"]
LOGIN = ["S: 220 ready", "C: USER a", "S: 331 who?", "C: PASS b", "S: 230 in"]
TIMEOUT_SECONDS = 30

HERE = pathlib.Path(__file__).resolve().parent

program = None


def run(conversation, *options):
    """`conversation`: lines, or the very bytes."""
    if not isinstance(conversation, bytes):
        conversation = "".join(line + "\n" for line in conversation).encode()
    return subprocess.run([program, "explain", *options], input=conversation, capture_output=True,
                          timeout=TIMEOUT_SECONDS, check=False)


def explain(conversation, *options):
    """The JSON objects."""
    done = run(conversation, "--json", *options)
    assert done.returncode == 0 and not done.stderr, done.stderr
    objects = [json.loads(line) for line in done.stdout.decode("ascii").splitlines()]
    for item in objects:
        assert list(item) == KEYS, item
        assert item["action"] in ("forward", "rewrite", "refuse"), item
        assert item["from"] in ("client", "server"), item
        assert item["reason"], item
    return objects


class Dialog:
    """A dialog as README.md says how it is written."""

    def __init__(self, place, config, block):
        self.place, self.config = place, config
        command = shlex.split(block[0])
        assert command[:3] == ["$", "ftpalg", "explain"], f"{place}: {block[0]}"
        self.options = command[3:]
        self.lines, self.outcomes = [], []
        for line in block[1:]:
            if line == "(login)":
                for said in LOGIN:
                    self.add(said)
            elif line.startswith("   "):
                key, _, value = line.strip(" ").partition(":")
                self.outcomes[-1][key] = value.strip(" ")
            else:
                self.add(line)

    def add(self, said):
        self.lines.append(said)
        self.outcomes.append({})

    def variants(self):
        """The options, and once for each when several kinds of NAT are named."""
        if "--nat" not in self.options:
            return [self.options]
        at = self.options.index("--nat") + 1
        return [[*self.options[:at], nat, *self.options[at + 1:]] for nat in self.options[at].split(",")]

    def expected(self):
        """What explain must say of each line."""
        unread = None
        for number, (said, outcome) in enumerate(zip(self.lines, self.outcomes), 1):
            action, reason = next(((key, value) for key, value in outcome.items()
                                   if key in ("forward", "rewrite", "refuse")), ("forward", unread or "nothing to do"))
            if "opaque" in outcome:
                unread = reason
            yield {"line": number, "from": {"C": "client", "S": "server"}[said[0]], "action": action,
                   "text": outcome.get("leaves"), "expect": outcome.get("expect"), "opaque": unread is not None,
                   "reason": reason}


def dialogs():
    for path in sorted(HERE.glob("*.md")):
        if path.name == "README.md":
            continue
        title, config, block = "", "", None
        for line in path.read_text(encoding="utf-8").splitlines():
            if block is not None and line != "```":
                block.append(line)
            elif block is not None:
                if block[0] == "toml":
                    config = "\n".join(block[1:])
                else:
                    yield Dialog(f"{path.name}: {title}", config, block[1:])
                block = None
            elif line.startswith("```"):
                block = [line[3:]]
            elif line.startswith("## "):
                title, config = line[3:], ""


def text_of(expectation):
    if expectation is None:
        return None
    destination, port = expectation["destination"], expectation["port"]
    endpoint = f"[{destination}]:{port}" if ":" in destination else f"{destination}:{port}"
    return f"{expectation['source']} -> {endpoint}, mapped to {expectation['maps_to']}"


class DialogTest(unittest.TestCase):
    def test_every_dialog(self):
        count = 0
        for dialog in dialogs():
            with tempfile.NamedTemporaryFile("w", suffix=".toml") as config:
                config.write(dialog.config)
                config.flush()
                for options in dialog.variants():
                    with self.subTest(dialog.place, options=" ".join(options)):
                        self.expect_dialog(dialog, "--config", config.name, *options)
                        count += 1
        self.assertGreater(count, 100)

    def expect_dialog(self, dialog, *options):
        objects = explain(dialog.lines, *options)
        self.assertEqual(len(objects), len(dialog.lines))
        for said, found, expected in zip(dialog.lines, objects, dialog.expected()):
            found["expect"] = text_of(found["expect"])
            if expected["text"] is None:  # it leaves as it was said
                expected["text"] = normal(said[2:].removeprefix(" "))
            self.assertEqual(found, expected, said)


def normal(text):
    """Escapes as explain prints them."""
    named = {"r": 13, "n": 10, "t": 9, "\\": 92}

    def printed(match):
        escape = match[1]
        byte = int(escape[1:], 16) if escape[0] == "x" else named[escape]
        return "\\\\" if byte == 92 else chr(byte) if 32 <= byte < 127 else f"\\x{byte:02x}"

    return re.sub(r"\\(x[0-9a-f]{2}|[rnt\\])", printed, text).removesuffix("\\" if text.endswith("\\") else "")


class ExplainTest(unittest.TestCase):
    def expectation(self, source, destination, port, maps_to):
        return {"source": source, "destination": destination, "port": port, "maps_to": maps_to}

    def expect_failure(self, done, *parts):
        self.assertNotEqual(done.returncode, 0)
        for part in parts:
            self.assertIn(part, done.stderr.decode())

    # What comes out.

    def test_a_client_behind_the_gateway(self):
        port = explain([*LOGIN, "C: PORT 10,0,0,9,195,80"], "--client", "10.0.0.9", "--server", "192.0.2.7",
                       "--public", "192.0.2.1", "--nat", "snat")[-1]
        self.assertEqual(port, {
            "line": 6, "from": "client", "action": "rewrite", "text": "PORT 192,0,2,1,195,80",
            "expect": self.expectation("192.0.2.7", "192.0.2.1", 50000, "10.0.0.9:50000"), "opaque": False,
            "reason": "rewritten, and the data connection is expected"})

    def test_a_server_behind_the_gateway(self):
        reply = explain([*LOGIN, "C: PASV", "S: 227 Entering Passive Mode (192,168,7,2,195,80)."],
                        "--client", "198.51.100.9", "--server", "192.168.7.2", "--public", "203.0.113.21",
                        "--nat", "dnat")[-1]
        self.assertEqual((reply["from"], reply["action"], reply["text"]),
                         ("server", "rewrite", "227 Entering Passive Mode (203,0,113,21,195,80)."))
        self.assertEqual(reply["expect"],
                         self.expectation("198.51.100.9", "203.0.113.21", 50000, "192.168.7.2:50000"))

    def test_without_nat_nothing_is_rewritten(self):
        port = explain([*LOGIN, "C: PORT 192,168,1,2,195,80"], "--nat", "none", "--client", "192.168.1.2",
                       "--server", "192.168.2.2")[-1]
        self.assertEqual((port["action"], port["text"]), ("forward", "PORT 192,168,1,2,195,80"))
        self.assertEqual(port["expect"], self.expectation("192.168.2.2", "192.168.1.2", 50000, "192.168.1.2:50000"))

    def test_ipv6_by_the_address_of_one_end(self):
        port = explain([*LOGIN, "C: EPRT |2|fd00:1::9|50000|"], "--client", "fd00:1::9")[-1]
        self.assertEqual((port["action"], port["text"]), ("rewrite", "EPRT |2|2001:db8:1::1|50000|"))
        self.assertEqual(port["expect"]["maps_to"], "[fd00:1::9]:50000")

    def test_every_option_has_a_default(self):
        self.assertEqual(explain([*LOGIN, "C: PORT 10,0,0,2,195,80"])[-1]["text"], "PORT 203,0,113,1,195,80")
        reply = explain([*LOGIN, "C: PASV", "S: 227 (10,0,0,2,195,80)"], "--nat", "dnat")[-1]
        self.assertEqual(reply["text"], "227 (203,0,113,1,195,80)")

    def test_each_line_has_an_object(self):
        objects = explain([*LOGIN, "C: NOOP", "S: 200 ok"])
        self.assertEqual([item["line"] for item in objects], [1, 2, 3, 4, 5, 6, 7])
        self.assertEqual([item["text"] for item in objects][-2:], ["NOOP", "200 ok"])
        self.assertEqual({(item["action"], item["reason"]) for item in objects}, {("forward", "nothing to do")})

    def test_text_for_people(self):
        done = run([*LOGIN, "C: PORT 10,0,0,2,195,80", "S: 550 caf\u00e9"])
        self.assertEqual(done.returncode, 0)
        self.assertEqual(done.stdout.decode("ascii").splitlines()[-6:], [
            "C: PORT 10,0,0,2,195,80",
            "   rewrite: rewritten, and the data connection is expected",
            "   leaves: PORT 203,0,113,1,195,80",
            "   expect: 198.51.100.7 -> 203.0.113.1:50000, mapped to 10.0.0.2:50000",
            r"S: 550 caf\xc3\xa9",
            "   forward: the transfer is off, and its data connection is expected no more"])

    def test_people_are_told_what_is_wrong_with_a_host_port(self):
        lines = run([*LOGIN, "C: PORT 10,0,0,2,195,256"]).stdout.decode().splitlines()
        self.assertEqual(lines[-1], "   namely: a number of the host-port is above 255")

    def test_a_connection_that_is_not_read_stays_so(self):
        objects = explain([*LOGIN, "C: AUTH TLS", "S: 234 go", "C: PORT 10,0,0,2,195,80"])
        self.assertEqual([item["opaque"] for item in objects], [False] * 6 + [True] * 2)
        self.assertIn("encrypted", objects[-1]["reason"])
        self.assertIsNone(objects[-1]["expect"])

    # What goes in.

    def test_comments_and_empty_lines_are_skipped_and_counted(self):
        objects = explain(["# a session", "", "S: 220 ready", "   ", "  # more", "  C: USER a"])
        self.assertEqual([(item["line"], item["text"]) for item in objects], [(3, "220 ready"), (6, "USER a")])

    def test_line_ends_of_any_system(self):
        expected = explain([*LOGIN, "C: PORT 10,0,0,2,195,80"])
        for end in (b"\r\n", b"\r\r\n"):
            conversation = b"".join(line.encode() + end for line in [*LOGIN, "C: PORT 10,0,0,2,195,80"])
            self.assertEqual(explain(conversation), expected)
        self.assertEqual(explain("\n".join([*LOGIN, "C: PORT 10,0,0,2,195,80"]).encode()), expected)

    def test_escapes(self):
        objects = explain([r"S: 220 \x41\102\t\\x", r"C: \xff\364ABOR", r"S: 550 \x00\"\''"])
        self.assertEqual([item["text"] for item in objects],
                         [r"220 AB\x09\\x", r"\xff\xf4ABOR", r"550 \x00" + "\"''"])
        self.assertEqual(explain([r"S: 227 \x00801"])[0]["text"], r"227 \x00801")

    def test_raw_bytes_pass(self):
        conversation = b"S: 220 \xe4\xff\nC: USER \x00\x7f\n"
        self.assertEqual([item["text"] for item in explain(conversation)], [r"220 \xe4\xff", r"USER \x00\x7f"])

    def test_a_line_in_pieces(self):
        start, middle, end = explain([*LOGIN, "C: PORT 10,\\", "C: 0,0,2\\", "C: ,195,80"])[-3:]
        self.assertEqual([start["text"], middle["text"], end["text"]], ["", "", "PORT 203,0,113,1,195,80"])
        self.assertIn("held", start["reason"])
        self.assertEqual(end["action"], "rewrite")
        self.assertIsNone(middle["expect"])
        # What cannot become an announcement is not held.
        self.assertEqual([item["text"] for item in explain(["S: 220 rea\\", "S: dy"])], ["220 rea", "dy"])

    def test_pieces_of_one_side_around_a_line_of_the_other(self):
        objects = explain([*LOGIN, "C: PASV", "S: 227 (10,0,\\", "C: NOOP", "S: 0,2,195,80)"], "--nat", "dnat")
        self.assertEqual([item["text"] for item in objects[-3:]], ["", "NOOP", "227 (203,0,113,1,195,80)"])

    def test_several_lines_in_one_segment(self):
        last = explain([*LOGIN, "C: PASV", r"S: 227-one\r\n227 (10,0,0,2,195,80)"], "--nat", "dnat")[-1]
        self.assertEqual(last["text"], r"227-one\x0d\x0a227 (203,0,113,1,195,80)")
        self.assertEqual(last["action"], "rewrite")

    def test_a_bare_line_feed(self):
        last = explain([*LOGIN, "C: PASV", r"S: 227 (10,0,0,2,195,80)\n" + "\\"], "--nat", "dnat")[-1]
        self.assertEqual(last["text"], r"227 (203,0,113,1,195,80)\x0a")

    def test_an_empty_line_on_the_wire(self):
        self.assertEqual([item["text"] for item in explain(["S: 220 ready", "C:", "C: "])][1:], ["", ""])

    def test_lines_of_any_length(self):
        for length in (500, 1400, 3000, 100000):
            text = "SITE " + "x" * length
            objects = explain([*LOGIN, "C: " + text, "S: 200 ok", "C: PORT 10,0,0,2,195,80"])
            self.assertEqual(objects[-3]["text"], text)
            self.assertEqual(objects[-1]["action"], "rewrite")

    def test_a_segment_that_outgrows_the_path(self):
        rest = "SITE " + "y" * 1371
        last = explain([*LOGIN, r"C: PORT 10,0,0,2,195,80\r\n" + rest])[-1]
        self.assertEqual(last["text"], r"PORT 203,0,113,1,195,80\x0d\x0a" + rest)

    def test_nothing_said_is_no_error(self):
        self.assertEqual(explain(b""), [])

    # Errors name the thing, the cause and the mend.

    def test_an_unknown_prefix(self):
        done = run(["S: 220 ready", "", "> USER a"], "--json")
        self.expect_failure(done, "line 3", "'> USER a'", "'C: '", "'S: '")
        self.assertEqual(len(done.stdout.splitlines()), 1)

    def test_an_unknown_escape(self):
        for text, named in ((r"C: \q", r"'\\q'"), (r"C: CWD C:\data", r"'\\d'"), (r"C: \xgg", r"'\\x"), (r"C: \777", r"'\\777'")):
            with self.subTest(text):
                self.expect_failure(run(["# first", text]), "line 2", r"\\ for a backslash")

    def test_wrong_addresses(self):
        self.expect_failure(run([], "--client", "10.0.0.256"), "--client '10.0.0.256'", "such as 10.0.0.2")
        self.expect_failure(run([], "--server", "ftp.example.org"), "--server 'ftp.example.org'")
        self.expect_failure(run([], "--public", "203.0.113.1:21"), "--public '203.0.113.1:21'")
        self.expect_failure(run([], "--client", "fe80::1%eth0"), "zone")
        self.expect_failure(run([], "--client", "10.0.0.2", "--server", "2001:db8::1"), "--client 10.0.0.2", "one family")

    def test_a_wrong_configuration_file(self):
        with tempfile.NamedTemporaryFile("w", suffix=".toml") as config:
            config.write("[control]\nlogin = 1\n")
            config.flush()
            self.expect_failure(run([], "--config", config.name), f"{config.name}:2:", "login_required")
        self.expect_failure(run([], "--config", "/nonexistent.toml"), "/nonexistent.toml")

    def test_wrong_nat(self):
        self.expect_failure(run([], "--nat", "masquerade"), "--nat", "snat")


if __name__ == "__main__":
    program = sys.argv.pop(1)
    unittest.main()
