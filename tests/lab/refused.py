# SPDX-License-Identifier: GPL-2.0-or-later
r"""Commands that servers do not get to see, with real servers and clients: refused.py CASE [SERVER]

        client -----------------+
           client    client_router  [ router ] ----------------- server
        other_client -----------+            server_router       server
             other_client_router
                      destination public_server:21 -> server
                           source client -> public_client

Each server answers by itself, and as it answers to any word that it does not know.
"""

import contextlib
import ftplib
import ipaddress
import sys

import gateway
import runner
from address import in_network, plans
from clients import Job
from failure import Failure, expect_equal, expect_in, patient
from lab import Lab
from servers import PASSIVE_PORTS, SERVERS, VsftpdTls
from session import Session
from topology import add_other_client, add_route, both

UNKNOWN = "500"
# Commands of the client's and what the server answers; MKD and RMD stand for XMKD and XRMD too.
READ_ONLY = ["STOR", "STOU", "APPE", "DELE", "MKD", "RMD", "RNFR", "RNTO", "SITE"]
REFUSED = ["STOR upload/up.bin", "stou", "Appe upload/up.bin", "DELE one.bin", "dele upload/own.bin", "MKD upload/made",
           "XMKD upload/made", "RMD upload", "XRMD upload", "RNFR one.bin", "RNTO other.bin", "SITE CHMOD 777 one.bin",
           "STOR"]
CURL = ["curl", "--silent", "--show-error", "--verbose", "--insecure", "--fail-early"]
TIMEOUT_SECONDS = patient(10)
CURL_CANNOT_CONNECT = (7, 8, 28)
CURL_HAS_NO_TLS = 64


def commands(server_name):
    """Of one network's clients: the server answers that it does not know them; everything else works in the session, in
    each direction, and others are not refused anything."""
    for family in ("ipv4", "ipv6"):
        plan = plans(family)[0]
        with Lab() as lab:
            scene = both(lab, plan)
            other = _routed_other_client(lab, scene)
            server = SERVERS[server_name](lab, scene.server, plan.server)
            router = _start(lab, scene, f"""
[[refused_commands]]
clients = ["{_network(plan.client)}"]
commands = {READ_ONLY}
""")
            active, passive = ("PORT", "PASV") if family == "ipv4" else ("EPRT", "EPSV")
            for mode in (active, passive):
                with Session(other, server, scene.dial, mode) as session:
                    session.upload(f"own.{mode}")
                with Session(scene.client, server, scene.dial, mode) as session:
                    session.list()
                    for command in REFUSED:
                        session.expect_reply(command, UNKNOWN)
                    session.download("one.bin")
                    _expect_no_upload(session, server, mode)
                    session.download("two.bin")
                    session.expect_reply("PWD", "257")
                    session.noop()
                    session.quit()
                with Session(other, server, scene.dial, mode) as session:
                    session.upload(f"again.{mode}")
                    session.quit()
            expect_in("the log", "line 'DELE one.bin' becomes 'XXXX one.bin': this client may not use the command",
                      router.process.log())
            router.wait_for_no_expectation()
            router.stop()


def _expect_no_upload(session, server, mode):
    try:
        session.upload("up.bin")
    except Failure as failure:
        expect_in(f"how an upload fails by {mode}", f"error_perm: {UNKNOWN}", str(failure))
    else:
        raise Failure("a client that may not upload has uploaded")
    if (server.directory / "upload" / "up.bin").exists():
        raise Failure("an upload that was refused has left a file")


def tls_required():
    """Nobody logs in before AUTH; clients that encrypt transfer, where the router lets their data connections through."""
    for family in ("ipv4", "ipv6"):
        with Lab() as lab:
            scene, server, router, job = _tls_scene(lab, family, '[control]\ntls = "require"\n')
            with _connected(scene) as ftp:
                _expect_unknown(ftp, f"USER {server.user}", "user x", "USER")
                # The session is as any other that has not logged in, and may still do as it must.
                expect_equal("reply to PASV", "530", _reply(ftp, "PASV")[:3])
                expect_equal("reply to AUTH TLS", "234", _reply(ftp, "AUTH TLS")[:3])
            _open_data_ports(scene)
            for client in (_curl, _lftp):
                client(job, encrypt="always")
            expect_in("the log", "TLS is required, so nobody may log in before AUTH", router.process.log())
            router.wait_for_no_expectation()
            router.stop()


def tls_refused():
    """The server does not know AUTH. A client that falls back works, and one that does not goes away."""
    for family in ("ipv4", "ipv6"):
        with Lab() as lab:
            scene, server, router, job = _tls_scene(lab, family, '[control]\ntls = "clear-only"\n')
            expect_in("the warning", "unencrypted", router.process.log())
            with _connected(scene) as ftp:
                _expect_unknown(ftp, "AUTH TLS", "auth SSL", "AUTH TLS-C", "AUTH")
                ftp.login(server.user, server.password)
            for client in (_curl, _lftp):
                client(job, encrypt="if possible")
            refused = job.namespace.try_run(*CURL, "--ssl-reqd", "--max-time", str(TIMEOUT_SECONDS),
                                           "--user", job.login, job.url)
            expect_equal("exit status of a curl that insists on TLS", CURL_HAS_NO_TLS, refused.returncode)
            expect_in("the log", "TLS is refused, so the server is given a word it does not know", router.process.log())
            router.wait_for_no_expectation()
            router.stop()


def tls_allowed():
    """What is encrypted cannot be read: data connections need ports that the router opens by itself, and work then."""
    for family in ("ipv4", "ipv6"):
        with Lab() as lab:
            scene, _server, router, job = _tls_scene(lab, family, "")
            closed = job.namespace.try_run(*CURL, "--ssl-reqd", "--connect-timeout", str(patient(1)),
                                           "--max-time", str(TIMEOUT_SECONDS), "--user", job.login,
                                           "--output", "/dev/null", job.url + "one.bin")
            if closed.returncode not in CURL_CANNOT_CONNECT:
                raise Failure(f"a data connection that nobody opened a port for was to fail, and curl said:\n{closed.stderr}")
            expect_equal("expectations for an encrypted session", [], router.expectations())
            _open_data_ports(scene)
            for client in (_curl, _lftp):
                client(job, encrypt="always")
            # And what is plain goes on to be served.
            with Session(scene.client, job.server, scene.dial, "EPSV") as session:
                session.download("one.bin")
                session.quit()
            expect_in("the log", "the connection is encrypted from here on", router.process.log())
            router.stop()


def _start(lab, scene, content):
    config = lab.directory / "ftpalg.toml"
    config.write_text(content)
    [router] = gateway.start_all(lab, scene, "--config", config)
    return router


def _routed_other_client(lab, scene):
    other = add_other_client(lab, scene)
    add_route(other, scene.dial, scene.plan.other_client_router)
    add_route(scene.server, scene.plan.other_client, scene.plan.server_router)
    return other


def _network(address):
    return str(ipaddress.ip_interface(in_network(address)).network)


def _tls_scene(lab, family, content):
    plan = plans(family)[0]
    scene = both(lab, plan)
    server = VsftpdTls(lab, scene.server, plan.server)
    directory = lab.directory / "client"
    directory.mkdir()
    return scene, server, _start(lab, scene, content), Job(scene.client, server, scene.dial, False, directory)


def _open_data_ports(scene):
    """What a router without a gateway does for passive FTP."""
    [router] = scene.routers
    first, last = PASSIVE_PORTS
    family = {"ipv4": "ip", "ipv6": "ip6"}[scene.plan.family]
    router.nft(f"""
        add rule inet firewall forward tcp dport {first}-{last} accept
        add rule inet firewall prerouting {family} daddr {scene.plan.public_server} tcp dport {first}-{last} dnat {family} to {scene.plan.server}
        """)


def _connected(scene):
    ftp = ftplib.FTP(timeout=TIMEOUT_SECONDS)
    with scene.client.entered():
        ftp.connect(scene.dial, 21)
    ftp.sendcmd("FEAT")
    return contextlib.closing(ftp)


def _expect_unknown(ftp, *commands):
    """The server answers to each as to any word that it does not know."""
    unknown = _reply(ftp, "XYZZY")
    expect_equal("the beginning of a refusal for good", "5", unknown[:1])
    for command in commands:
        expect_equal(f"reply to {command}", unknown, _reply(ftp, command))


def _reply(ftp, command):
    try:
        return ftp.sendcmd(command)
    except ftplib.error_perm as refusal:
        return str(refusal)


# TLS 1.2: with 1.3 a client that has uploaded and closes may reset the connection, because it has not read the server's
# session tickets, and vsftpd takes the upload for failed: the gateway has long let go of the connection then.
def _curl(job, encrypt):
    how = {"always": ["--ssl-reqd"], "if possible": ["--ssl"]}[encrypt]
    common = ["--silent", "--show-error", "--verbose", "--insecure", "--tls-max", "1.2", "--max-time", str(TIMEOUT_SECONDS),
              "--user", job.login, *how]
    said = job.namespace.try_run("curl", "--fail-early", *common, "--output", "one.bin", job.url + "one.bin",
                                 "--next", *common, "--upload-file", "one.bin", job.url + "upload/curl.bin",
                                 cwd=job.directory)
    _expect_transferred(job, "curl", said, encrypt, "SSL connection using" in said.stderr)


def _lftp(job, encrypt):
    user, password = job.login.split(":")
    said = job.namespace.try_run("lftp", "-c", f"""
        debug 5
        set cmd:fail-exit yes
        set net:timeout {TIMEOUT_SECONDS}
        set net:max-retries 1
        set ftp:ssl-allow yes
        set ftp:ssl-force {"yes" if encrypt == "always" else "no"}
        set ssl:verify-certificate no
        set ssl:priority NORMAL:-VERS-TLS1.3
        set ftp:prefer-epsv yes
        open --user {user} --password {password} {job.url}
        ls
        get one.bin
        put one.bin -o upload/lftp.bin
        """, cwd=job.directory, env={"HOME": str(job.directory), "PATH": "/usr/bin:/bin", "LC_ALL": "C"})
    _expect_transferred(job, "lftp", said, encrypt, "<--- 234" in said.stdout + said.stderr)


def _expect_transferred(job, client, said, encrypt, did_encrypt):
    output = said.stdout + said.stderr
    expect_equal(f"exit status of {client}, which said:\n{output}", 0, said.returncode)
    expect_equal(f"whether {client} has encrypted", encrypt == "always", did_encrypt)
    content = job.server.files["one.bin"]
    path = job.directory / "one.bin"
    if path.read_bytes() != content:
        raise Failure(f"{client} did not download one.bin as it is at the server")
    job.server.expect_upload(f"{client}.bin", content)
    path.unlink()


CASES = {"commands": commands, "tls_required": tls_required, "tls_refused": tls_refused, "tls_allowed": tls_allowed}


if __name__ == "__main__":
    runner.main(lambda case, *arguments: CASES[case](*arguments), *sys.argv[1:])
