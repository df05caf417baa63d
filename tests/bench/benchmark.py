# SPDX-License-Identifier: GPL-2.0-or-later
"""Measures every row of tests/bench/README.md's table on every way that can be had, by turns; run it by tests/bench/run."""

import argparse
import contextlib
import dataclasses
import json
import os
import pathlib
import platform
import signal
import statistics
import subprocess
import sys
import time

import gateway
import ways
from failure import Failure, patient, wait_until
from lab import Lab

MEBIBYTE = 1 << 20
LOAD_SECONDS_MAX = 90  # beyond what a load is asked to take
# Bytes of a transfer that does not end while the throughput is measured.
ENDLESS = 1 << 40
IDLE_SESSIONS = 100_000
# Pairs of client and server: a process may have some 20,000 descriptors on many a machine.
IDLE_PAIRS = 8
# The packets of a session's begin and of one transfer, with room for repetitions: more would be the data's.
CONTROL_PACKETS_MAX = 64


@dataclasses.dataclass(frozen=True)
class Row:
    key: str
    title: str
    unit: str
    digits: int
    work: str
    sessions: int
    field: str          # of what the load program prints
    clients: int = 1    # addresses
    size: int = 1       # bytes of a transfer
    scale: float = 1
    on: tuple = ()      # names of the ways that it is for; all but those of two queues where empty

    def is_for(self, way):
        return way.name in self.on if self.on else way.queues < 2


TWO_QUEUES = tuple(way.name for way in (ways.NoGateway, ways.Floor, ways.Ftpalg, ways.FloorOfTwo, ways.FtpalgOfTwo))
ROWS = (
    Row("throughput", "data throughput", "MiB/s", 0, "retr", 1, "bytes_per_second", size=ENDLESS, scale=1 / MEBIBYTE),
    Row("round_trip", "NOOP round trip, 1 session", "us", 1, "noop", 1, "median_us"),
    Row("noop", "NOOP/s, 32 sessions", "/s", 0, "noop", 32, "per_second"),
    Row("retr", "PASV+RETR/s, 8 sessions", "/s", 0, "retr", 8, "per_second"),
    Row("session", "full sessions/s, 8 at once", "/s", 0, "session", 8, "per_second"),
    Row("queues", "NOOP/s, 64 sessions of 32 clients", "/s", 0, "noop", 64, "per_second", clients=32, on=TWO_QUEUES),
)


def measure(way, row, seconds):
    """One measurement: the row's figure, and what the gateway's processes used of a processor for it."""
    packets, used = way.packets_queued(), way.processor_seconds()
    printed = way.client.run(str(way.build / "tests/bench/ftp_bench"), "client", "--work", row.work,
                             "--server", way.dial, "--sessions", str(row.sessions), "--bytes", str(row.size),
                             "--seconds", str(seconds), "--source", ",".join(ways.CLIENTS[:row.clients]),
                             timeout=seconds + patient(LOAD_SECONDS_MAX))
    load = json.loads(printed)
    took = load["seconds"]
    return {"value": load[row.field] * row.scale, "load": load,
            "processor": (way.processor_seconds() - used) / took,
            "packets_queued": way.packets_queued() - packets}


class Table:
    """What was measured: for each row and way its figures, one a round."""

    def __init__(self):
        self.figures = {}

    def add(self, row, way, figure):
        self.figures.setdefault(row.key, {}).setdefault(way.name, []).append(figure)

    def values(self, row, name):
        return [each["value"] for each in self.figures.get(row, {}).get(name, [])]

    def median(self, row, name):
        values = self.values(row, name)
        return statistics.median(values) if values else None

    def ratio(self, row, name, to):
        """The median of what each round's figures are to each other; its spread too."""
        pairs = zip(self.values(row, name), self.values(row, to))
        ratios = [mine / theirs for mine, theirs in pairs if theirs]
        return (statistics.median(ratios), min(ratios), max(ratios)) if ratios else None


def print_rows(table, rows, names):
    width = max(map(len, names))
    for row in rows:
        if row.key not in table.figures:
            continue
        print(f"\n{row.title} [{row.unit}]")
        for name in names:
            values = table.values(row.key, name)
            if not values:
                continue
            figures = table.figures[row.key][name]
            processor = statistics.median(each["processor"] for each in figures)
            line = (f"  {name:{width}}  {statistics.median(values):12,.{row.digits}f}  "
                    f"({min(values):,.{row.digits}f} to {max(values):,.{row.digits}f})")
            if processor:
                line += f"  {100 * processor:.0f} % of a processor"
            if row.key != "throughput" and row.field == "per_second" and processor:
                operations = statistics.median(each["load"]["per_second"] for each in figures)
                line += f", {1e6 * processor / operations:.1f} us each"
            print(line)


def targets(table):
    """The issue's table: what, target, the figure, whether it is reached."""
    us, floor, none = ways.Ftpalg.name, ways.Floor.name, ways.NoGateway.name
    result = []

    def add(what, target, figure, reached):
        if figure is not None:
            result.append({"what": what, "target": target, "figure": figure, "reached": reached})

    def add_ratio(what, row, name, to, least):
        ratio = table.ratio(row, name, to)
        if ratio:
            add(what, f">= {least:.2f}", f"{ratio[0]:.2f} ({ratio[1]:.2f} to {ratio[2]:.2f})", ratio[0] >= least)

    ratio = table.ratio("throughput", us, none)
    if ratio:
        add("data throughput, through ftpalg over without it", "1.00 +- 0.02",
            f"{ratio[0]:.3f} ({ratio[1]:.3f} to {ratio[2]:.3f})", abs(ratio[0] - 1) <= 0.02)
        most = max(each["packets_queued"] for each in table.figures["throughput"][us])
        mebibytes = min(each["load"]["bytes_per_second"] * each["load"]["seconds"]
                        for each in table.figures["throughput"][us]) / MEBIBYTE
        add("packets queued during such a transfer", "none of the data",
            f"{most}, all of the control connection, in {mebibytes:,.0f} MiB and more", most <= CONTROL_PACKETS_MAX)
    trips = [table.median("round_trip", name) for name in (us, floor, none)]
    if None not in trips:
        added, added_by_floor = trips[0] - trips[2], trips[1] - trips[2]
        if added_by_floor > 0:
            add("added round trip over the floor's", "<= 1.05", f"{added / added_by_floor:.2f} "
                f"({added:.1f} us over {added_by_floor:.1f} us)", added <= 1.05 * added_by_floor)
    add_ratio("NOOP/s over the floor's", "noop", us, floor, 1.2)
    add_ratio("PASV+RETR/s over the floor's", "retr", us, floor, 1.0)
    add_ratio("PASV+RETR/s over Open vSwitch's", "retr", us, ways.OpenVswitch.name, 2)
    add_ratio("full sessions/s over Open vSwitch's", "session", us, ways.OpenVswitch.name, 2)
    add_ratio("full sessions/s over the kernel helper's", "session", us, ways.KernelHelper.name, 0.6)
    ratio = table.ratio("queues", ways.FtpalgOfTwo.name, us)
    if ratio:
        add("NOOP/s with two queues over one", "explained", f"{ratio[0]:.2f} ({ratio[1]:.2f} to {ratio[2]:.2f})", None)
    return result


def idle(build, sessions, seconds):
    """What ftpalg uses while so many sessions say nothing."""
    with Lab() as lab:
        way = ways.Ftpalg(lab, build)
        # Each server has addresses of its own, inside and outside, so that NAT has ports enough.
        pairs = [(f"203.0.113.{number}", f"10.0.2.{100 + number}") for number in range(1, IDLE_PAIRS + 1)]
        program = str(build / "tests/bench/ftp_bench")
        way.server.ip(*(f"address add {inside}/24 dev uplink" for _, inside in pairs))
        way.router.ip(*(f"address add {outside}/32 dev lo" for outside, _ in pairs))
        way.client.ip(*(f"route add {outside}/32 via {ways.PLAN.client_router}" for outside, _ in pairs))
        way.router.nft("".join(f"add rule ip nat prerouting ip daddr {outside} tcp dport 21 dnat to {inside}:2100\n"
                               for outside, inside in pairs))
        [gateway_process] = way.processes
        before = resident_bytes(gateway_process.pid)
        clients = []
        for number, (outside, inside) in enumerate(pairs):
            server = lab.start(f"idle-server-{number}", way.server, program, "server", "--address", inside, "--port", "2100",
                               "--data-ports", "0")
            server.wait_for_log("serving")
            clients.append(lab.start(f"idle-client-{number}", way.client, program, "client", "--work", "idle",
                                     "--server", outside, "--source", ",".join(ways.CLIENTS), "--sessions",
                                     sessions // IDLE_PAIRS, "--seconds", "1000000"))
        for client in clients:
            client.wait_for_log("idle\n", limit=300)
        # What was put off while they came is done.
        time.sleep(2)
        begin, used = time.monotonic(), way.processor_seconds()
        time.sleep(seconds)
        used, took = way.processor_seconds() - used, time.monotonic() - begin
        sessions = sessions // IDLE_PAIRS * IDLE_PAIRS
        return {"sessions": sessions, "processor": used / took, "seconds": took,
                "resident_bytes_per_session": (resident_bytes(gateway_process.pid) - before) / sessions}


def resident_bytes(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise Failure(f"process {pid} has no memory")


def engine(build, seconds, which):
    """What engine_bench measures, by the names of its benchmarks."""
    done = subprocess.run([build / "tests/bench/engine_bench", "--benchmark_format=json", f"--benchmark_filter={which}",
                           f"--benchmark_min_time={seconds}"], check=True, capture_output=True, text=True)
    return {each["name"]: each for each in json.loads(done.stdout)["benchmarks"]}


def arguments():
    parser = argparse.ArgumentParser(prog="tests/bench/run", description="Measures ftpalg beside its peers.")
    parser.add_argument("--build", type=pathlib.Path, required=True, help=argparse.SUPPRESS)
    parser.add_argument("--rounds", type=int, default=5, help="how often each row is measured on each way (5)")
    parser.add_argument("--seconds", type=float, default=2, help="that each measurement takes (2)")
    parser.add_argument("--rows", default=",".join([row.key for row in ROWS] + ["start", "idle", "engine"]),
                        help="which, by comma (%(default)s)")
    parser.add_argument("--ways", default=",".join(way.name for way in ways.WAYS), help="which, by comma (%(default)s)")
    parser.add_argument("--json", type=pathlib.Path, help="where to write everything that was measured")
    parser.add_argument("--idle-sessions", type=int, default=IDLE_SESSIONS)
    parser.add_argument("--smoke", action="store_true", 
                        help="see that everything works, as fast as can be; the figures are worth nothing")
    return parser.parse_args()


def main():
    options = arguments()
    if os.geteuid() != 0:
        raise Failure("it makes network namespaces and firewall rules, which needs root; run it as root")
    if options.smoke:
        options.rounds, options.seconds, options.idle_sessions = 1, 0.2, 500
    wanted = options.rows.split(",")
    rows = [row for row in ROWS if row.key in wanted]
    table, begin = Table(), time.strftime("%Y-%m-%d %H:%M:%S")
    results = {"begin": begin, "kernel": platform.release(), "processors": os.cpu_count(),
               "load_before": os.getloadavg()}
    named = options.ways.split(",")
    chosen = [way for way in ways.WAYS if way.name in named]
    for way in chosen:
        if (what := way.missing()) is not None:
            print(f"{way.name} is left out: no {what}", file=sys.stderr)
    chosen = [way for way in chosen if way.missing() is None and any(row.is_for(way) for row in rows)]

    with Lab() as lab:
        laid_out = [way(lab, options.build) for way in chosen]
        for number in range(options.rounds):
            for row in rows:
                # By turns, and each time another one first, so that none has always the same one before it.
                turn = number % max(1, len(laid_out))
                for way in laid_out[turn:] + laid_out[:turn]:
                    if row.is_for(way):
                        table.add(row, way, measure(way, row, options.seconds))
                print(f"round {number + 1} of {options.rounds}: {row.title}", file=sys.stderr)

    if "start" in wanted:
        with Lab() as lab:
            start = ways.Start(lab)
            results["start_seconds"] = {
                "rules in place": [start.with_rules_in_place() for _ in range(options.rounds)],
                "applying rules": [start.applying_rules() for _ in range(options.rounds)]}
    if "idle" in wanted:
        results["idle"] = idle(options.build, options.idle_sessions, 0.5 if options.smoke else 20)
    if "engine" in wanted:
        results["engine"] = engine(options.build, 0.01, "/1000/") if options.smoke else engine(options.build, 0.5, ".")
    results |= {"load_after": os.getloadavg(), "rows": table.figures, "targets": targets(table)}
    report(results, table, rows, [way.name for way in chosen])
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n", encoding="ascii")


def report(results, table, rows, names):
    print(f"Linux {results['kernel']}, {results['processors']} processors; load before {results['load_before'][0]:.1f}, "
          f"after {results['load_after'][0]:.1f}")
    if names:
        print_rows(table, rows, names)
    lines = [(each["what"], each["target"], each["figure"], {True: "yes", False: "NO", None: ""}[each["reached"]])
             for each in results["targets"]]
    for how, seconds in results.get("start_seconds", {}).items():
        median = statistics.median(seconds)
        lines.append((f"start to ready, {how}", "<= 100 ms", f"{1000 * median:.0f} ms ({1000 * min(seconds):.0f} to "
                      f"{1000 * max(seconds):.0f})", "yes" if median <= 0.1 else "NO"))
    if "idle" in results:
        used = results["idle"]
        lines.append((f"ftpalg with {used['sessions']:,} idle sessions", "<= 0.5 %",
                      f"{100 * used['processor']:.2f} % of a processor, {used['resident_bytes_per_session']:,.0f} bytes each",
                      "yes" if used["processor"] <= 0.005 else "NO"))
    lines += engine_lines(results.get("engine", {}))
    if lines:
        print(f"\n{'what':52}  {'target':>17}  reached  figure")
        for what, target, figure, reached in lines:
            print(f"{what:52}  {target:>17}  {reached:7}  {figure}")


def engine_lines(measured):
    def value(name, field="ns_per_segment"):
        return next((each[field] for key, each in measured.items() if key.startswith(name) and field in each), None)

    lines = []
    if (each := value("mixed_session/1000")) is not None:
        lines.append(("engine, a segment of mixed sessions", "<= 150 ns", f"{each:.0f} ns", "yes" if each <= 150 else "NO"))
        allocations = value("mixed_session/1000", "allocations")
        lines.append(("engine, allocations in the steady state", "0 a segment", f"{allocations:.4f} a segment",
                      "yes" if allocations == 0 else "NO"))
        if (many := value("live_sessions/1000000")) is not None:
            few = value("live_sessions/1000/") or value("live_sessions/1000")
            lines.append(("engine, 1,000,000 sessions over 1,000", "<= 2.5", f"{many / few:.2f} ({many:.0f} ns over {few:.0f} ns)",
                          "yes" if many <= 2.5 * few else "NO"))
    if (each := value("idle_memory/1000000/0", "bytes_per_session")) is not None:
        lines.append(("engine, memory of an idle session", "<= 256 bytes", f"{each:.0f} bytes", "yes" if each <= 256 else "NO"))
    for segments, what in ((21, "after two transfers"), (210, "after twenty")):
        if (each := value(f"idle_memory/100000/{segments}", "bytes_per_session")) is not None:
            lines.append((f"the same, {what}", "", f"{each:.0f} bytes", ""))
    return lines


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))
    try:
        main()
    except Failure as failure:
        sys.exit(f"tests/bench/run: {failure}")
    except KeyboardInterrupt:
        sys.exit("tests/bench/run: ended by SIGINT")
