# SPDX-License-Identifier: GPL-2.0-or-later
"""The FTP servers: pyftpdlib, and the ones that tests/setup unpacked."""

import ftplib
import os
import pathlib
import pwd
import re
import sys

from address import bracketed, family_of
from failure import Failure, expect_equal, patient, wait_until

PEERS = pathlib.Path(os.environ.get("FTPALG_PEERS", "/var/cache/ftpalg-peers"))
FILE_BYTES = 150_000

# Left alone, vsftpd, ProFTPD and Pure-FTPd draw passive ports from 1024 on, and now and then one that the gateway refuses
# (6000-6063 and other services', protocol rule 23).
PASSIVE_PORTS = (50000, 59999)

# A server runs with a /run of its own, for the files that some keep there under fixed names, and in a process
# namespace, so that its children go with it. A shell is the first process there: it reaps orphans, over which
# vsftpd stumbles and ends.
CONTAINER = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c",
             'mount -t tmpfs tmpfs /run && mkdir -p /run/vsftpd/empty /run/proftpd && "$@"; exit $?', "sh")


class Server:
    """An FTP server in a namespace, with the random files one.bin and two.bin and a writable folder upload/."""

    user, password = "anonymous", "lab@example.org"

    def __init__(self, lab, namespace, address, port=21, file_bytes=FILE_BYTES):
        self.namespace = namespace
        self.address = address
        self.port = port
        self.directory = lab.directory / f"{type(self).__name__}-{namespace.label}-{port}"
        self.files = {name: os.urandom(file_bytes) for name in ("one.bin", "two.bin")}
        self.directory.mkdir()
        for name, content in self.files.items():
            (self.directory / name).write_bytes(content)
        (self.directory / "upload").mkdir()
        (self.directory / "upload").chmod(0o777)
        self.process = lab.start(f"{type(self).__name__}-{namespace.label}", namespace, *CONTAINER,
                                 *self.command(lab))
        wait_until(self._greets, f"{type(self).__name__} greets on {bracketed(address)}:{port}\n"
                                 f"{self.process.log_tail()}", limit=10)

    def command(self, lab):
        """Writes what the server wants to read, and returns the command that runs it in the foreground."""
        raise NotImplementedError

    def add_file(self, name, size):
        self.files[name] = os.urandom(size)
        (self.directory / name).write_bytes(self.files[name])

    def expect_upload(self, name, content):
        path = self.directory / "upload" / name
        expect_equal(f"size of the uploaded {name} at the server", len(content), path.stat().st_size)
        if path.read_bytes() != content:
            raise Failure(f"the uploaded {name} is not what was sent, though of equal size")

    def _greets(self):
        try:
            with self.namespace.entered(), ftplib.FTP() as ftp:
                ftp.connect(self.address, self.port, timeout=patient(2))
            return True
        except (OSError, EOFError, ftplib.Error):
            if not self.process.is_running():
                raise Failure(f"{self.process.name} did not start:\n{self.process.log_tail()}") from None
            return False


class Pyftpdlib(Server):
    """The server of the matrix: it starts fast, speaks LPRT and LPSV and tells what was announced to it."""

    def __init__(self, lab, namespace, address, port=21, bytes_per_second=None, certificate=None,
                 file_bytes=FILE_BYTES):
        self.bytes_per_second = bytes_per_second
        self.certificate = certificate
        super().__init__(lab, namespace, address, port, file_bytes)

    def command(self, _lab):
        throttle = ("--bytes-per-second", self.bytes_per_second) if self.bytes_per_second else ()
        certificate = ("--certificate", self.certificate) if self.certificate else ()
        return (sys.executable, pathlib.Path(__file__).with_name("pyftpd.py"), "--address", self.address,
                "--port", self.port, "--directory", self.directory, *throttle, *certificate)

    def announced(self):
        """The (verb, argument) of every PORT, EPRT and LPRT that reached the server."""
        return re.findall(r"announced (\w+) (\S+)\n", self.process.log())


def make_certificate(lab, namespace):
    """The path of a file with a key and its own certificate, that every server can read."""
    certificate, issued = lab.directory / "server.pem", lab.directory / "server.crt"
    namespace.run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                  "-days", "1", "-subj", "/CN=lab", "-keyout", str(certificate), "-out", str(issued))
    with open(certificate, "a", encoding="ascii") as file:
        file.write(issued.read_text(encoding="ascii"))
    certificate.chmod(0o644)
    return certificate


class Unpacked(Server):
    """A server from Debian that was unpacked, not installed."""

    package = ""

    def unpacked(self, name):
        """Where a file of the package is."""
        path = PEERS / self.package / name
        if not path.exists():
            raise Failure(f"{path} is missing; run tests/setup as root")
        return path


class Vsftpd(Unpacked):
    package = "vsftpd"

    def command(self, lab):
        listen = "listen" if family_of(self.address) == "ipv4" else "listen_ipv6"
        other = {"listen": "listen_ipv6", "listen_ipv6": "listen"}[listen]
        configuration = lab.directory / "vsftpd.conf"
        self.protocol_log = lab.directory / "vsftpd.protocol.log"
        configuration.write_text(f"""\
{listen}=YES
{other}=NO
listen_port={self.port}
background=NO
anonymous_enable=YES
no_anon_password=YES
anon_root={self.directory}
anon_upload_enable=YES
write_enable=YES
anon_umask=022
ftp_username=daemon
nopriv_user=nobody
secure_chroot_dir=/run/vsftpd/empty
connect_from_port_20=YES
pasv_min_port={PASSIVE_PORTS[0]}
pasv_max_port={PASSIVE_PORTS[1]}
xferlog_enable=YES
log_ftp_protocol=YES
vsftpd_log_file={self.protocol_log}
""")
        return self.unpacked("usr/sbin/vsftpd"), configuration

    def announced(self):
        """The (verb, argument) of every PORT and EPRT that reached the server."""
        return re.findall(r'"(PORT|EPRT) (\S+)"', self.protocol_log.read_text(errors="replace"))


class VsftpdTls(Vsftpd):
    """The same, that takes AUTH TLS. (pyftpdlib 1.5.7 does too, but loses the encrypted data connections of real clients.)"""

    def command(self, lab):
        certificate = make_certificate(lab, self.namespace)
        program, configuration = super().command(lab)
        with open(configuration, "a", encoding="ascii") as file:
            file.write(f"""\
ssl_enable=YES
allow_anon_ssl=YES
force_local_data_ssl=NO
force_local_logins_ssl=NO
require_ssl_reuse=NO
ssl_ciphers=HIGH
rsa_cert_file={certificate}
rsa_private_key_file={certificate}
""")
        return program, configuration


class Proftpd(Unpacked):
    package = "proftpd-core"

    def command(self, lab):
        configuration = lab.directory / "proftpd.conf"
        configuration.write_text(f"""\
ServerType standalone
DefaultAddress {self.address}
Port {self.port}
User nobody
Group nogroup
AuthPAM off
AuthOrder mod_auth_unix.c
RequireValidShell off
UseReverseDNS off
WtmpLog off
TransferLog none
PidFile /run/proftpd.pid
ScoreboardFile /run/proftpd/scoreboard
DelayEngine off
PassivePorts {PASSIVE_PORTS[0]} {PASSIVE_PORTS[1]}
<Anonymous {self.directory}>
  User nobody
  Group nogroup
  UserAlias anonymous nobody
  AllowOverwrite on
</Anonymous>
""")
        return self.unpacked("usr/sbin/proftpd"), "--nodaemon", "--config", configuration


class PureFtpd(Unpacked):
    package = "pure-ftpd"
    user, password = "lab", "lab"
    # 'lab' by crypt(3), SHA-256, 1000 rounds: what pure-pw would write takes seconds at each login.
    PASSWORD_HASH = "$5$rounds=1000$ftpalg$4z4uDJCWYydnD7vAFHVm2V4glhDXq4aYdTim1GEr/bD"

    def command(self, lab):
        passwords, database = lab.directory / "pure-ftpd.passwd", lab.directory / "pure-ftpd.pdb"
        nobody = pwd.getpwnam("nobody")
        passwords.write_text(f"{self.user}:{self.PASSWORD_HASH}:{nobody.pw_uid}:{nobody.pw_gid}::{self.directory}/./"
                             "::::::::::::\n")
        self.namespace.run(str(self.unpacked("usr/bin/pure-pw")), "mkdb", str(database), "-f", str(passwords))
        return (self.unpacked("usr/sbin/pure-ftpd"), "--login", f"puredb:{database}",
                "--bind", f"{self.address},{self.port}", "--passiveportrange", "{}:{}".format(*PASSIVE_PORTS),
                "--noanonymous", "--minuid", 1, "--chrooteveryone", "--dontresolve", "--nochmod")


SERVERS = {"vsftpd": Vsftpd, "proftpd": Proftpd, "pure-ftpd": PureFtpd, "pyftpdlib": Pyftpdlib}
