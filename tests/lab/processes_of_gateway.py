# SPDX-License-Identifier: GPL-2.0-or-later
"""The processes of a gateway as the kernel knows them: the worker, which was started, and its children: the keeper, and
ftpalg-web where there is a page."""

import pathlib

from failure import Failure

CAP_DAC_READ_SEARCH, CAP_NET_ADMIN, CAP_NET_RAW, CAP_SETPCAP = (1 << bit for bit in (2, 12, 13, 8))
CAPABILITY_SETS = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")


def status(pid):
    """What /proc says of a process, a string by its name; nothing of one that is gone."""
    try:
        lines = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return {}
    return dict(line.split(":\t", 1) for line in lines if ":\t" in line)


def capabilities(pid):
    """The capability sets of a process, as numbers by name."""
    read = status(pid)
    return {name: int(read[name], 16) for name in CAPABILITY_SETS}


def is_alive(pid):
    """A process that nobody has waited for yet is dead all the same."""
    return status(pid).get("State", "Z")[0] not in "ZX"


def children_of(process, name=None):
    """The process ids of its children, or of those with the name."""
    return [pid for pid in _processes()
            if (read := status(pid)).get("PPid") == str(process.pid) and (name is None or read["Name"] == name)]


def keeper_of(process):
    """The process id of the keeper."""
    keepers = children_of(process, "ftpalg-keeper")
    if len(keepers) != 1:
        raise Failure(f"{process.name} was to have one keeper, and has {keepers}:\n{process.log_tail()}")
    return keepers[0]


def threads_of(pid):
    """The ids of a process's threads, its first one among them."""
    return [int(path.name) for path in pathlib.Path(f"/proc/{pid}/task").iterdir()]


def bytes_resident(pid):
    """How much memory a process has now, and how much it had at most."""
    read = status(pid)
    return tuple(int(read[name].split()[0]) << 10 for name in ("VmRSS", "VmHWM"))


def _processes():
    return [int(path.name) for path in pathlib.Path("/proc").iterdir() if path.name.isdigit()]
