# SPDX-License-Identifier: GPL-2.0-or-later
"""What programs say of their own accord: real clients and real servers."""

import ftplib
import pathlib
import signal
import subprocess
import tempfile

import clients
from address import bracketed
from failure import Failure, wait_until
from servers import SERVERS, Proftpd, Pyftpdlib, Vsftpd
from session import Session, converse
from topology import add_route

FILE_BYTES = 300
UPLOAD_BYTES = 200
TIMEOUT_SECONDS = 10

# For a file of which a part is to have arrived when its transfer is broken off.
LARGE_FILE_BYTES = 8000
SLOW_BYTES_PER_SECOND = 1000


def job(road, server, active):
    directory = pathlib.Path(tempfile.mkdtemp(dir=road.lab.directory))
    return clients.Job(road.client, server, road.place.server, active, directory, UPLOAD_BYTES)


def talk_in_mode(road, server, mode):
    with Session(road.client, server, road.place.server, mode) as session:
        converse(session, upload_bytes=UPLOAD_BYTES)


def use_curl(road, server, *options):
    """Downloads two files over one control connection."""
    address = f"ftp://{bracketed(road.place.server)}/"
    road.client.run("curl", "--silent", "--show-error", "--fail", "--max-time", str(TIMEOUT_SECONDS),
                    "--user", f"{server.user}:{server.password}", *options,
                    "--output", "/dev/null", address + "one.bin", "--output", "/dev/null", address + "two.bin")


def configured(server, road, lines):
    """The server, with further lines at the end of its configuration file."""
    class Configured(server):
        def command(self, lab):
            command = super().command(lab)
            with open(command[-1], "a", encoding="utf-8") as configuration:
                print(*lines, sep="\n", file=configuration)
            return command
    return Configured(road.lab, road.server, road.place.server, file_bytes=FILE_BYTES)


def vsftpd(road, *lines):
    return configured(Vsftpd, road, lines)


def proftpd(road, *lines):
    return configured(Proftpd, road, lines)


def pyftpdlib(road, **more):
    return Pyftpdlib(road.lab, road.server, road.place.server, file_bytes=FILE_BYTES, **more)


def peers(server_name, client):
    """One of the servers and one of the clients: a session active, and one passive."""
    def talk(road):
        server = SERVERS[server_name](road.lab, road.server, road.place.server, file_bytes=FILE_BYTES)
        with road.captured():
            for active in (True, False):
                clients.do(client, job(road, server, active))
                (server.directory / "upload" / "up.bin").unlink()  # vsftpd lets nobody overwrite it
    talk.__doc__ = f"{client} at {server_name}, active and passive."
    return talk


def inside_client(road):
    """Every IPv4 announcement that ftplib and curl know."""
    server = pyftpdlib(road)
    with road.captured():
        for mode in ("PORT", "EPRT", "PASV", "EPSV"):
            talk_in_mode(road, server, mode)
        use_curl(road, server, "--ftp-port", "-")
        use_curl(road, server, "--ftp-port", "-", "--disable-eprt")


def inside_client_ipv6(road):
    """Every IPv6 announcement, those of RFC 1639 too."""
    server = pyftpdlib(road)
    with road.captured():
        for mode in ("EPRT", "LPRT", "EPSV", "LPSV"):
            talk_in_mode(road, server, mode)
        use_curl(road, server, "--ftp-port", "-")


def inside_server(road):
    """As inside_client, for a server inside; curl falls back from EPSV to nothing, and to PASV at once."""
    server = pyftpdlib(road)
    with road.captured():
        for mode in ("PASV", "EPSV", "PORT", "EPRT"):
            talk_in_mode(road, server, mode)
        use_curl(road, server)
        use_curl(road, server, "--disable-epsv", "--no-ftp-skip-pasv-ip")


def any_interface(road):
    """A session in the cooked packets of `tcpdump -i any`."""
    server = pyftpdlib(road)
    with road.captured():
        talk_in_mode(road, server, "PORT")


class AnnouncingOther(ftplib.FTP):
    """ftplib behind NAT, captured outside: what it announces is its inside address."""
    inside = ""

    def sendport(self, _host, port):
        return super().sendport(self.inside, port)


def outside_client(road):
    """A client that a gateway has given a public address, but whose lines it has not touched."""
    inside = "10.0.1.2"
    # From port 20 vsftpd does not connect to a host that is not the client.
    server = vsftpd(road, "port_promiscuous=YES", "connect_from_port_20=NO")
    road.client.ip(f"address add {inside}/32 dev uplink")
    add_route(road.router, inside, road.place.client)
    add_route(road.server, inside, road.scene.plan.server_router)
    with road.captured(), road.client.entered(), AnnouncingOther(timeout=TIMEOUT_SECONDS) as ftp:
        ftp.inside = inside
        ftp.set_pasv(False)
        ftp.connect(road.place.server)
        ftp.login(server.user, server.password)
        for name in server.files:
            ftp.nlst()
            ftp.retrbinary(f"RETR {name}", lambda _: None)


def outside_server(road):
    """A server that a gateway has given a public address, but whose lines it has not touched."""
    server = vsftpd(road, "pasv_address=10.0.2.2")
    with road.captured(), road.client.entered(), ftplib.FTP(timeout=TIMEOUT_SECONDS) as ftp:
        ftp.connect(road.place.server)  # ftplib takes the control connection's address, not the announced one
        ftp.login(server.user, server.password)
        for name in server.files:
            ftp.nlst()
            ftp.retrbinary(f"RETR {name}", lambda _: None)


# --- What real networks do besides ---

def abort(road):
    """Three clients break off a download with Telnet's urgent data, and do another in the same session."""
    server = pyftpdlib(road, bytes_per_second=SLOW_BYTES_PER_SECOND)
    server.add_file("large.bin", LARGE_FILE_BYTES)
    with road.captured():
        for active in (True, False):
            interrupt_tnftp(job(road, server, active))
            interrupt_ftplib(job(road, server, active))
        interrupt_lftp(job(road, server, active=True))  # passive, it waits for pyftpdlib in vain after ABOR


def interrupt_tnftp(job_):
    """A person presses ^C when a part has come."""
    part = job_.directory / "large.bin"
    with job_.namespace.entered():
        tnftp = subprocess.Popen(["tnftp", "-n", "-i", "-v", "-A" if job_.active else "-p"], cwd=job_.directory,
                                 text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        print(f"open {job_.dial}\nuser {job_.login.replace(':', ' ')}\nbinary\nget large.bin",
              file=tnftp.stdin, flush=True)
        wait_until(lambda: part.exists() and part.stat().st_size > 0, "tnftp has a part of large.bin")
        tnftp.send_signal(signal.SIGINT)
        output, _ = tnftp.communicate("get two.bin\nquit\n", TIMEOUT_SECONDS)
    finally:
        tnftp.kill()
        tnftp.wait()
    if (job_.directory / "two.bin").read_bytes() != job_.server.files["two.bin"]:
        raise Failure(f"tnftp did not go on after its interruption; it said:\n{output}")


def interrupt_lftp(job_):
    """The reader of the download goes away."""
    user, password = job_.login.split(":")
    job_.run("lftp", "-c", f"""
        set net:timeout {TIMEOUT_SECONDS}
        set net:max-retries 1
        set ftp:ssl-allow no
        set ftp:passive-mode {"no" if job_.active else "yes"}
        open --user {user} --password {password} {job_.url}
        cat large.bin | head -c 1
        get two.bin
        """)


def interrupt_ftplib(job_):
    with job_.namespace.entered(), ftplib.FTP(timeout=TIMEOUT_SECONDS) as ftp:
        ftp.connect(job_.dial)
        ftp.login(job_.server.user, job_.server.password)
        ftp.set_pasv(not job_.active)
        with ftp.transfercmd("RETR large.bin") as connection:
            connection.recv(1)
            ftp.abort()
            ftp.voidresp()  # 426 for the download, and 226 for ABOR
        ftp.retrbinary("RETR two.bin", lambda _: None)


def tls(road):
    """Sessions that are encrypted from AUTH TLS on, their data connections too."""
    key, certificate = road.lab.directory / "key.pem", road.lab.directory / "certificate.pem"
    road.server.run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-subj", "/CN=lab", "-keyout", str(key), "-out", str(certificate))
    server = vsftpd(road, "ssl_enable=YES", "allow_anon_ssl=YES", "require_ssl_reuse=NO",
                    f"rsa_private_key_file={key}", f"rsa_cert_file={certificate}")
    with road.captured():
        use_curl(road, server, "--ssl-reqd", "--insecure")
        job(road, server, active=True).run("lftp", "-c", f"""
            set net:timeout {TIMEOUT_SECONDS}
            set net:max-retries 1
            set ftp:passive-mode no
            set ftp:ssl-force yes
            set ftp:ssl-protect-data yes
            set ssl:verify-certificate no
            open --user {server.user} --password {server.password} ftp://{road.place.server}/
            get one.bin
            """)


def tls_refused(road):
    """curl would like TLS, the server has none, and both go on in plain text."""
    server = proftpd(road)
    with road.captured():
        for direction in (("--ftp-port", "-"), ("--disable-epsv",)):
            use_curl(road, server, "--ssl", *direction)


def greeting(road):
    """Greetings of several lines, at connecting and at logging in, some of which look like announcements."""
    text = ("Welcome.\n"
            "227 Entering Passive Mode (10,0,2,2,200,1).\n"
            "PORT 10,0,2,2,200,1\n"
            " 229 Entering Extended Passive Mode (|||51201|)\n"
            "Enjoy.\n")
    connecting = road.lab.directory / "greeting.txt"
    connecting.write_text(text)
    server = proftpd(road, f"DisplayConnect {connecting}", "DisplayLogin login.txt")
    (server.directory / "login.txt").write_text(text)
    with road.captured():
        for direction in (("--ftp-port", "-"), ("--disable-epsv",)):
            use_curl(road, server, *direction)
