# SPDX-License-Identifier: GPL-2.0-or-later
"""The FTP clients that people use, each doing the same job in one control connection."""

import dataclasses
import os
import pathlib

from address import bracketed
from failure import Failure, expect_in, patient
from namespace import Namespace
from session import UPLOAD_BYTES, Session, converse

TIMEOUT_SECONDS = patient(10)


@dataclasses.dataclass(frozen=True)
class Job:
    """Lists the server, downloads one.bin, uploads up.bin, downloads two.bin."""
    namespace: Namespace
    server: object
    dial: str
    active: bool
    directory: pathlib.Path  # the client's own
    upload_bytes: int = UPLOAD_BYTES

    @property
    def url(self):
        return f"ftp://{bracketed(self.dial)}/"

    @property
    def login(self):
        return f"{self.server.user}:{self.server.password}"

    def run(self, *command, script=None):
        """Runs a client program in the client's directory; it must exit with 0. Returns what it printed."""
        return self.namespace.run(*command, text=script, cwd=self.directory,
                                  env={"HOME": str(self.directory), "PATH": os.environ["PATH"], "LC_ALL": "C"})


def curl(job):
    """curl, by EPRT when active and by PASV when passive."""
    direction = (["--ftp-port", "-"] if job.active else ["--disable-epsv", "--no-ftp-skip-pasv-ip"])
    common = ["--silent", "--show-error", "--verbose", "--fail", "--max-time", str(TIMEOUT_SECONDS),
              "--user", job.login, *direction]
    return job.run("curl", "--fail-early", *common, job.url,
                   "--next", *common, "--output", "one.bin", job.url + "one.bin",
                   "--next", *common, "--upload-file", "up.bin", job.url + "upload/up.bin",
                   "--next", *common, "--output", "two.bin", job.url + "two.bin")


def lftp(job):
    """lftp, by PORT when active and by PASV when passive (over IPv6 by EPRT and EPSV)."""
    user, password = job.login.split(":")
    return job.run("lftp", "-c", f"""
        set cmd:fail-exit yes
        set net:timeout {TIMEOUT_SECONDS}
        set net:max-retries 1
        set ftp:ssl-allow no
        set ftp:fix-pasv-address no
        set ftp:passive-mode {"no" if job.active else "yes"}
        open --user {user} --password {password} {job.url}
        ls
        get one.bin
        put up.bin -o upload/up.bin
        get two.bin
        """)


def tnftp(job):
    """tnftp, by EPRT when active and by EPSV when passive."""
    user, password = job.login.split(":")
    return job.run("tnftp", "-n", "-i", "-v", "-q", str(TIMEOUT_SECONDS), "-A" if job.active else "-p", script=f"""
open {job.dial}
user {user} {password}
binary
ls
get one.bin
put up.bin upload/up.bin
get two.bin
quit
""")


def ftplib(job):
    """Python's ftplib, by PORT when active and by PASV when passive (over IPv6 by EPRT and EPSV)."""
    over_ipv6 = ":" in job.dial
    mode = ("EPRT" if over_ipv6 else "PORT") if job.active else ("EPSV" if over_ipv6 else "PASV")
    with Session(job.namespace, job.server, job.dial, mode) as session:
        converse(session, upload_bytes=job.upload_bytes)


PROGRAMS = {"curl": curl, "lftp": lftp, "tnftp": tnftp}
CLIENTS = [*PROGRAMS, "ftplib"]


def do(client, job):
    """Has the client do the job, and compares every file with the server's."""
    if client == "ftplib":
        ftplib(job)
        return
    content = os.urandom(job.upload_bytes)
    (job.directory / "up.bin").write_bytes(content)
    output = PROGRAMS[client](job)
    for name, expected in job.server.files.items():
        expect_in(f"{client}'s listing", name, output)
        path = job.directory / name
        if not path.exists() or path.read_bytes() != expected:
            raise Failure(f"{client} did not download {name} as it is at the server; it said:\n{output}")
    job.server.expect_upload("up.bin", content)
