# SPDX-License-Identifier: GPL-2.0-or-later
r"""The ways from a client to a server that are measured: one for each peer, laid out alike.

    client ----------------- [ router ] ----------------- server
       client    client_router        server_router       server
               destination public_server:21 -> server
                   source client -> public_client

Forwarding is open, and clients know the way to the server's own address: so a transfer works without any gateway, too,
and every way carries the same packets.
"""

import os
import pathlib
import re
import shutil
import signal
import time

import gateway
from address import PLANS, host_prefix, in_network
from failure import Failure, wait_until
from namespace import connect
from topology import add_route, one_router

PLAN = PLANS[0]
PEERS_DIR = pathlib.Path(os.environ.get("FTPALG_PEERS", "/var/cache/ftpalg-peers"))
CLIENTS = [f"10.0.1.{host}" for host in range(2, 34)]
EVERYBODY = "10.0.1.0/24"
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")

# Of one client of ours, and more than the default lets it have.
CONFIGURATION = """
[limits]
sessions = 1000000
sessions_per_client = 1000000
expectations = 100000
expectations_per_client = 100000
"""


def program_of(package, path):
    """A program of a package, wherever that is: below PEERS_DIR or installed. None where it is not."""
    for root in (PEERS_DIR / package, pathlib.Path("/")):
        if os.access(root / path, os.X_OK):
            return str(root / path)
    return None


class Way:
    """From `client` to a server that listens in `server`, dialled as `dial`."""
    name = ""
    queues = 0

    def __init__(self, lab, build):
        self.lab = lab
        self.build = build
        self.processes = []  # whose time is the gateway's
        self.lay_out()
        for host in (self.client, self.server):
            host.sysctl("net.ipv4.ip_local_port_range", "1024 65535")
            # Thousands of connections a second leave more in TIME-WAIT than there are ports.
            host.sysctl("net.ipv4.tcp_max_tw_buckets", 1000)
        self.begin()
        self.ftp_server = lab.start(f"server-{self.label()}", self.server, str(build / "tests/bench/ftp_bench"), "server")
        self.ftp_server.wait_for_log("serving")

    @classmethod
    def missing(cls):
        """What is not installed, or None."""
        return None

    @classmethod
    def label(cls):
        return re.sub(r"\W+", "-", cls.name)

    def lay_out(self):
        scene = one_router(self.lab, PLAN, PLAN.public_server, PLAN.public_client)
        self.client, self.server, self.dial = scene.client, scene.server, scene.dial
        [self.router] = scene.routers
        add_route(self.client, PLAN.server, PLAN.client_router)
        self.client.ip(*(f"address add {in_network(each)} dev uplink" for each in CLIENTS[1:]))
        # conntrack's table is for the connections that are there.
        self.router.sysctl("net.netfilter.nf_conntrack_tcp_timeout_time_wait", 1)
        self.router.nft(self.rules())

    def rules(self):
        return f"""
            table ip nat {{
                chain prerouting {{
                    type nat hook prerouting priority dstnat;
                    ip daddr {PLAN.public_server} tcp dport 21 dnat to {PLAN.server}
                }}
                chain postrouting {{
                    type nat hook postrouting priority srcnat;
                    ip saddr {EVERYBODY} snat to {PLAN.public_client}
                }}
            }}"""

    def begin(self):
        """Starts what serves, if anything does."""

    def packets_queued(self):
        """Since the queues were taken; 0 where there are none."""
        with self.router.entered(), open("/proc/thread-self/net/netfilter/nfnetlink_queue", encoding="ascii") as file:
            return sum(int(line.split()[7]) for line in file)

    def processor_seconds(self):
        """That the gateway's processes have used until now."""
        return sum(seconds_used(each.pid) for each in self.processes)


def seconds_used(pid):
    """Of a process's threads, and its children that have ended."""
    try:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    except FileNotFoundError:
        return 0.0
    return sum(map(int, fields[11:15])) / TICKS_PER_SECOND


class NoGateway(Way):
    """Shows what the load program and the network can do."""
    name = "no gateway"


class KernelHelper(Way):
    name = "kernel nf_nat_ftp"

    @classmethod
    def missing(cls):
        return None if shutil.which("iptables") else "iptables"

    def begin(self):
        self.router.run("iptables", "-t", "raw", "-A", "PREROUTING", "-p", "tcp", "--dport", "21",
                        "-j", "CT", "--helper", "ftp")


class Floor(Way):
    """With the rules of ftpalg, which queue no pure acknowledgements."""
    name = "accept only"
    queues = 1

    def begin(self):
        self.router.run(gateway.PROGRAM, "rules", "apply", "--queue", "0", "--queues", str(self.queues),
                        *gateway.format_options())
        process = self.lab.start(f"accept-{self.label()}", self.router, str(self.build / "tests/bench/accept_only"),
                                 *map(str, range(self.queues)))
        for queue in range(self.queues):
            process.wait_for_log(f"ready on queue {queue}")
        self.processes.append(process)


class FloorOfTwo(Floor):
    name = "accept only, 2 queues"
    queues = 2


class Ftpalg(Way):
    name = "ftpalg"
    queues = 1
    options = ()

    def begin(self):
        configuration = self.lab.directory / f"{self.label()}.toml"
        configuration.write_text(CONFIGURATION, encoding="ascii")
        # A file of its own each, since all namespaces have the same files.
        process = self.lab.start(self.label(), self.router, gateway.PROGRAM, "run", "--apply-rules", "--queue", "0",
                                 "--queues", str(self.queues), "--log-level", "error", "--config", configuration,
                                 *self.own_socket(), *gateway.format_options(), *self.options)
        process.wait_for_log("ready on queue")
        self.processes.append(process)

    def own_socket(self):
        """The control socket's place, where the program has one."""
        has_one = "--socket" in self.router.run(gateway.PROGRAM, "run", "--help")
        return ("--socket", self.lab.directory / f"{self.label()}.sock") if has_one else ()


class FtpalgOfTwo(Ftpalg):
    name = "ftpalg, 2 queues"
    queues = 2


class FtpProxy(Way):
    """SuSE's ftp-proxy, in the way of all packets."""
    name = "SuSE ftp-proxy"
    PACKAGE, PROGRAM = "ftp-proxy", "usr/sbin/ftp-proxy"

    @classmethod
    def missing(cls):
        return None if program_of(cls.PACKAGE, cls.PROGRAM) else cls.PACKAGE

    def rules(self):
        return super().rules().replace(f"dnat to {PLAN.server}", "redirect to :2121")

    def begin(self):
        configuration = self.lab.directory / "ftp-proxy.conf"
        log = self.lab.directory / "ftp-proxy.log"
        configuration.write_text(f"""
[-Global-]
ServerType standalone
Listen 0.0.0.0
Port 2121
DestinationAddress {PLAN.server}
MaxClients 1000
ForkLimit 1000000
LogDestination {log}
LogLevel ERR
""", encoding="ascii")
        process = self.lab.start("ftp-proxy", self.router, program_of(self.PACKAGE, self.PROGRAM), "-n", "-d",
                                 "-f", configuration)
        wait_until(lambda: ":2121" in self.router.run("ss", "-Hltn"), "ftp-proxy listens")
        self.processes.append(process)


class OpenVswitch(Way):
    r"""Open vSwitch's user-space datapath, whose conntrack has an ALG of its own.

        client ------------- [ switch ] ------------- server
           client  to_client            to_server     server

    It translates the server's address and not the client's: a rule of its can do one of both.
    """
    name = "Open vSwitch"
    SWITCH, COMMON = "openvswitch-switch", "openvswitch-common"
    PROGRAMS = {"ovsdb-tool": (COMMON, "usr/bin/ovsdb-tool"), "ovsdb-server": (COMMON, "usr/sbin/ovsdb-server"),
                "ovs-vsctl": (SWITCH, "usr/bin/ovs-vsctl"), "ovs-ofctl": (COMMON, "usr/bin/ovs-ofctl"),
                "ovs-vswitchd": (SWITCH, "usr/lib/openvswitch-switch/ovs-vswitchd")}
    CLIENT_MAC, SERVER_MAC = "02:00:00:00:00:01", "02:00:00:00:00:02"

    @classmethod
    def missing(cls):
        if not os.path.exists("/dev/net/tun"):
            return "/dev/net/tun"
        for package, path in cls.PROGRAMS.values():
            if not program_of(package, path):
                return package
        return None if shutil.which("ethtool") else "ethtool"

    def program(self, name):
        return program_of(*self.PROGRAMS[name])

    def lay_out(self):
        self.router, self.dial = self.lab.namespace("switch"), PLAN.public_server
        self.client, self.server = self.lab.namespace("client"), self.lab.namespace("server")
        ends = ((self.client, "client", self.CLIENT_MAC, PLAN.client), (self.server, "server", self.SERVER_MAC, PLAN.server))
        for host, name, mac, address in ends:
            connect(self.router, f"to_{name}", host, "uplink")
            # What comes out of a packet socket has no checksums to be finished by a device.
            host.run("ethtool", "-K", "uplink", "tx", "off", "tso", "off", "gso", "off")
            host.ip(f"link set uplink address {mac}", f"address add {in_network(address)} dev uplink")
        self.client.ip(*(f"address add {in_network(each)} dev uplink" for each in CLIENTS[1:]))
        for host, others, mac in ((self.client, (PLAN.public_server, PLAN.server), self.SERVER_MAC),
                                  (self.server, CLIENTS, self.CLIENT_MAC)):
            for other in others:
                host.ip(f"route add {host_prefix(other)} dev uplink", f"neigh add {other} lladdr {mac} dev uplink")

    def begin(self):
        directory = self.lab.directory / "openvswitch"
        directory.mkdir()
        database, socket = directory / "conf.db", directory / "db.sock"
        schema = program_of(self.SWITCH, "usr/lib/openvswitch-switch/ovs-vswitchd")
        root = pathlib.Path(schema).parents[3]
        environment = ("env", f"OVS_RUNDIR={directory}", f"OVS_LOGDIR={directory}", f"OVS_DBDIR={directory}",
                       f"OVS_SYSCONFDIR={directory}")
        self.router.run(self.program("ovsdb-tool"), "create", str(database),
                        str(root / "usr/share/openvswitch/vswitch.ovsschema"))
        self.lab.start("ovsdb-server", self.router, *environment, self.program("ovsdb-server"), database,
                       f"--remote=punix:{socket}")
        wait_until(socket.exists, "ovsdb-server listens")
        switch = self.lab.start("ovs-vswitchd", self.router, *environment, self.program("ovs-vswitchd"), f"unix:{socket}")
        self.processes.append(switch)
        vsctl = (*environment, self.program("ovs-vsctl"), f"--db=unix:{socket}")
        self.router.run(*vsctl, "--no-wait", "init")
        self.router.run(*vsctl, "--timeout=20", "--", "add-br", "bench", "--", "set", "bridge", "bench",
                        "datapath_type=netdev", "--", "add-port", "bench", "to_client", "--", "add-port", "bench",
                        "to_server")
        to_server = f"mod_dl_dst:{self.SERVER_MAC},output:to_server"
        to_client = f"mod_dl_dst:{self.CLIENT_MAC},output:to_client"
        flows = directory / "flows"
        flows.write_text(f"""
table=0,ip,ct_state=-trk,actions=ct(table=1,zone=1,nat)
table=1,in_port=to_client,tcp,tp_dst=21,ct_state=+trk+new,actions=ct(commit,zone=1,alg=ftp,nat(dst={PLAN.server})),{to_server}
table=1,in_port=to_client,tcp,ct_state=+trk+new+rel,actions=ct(commit,zone=1,nat),{to_server}
table=1,in_port=to_client,ip,ct_state=+trk+est,actions={to_server}
table=1,in_port=to_server,ip,ct_state=+trk+est,actions={to_client}
table=1,in_port=to_client,ip,ct_state=+trk+rel,actions={to_server}
table=1,in_port=to_server,ip,ct_state=+trk+rel,actions={to_client}
""", encoding="ascii")
        self.router.run(*environment, self.program("ovs-ofctl"), "--names", "add-flows", str(directory / "bench.mgmt"),
                        str(flows))

    def packets_queued(self):
        return 0


WAYS = (NoGateway, KernelHelper, Floor, Ftpalg, FloorOfTwo, FtpalgOfTwo, OpenVswitch, FtpProxy)


class Start:
    """How long ftpalg takes until it is ready, on a router where nothing else is."""

    def __init__(self, lab):
        self.lab = lab
        self.router = one_router(lab, PLAN, PLAN.public_server, PLAN.public_client).routers[0]
        self.count = 0

    def seconds(self, *options):
        self.count += 1
        socket = self.lab.directory / f"start-{self.count}.sock"
        own = ("--socket", socket) if "--socket" in self.router.run(gateway.PROGRAM, "run", "--help") else ()
        begin = time.monotonic()
        process = self.lab.start("start", self.router, gateway.PROGRAM, "run", "--queue", "7", "--queues", "1",
                                 "--log-level", "error", *own, *options)
        wait_until(lambda: "ready on queue" in process.log() or not process.is_running(), "ftpalg is ready", interval=0.001)
        took = time.monotonic() - begin
        if not process.is_running():
            raise Failure(f"ftpalg did not start:\n{process.log_tail()}")
        process.signal(signal.SIGTERM)
        process.wait_for_exit()
        return took

    def with_rules_in_place(self):
        self.router.run(gateway.PROGRAM, "rules", "apply", "--queue", "7", "--queues", "1", *gateway.format_options())
        took = self.seconds()
        self.router.run(gateway.PROGRAM, "rules", "remove", *gateway.format_options())
        return took

    def applying_rules(self):
        return self.seconds("--apply-rules", *gateway.format_options())
