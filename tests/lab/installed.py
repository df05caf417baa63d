# SPDX-License-Identifier: GPL-2.0-or-later
r"""From `apt-get install` to `apt-get purge`, on a machine that is thrown away (tests/lab/package.py): installed.py PACKAGE DEBIAN

    client ----------------- [ this machine ] ----------------- server
    10.0.0.2         10.0.0.1             203.0.113.1     203.0.113.9
                       source client -> 203.0.113.1

DEBIAN: where the files are that the machine began with.
"""

import ctypes
import ftplib
import io
import os
import pathlib
import re
import signal
import stat
import subprocess
import sys
import time

from failure import Failure, expect_equal, expect_in, wait_until
from thread_tracer import ThreadTracer

SERVER = "203.0.113.9"
FILE_BYTES = 300_000
EXPOSURE_MAX = 2.0
CLONE_NEWNET = 0x40000000
CONFIG = pathlib.Path("/etc/ftpalg/ftpalg.toml")
TRANSFERS = pathlib.Path("/var/log/ftpalg/transfers.log")
# What changes by itself, or by dpkg, apt and systemd whatever is installed.
NOT_COMPARED = re.compile(r"/(tmp|var/(log/(apt|journal)|cache|tmp|lib/(dpkg|apt|systemd))|run/(systemd|log|lock|netns|mount))(/|$)"
                          r"|/var/log/(dpkg\.log|alternatives\.log|[bw]tmp|lastlog)$|/run/(utmp|xtables\.lock)$")
# What differs from the Debian that the machine began with.
CHANGES = "/changes/upper"

# README's, with the addresses here.
FIREWALL = """#!/usr/sbin/nft -f
flush ruleset
table ip firewall {
  chain forward {
    type filter hook forward priority filter; policy drop;
    ct state established,related accept
    ct state new tcp dport 21 accept
  }
  chain postrouting {
    type nat hook postrouting priority srcnat;
    ip saddr 10.0.0.0/24 oifname "to_server" masquerade
  }
}
"""


def run(*command, may_fail=False):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
                          env=os.environ | {"DEBIAN_FRONTEND": "noninteractive", "SYSTEMD_COLORS": "0", "PAGER": "cat"})
    if done.returncode != 0 and not may_fail:
        raise Failure(f"{' '.join(map(str, command))} ended with {done.returncode} and said:\n{done.stdout}{done.stderr}")
    return done.stdout


def property_of(name):
    return run("systemctl", "show", "--value", "--property", name, "ftpalg").strip()


def say(text):
    print(f"{time.monotonic():5.0f} s  {text}", flush=True)


def main(package, debian):
    make_network()
    before = snapshot(debian)

    say("install")
    run("apt-get", "install", "-y", "--no-install-recommends", package)
    expect_equal("whether it is enabled after installation", "disabled",
                 run("systemctl", "is-enabled", "ftpalg", may_fail=True).strip())
    expect_equal("whether it runs after installation", "inactive", property_of("ActiveState"))
    rules_before = rules()
    CONFIG.write_text(CONFIG.read_text(encoding="utf-8").replace('#log = "off"', f'log = "{TRANSFERS}"'), encoding="utf-8")

    say("enable")
    run("systemctl", "enable", "--now", "ftpalg")
    expect_equal("whether it runs", "active", property_of("ActiveState"))
    expect_in("what systemctl status says", "serves queue", property_of("StatusText"))
    expect_equal("whether the rules are in place", True, rules_are_in_place())
    client = Client()
    client.transfer_each_way()

    say("see it")
    status = run("ftpalg", "status")
    expect_in("what ftpalg status says of the rules", "in place", status)
    expect_in("what ftpalg sessions says", "10.0.0.2", run("ftpalg", "sessions"))
    wait_until(lambda: TRANSFERS.read_text(encoding="utf-8").count("result=done") == 2, "both transfers are logged")
    bytes_at_least = [int(number) for number in re.findall(r"ip_bytes=(\d+)", TRANSFERS.read_text(encoding="utf-8"))]
    expect_equal("whether conntrack has counted their bytes", True, len(bytes_at_least) == 2 and min(bytes_at_least) > FILE_BYTES)

    say("exposure")
    exposure = re.search(r"Overall exposure level for ftpalg\.service: (\S+)",
                         run("systemd-analyze", "security", "--no-pager", "ftpalg"))
    say(f"it is {exposure[1]}")
    if float(exposure[1]) > EXPOSURE_MAX:
        raise Failure(f"systemd-analyze security: {exposure[1]} is more than {EXPOSURE_MAX}")

    say("reload")
    process = property_of("MainPID")
    usual = CONFIG.read_text(encoding="utf-8")
    CONFIG.write_text(usual.replace("#ports = [21]", "ports = [21, 2121]"), encoding="utf-8")
    run("systemctl", "reload", "ftpalg")
    wait_until(lambda: "2121" in rules() and rules_are_in_place(), "the rules follow the configuration")
    client.transfer_each_way()
    CONFIG.write_text("[control]\nport = 21\n", encoding="utf-8")
    if subprocess.run(("systemctl", "reload", "ftpalg"), check=False, stderr=subprocess.DEVNULL).returncode == 0:
        raise Failure("systemctl reload is content with a configuration that is wrong")
    expect_equal("whether it runs after a reload that failed", "active", property_of("ActiveState"))
    expect_in("what the journal says of it", "control.port", run("journalctl", "--unit", "ftpalg", "--output", "cat"))
    CONFIG.write_text(usual, encoding="utf-8")
    run("systemctl", "reload", "ftpalg")
    wait_until(lambda: "2121" not in rules() and rules_are_in_place(), "the rules follow the configuration back")
    expect_equal("the process after all reloads", process, property_of("MainPID"))

    say("the firewall is loaded anew")
    for verb in "reload", "restart":
        run("systemctl", verb, "nftables")
        wait_until(rules_are_in_place, f"the rules are in place again after {verb}")
        client.transfer_each_way()

    say("restart")
    run("systemctl", "restart", "ftpalg")
    expect_other_process(process)
    client.transfer_each_way()

    say("kill -9")
    process = property_of("MainPID")
    os.kill(int(process), signal.SIGKILL)
    expect_other_process(process)
    client.transfer_each_way()

    say("watchdog")
    drop_in = pathlib.Path("/run/systemd/system/ftpalg.service.d/watchdog.conf")
    drop_in.parent.mkdir(parents=True)
    drop_in.write_text("[Service]\nWatchdogSec=10s\n", encoding="utf-8")
    run("systemctl", "daemon-reload")
    run("systemctl", "restart", "ftpalg")
    process = property_of("MainPID")
    worker = next(int(task.name) for task in pathlib.Path(f"/proc/{process}/task").iterdir()
                  if re.fullmatch(r"ftpalg-\d+\n", (task / "comm").read_text(encoding="utf-8")))
    tracer = ThreadTracer()
    tracer.stop(worker)
    wait_until(tracer.has_seen_end, "the service is ended")
    expect_other_process(process)
    expect_in("what is in the journal", "stands still", run("journalctl", "--unit", "ftpalg", "--output", "cat"))
    client.transfer_each_way()
    drop_in.unlink()
    drop_in.parent.rmdir()
    run("systemctl", "daemon-reload")

    say("install again")
    process = property_of("MainPID")
    run("apt-get", "install", "-y", "--no-install-recommends", "--reinstall", package)
    expect_other_process(process)
    client.transfer_each_way()

    say("stop")
    run("systemctl", "stop", "ftpalg")
    wait_until(lambda: rules() == rules_before, "no rule is left after the end")
    run("systemctl", "start", "ftpalg")
    client.transfer_each_way()

    say("purge")
    run("apt-get", "purge", "-y", "ftpalg")
    client.close()
    wait_until(lambda: rules() == rules_before, "no rule is left after the purge")
    run("systemctl", "daemon-reload")
    run("systemctl", "reset-failed")
    expect_same(before, snapshot(debian))

    refused = run("journalctl", "--grep", r"type=1326|SECCOMP.*ftpalg", "--output", "cat", may_fail=True)
    expect_equal("system calls that were refused", "", refused.replace("-- No entries --", "").strip())
    say("all is as it was")


def make_network():
    for name, here, address, there, router in (("client", "to_client", "10.0.0.1/24", "10.0.0.2/24", "10.0.0.1"),
                                               ("server", "to_server", "203.0.113.1/24", f"{SERVER}/24", None)):
        run("ip", "netns", "add", name)
        run("ip", "link", "add", here, "type", "veth", "peer", "name", "eth", "netns", name)
        run("ip", "address", "add", address, "dev", here)
        run("ip", "link", "set", here, "up")
        run("ip", "-n", name, "address", "add", there, "dev", "eth")
        run("ip", "-n", name, "link", "set", "eth", "up")
        run("ip", "-n", name, "link", "set", "lo", "up")
        if router:
            run("ip", "-n", name, "route", "add", "default", "via", router)
    pathlib.Path("/proc/sys/net/ipv4/ip_forward").write_text("1", encoding="ascii")
    pathlib.Path("/etc/nftables.conf").write_text(FIREWALL, encoding="utf-8")
    run("systemctl", "start", "nftables")
    directory = pathlib.Path("/tmp/files")
    directory.mkdir()
    (directory / "file").write_bytes(bytes(FILE_BYTES))
    # Ends with the machine.
    subprocess.Popen(("ip", "netns", "exec", "server", "/usr/bin/python3", "-B", "-m", "pyftpdlib", "-i", SERVER, "-p", "21",
                      "-d", directory), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_until(lambda: SERVER in run("ip", "netns", "exec", "server", "ss", "-Hltn", "sport", "=", "21"), "the server listens")


class Client:
    """One session, through everything that happens to the gateway."""

    def __init__(self):
        # A thread is in a network namespace of its own, so this one has the client's, and sockets stay where they were made.
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._home = os.open("/proc/self/ns/net", os.O_RDONLY)
        self._there = os.open("/run/netns/client", os.O_RDONLY)
        self._ftp = self._in_namespace(lambda: ftplib.FTP(SERVER, "anonymous", timeout=60))

    def transfer_each_way(self):
        for passive in (True, False):
            self._ftp.set_pasv(passive)
            # Whoever wants IPv4 gets PORT and PASV.
            received = io.BytesIO()
            self._in_namespace(lambda: self._ftp.retrbinary("RETR file", received.write))
            expect_equal(f"bytes of the file, {'passive' if passive else 'active'}", FILE_BYTES, len(received.getvalue()))

    def close(self):
        self._ftp.close()

    def _in_namespace(self, act):
        self._enter(self._there)
        try:
            return act()
        except (OSError, EOFError, ftplib.Error) as error:
            raise Failure(f"the transfer failed: {error!r}; the journal says:\n"
                          + run("journalctl", "--unit", "ftpalg*", "--output", "cat", "--lines", "30")) from error
        finally:
            self._enter(self._home)

    def _enter(self, namespace):
        if self._libc.setns(namespace, CLONE_NEWNET) != 0:
            raise Failure(f"setns: {os.strerror(ctypes.get_errno())}")


def expect_other_process(process):
    """The service has come back by itself, as another process."""
    wait_until(lambda: property_of("ActiveState") == "active" and property_of("MainPID") not in (process, "0"),
               f"the service runs again and process {process} no more")


def rules():
    return run("nft", "--stateless", "list", "ruleset") + run("iptables-legacy-save") + run("ip6tables-legacy-save")


def rules_are_in_place():
    return "nothing is in their way" in run("ftpalg", "rules", "verify", may_fail=True)


def snapshot(debian):
    """What there is on this machine that a package could leave: a line by its name."""
    there = {"rules": rules(), "users": run("getent", "passwd") + run("getent", "group"),
             "units": run("systemctl", "list-units", "--all", "--no-legend", "ftpalg*"),
             "processes": "\n".join(sorted(set(run("ps", "-eo", "comm=").split()) & {"ftpalg", "ftpalg-keeper", "ftpalg-web"})),
             "sockets": "\n".join(line.split()[-1] for line in
                                  pathlib.Path("/proc/net/unix").read_text(encoding="utf-8").splitlines() if "ftpalg" in line)}
    for root in CHANGES, "/run":
        for top, directories, files in os.walk(root):
            for path in (os.path.join(top, name) for name in directories + files):
                status = os.lstat(path)
                path = path.removeprefix(CHANGES)
                size = "" if stat.S_ISDIR(status.st_mode) else status.st_size
                # A directory into which something was put, and taken out again, counts as changed, but is as it was.
                if size != "" or not os.path.isdir(f"{debian}{path}"):
                    there[path] = f"{status.st_mode:o} {status.st_uid}:{status.st_gid} {size}"
    return {path: what for path, what in there.items() if not NOT_COMPARED.match(path)}


def expect_same(before, after):
    differences = [f"{name}: {before.get(name, 'was not there')!r} became {after.get(name, 'gone')!r}"
                   for name in sorted(before.keys() | after.keys()) if before.get(name) != after.get(name)]
    if differences:
        raise Failure("the package leaves behind:\n" + "\n".join(differences))


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except Failure as failure:
        print(run("systemctl", "status", "--no-pager", "ftpalg", "ftpalg-rules", may_fail=True))
        print(run("journalctl", "--boot", "--no-pager", "--lines", "30", "--output", "short-monotonic", may_fail=True))
        sys.exit(f"FAILED: {failure}")
