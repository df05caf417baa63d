#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""How many instructions the engine executes on fixed captures: instructions.py FTPALG [--renew]

Fails where there are more than SLACK above what instructions.json says, so that speed cannot rot unseen. After a change
that costs more for a reason, or less: ninja && tests/bench/instructions.py build/ftpalg --renew, and commit the file.

What counts is all that happens within Engine::on_packet, in a build of type RelWithDebInfo: of the program, of libstdc++,
libc and libsodium, in Debian 12's versions. It does not depend on the machine, since
- valgrind counts instructions, and not time;
- libc has string functions for several processors: PLAIN_PROCESSOR has it take those that every one has;
- a replay's hash has a key that is always the same, and so has every table its order.
"""

import argparse
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
EXPECTED = HERE / "instructions.json"
SLACK = 0.05
# What the sessions are replayed with, and which.
CAPTURES = {"vsftpd-lftp": "dnat:203.0.113.1=10.0.2.2", "inside-client": "snat:198.51.100.1", "inside-server": "dnat:203.0.113.1=10.0.2.2",
            "inside-client-ipv6": "snat:2001:db8:1::1=fd00:1::2", "pyftpdlib-tnftp": "dnat:203.0.113.1=10.0.2.2", "split-replies": "dnat:203.0.113.1=10.0.2.2"}
# glibc.cpu.hwcaps (the tunables of glibc 2.36).
PLAIN_PROCESSOR = ("-AVX_Fast_Unaligned_Load,-AVX2,-AVX,-AVX512F,-AVX512VL,-AVX512BW,-ERMS,-FSRM,-SSSE3,-SSE4_1,-SSE4_2,"
                   "-BMI1,-BMI2,-LZCNT,-MOVBE,-RTM,-Fast_Unaligned_Copy,-Fast_Copy_Backward")
FUNCTION = "ftpalg::Engine::on_packet*"


def capture_file(name):
    [found] = (HERE.parent / "captures").glob(f"{name}.pcap*")
    return found


def instructions(program, name):
    with tempfile.NamedTemporaryFile(prefix="ftpalg-callgrind.") as output:
        done = subprocess.run(["valgrind", "--tool=callgrind", f"--callgrind-out-file={output.name}",
                               f"--toggle-collect={FUNCTION}", program, "replay", capture_file(name), "--nat", CAPTURES[name]],
                              env=os.environ | {"GLIBC_TUNABLES": f"glibc.cpu.hwcaps={PLAIN_PROCESSOR}"},
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    counted = re.search(r"Collected : (\d+)", done.stderr)
    if done.returncode != 0 or not counted:
        sys.exit(f"FAILED: the replay of {name} under valgrind exited with {done.returncode}:\n{done.stderr}")
    if int(counted[1]) == 0:
        sys.exit(f"FAILED: {FUNCTION} was not found in {program}; it needs its symbols")
    return int(counted[1])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--renew", action="store_true", help=f"writes {EXPECTED.name}")
    options = parser.parse_args()
    found = {name: instructions(options.program, name) for name in CAPTURES}
    if options.renew:
        EXPECTED.write_text(json.dumps(found, indent=1) + "\n", encoding="ascii")
    expected = json.loads(EXPECTED.read_text(encoding="ascii"))
    slower = False
    for name, count in found.items():
        change = count / expected[name] - 1
        slower = slower or change > SLACK
        print(f"{name:24} {count:10,} instructions, {100 * change:+.1f} % of {expected[name]:,}")
    if slower:
        sys.exit(f"FAILED: the engine needs over {100 * SLACK:.0f} % more instructions than it did; make it need fewer, or "
                 f"where that is right: tests/bench/instructions.py {options.program} --renew")
    if all(count < (1 - SLACK) * expected[name] for name, count in found.items()):
        print(f"It needs fewer; keep that: tests/bench/instructions.py {options.program} --renew")


if __name__ == "__main__":
    main()
