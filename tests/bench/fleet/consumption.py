"""What processes and the kernel have used: memory, processor time, trouble with TCP."""

import os
import pathlib
import socket
import time

from shared.machine import meminfo

PROC = pathlib.Path("/proc")
TICK = os.sysconf("SC_CLK_TCK")
CACHES = 8  # of the slab's, that are named
KERNEL = ("Slab", "PageTables", "Percpu", "VmallocUsed")  # its memory, by the names in meminfo
# What should not happen, by the names in /proc/net/netstat.
TROUBLE = ("TCPMemoryPressures", "TCPRcvQDrop", "PruneCalled", "TCPTimeouts", "TCPAbortOnMemory",
           "ListenOverflows", "ListenDrops")


# --- Memory ---

def slab_caches():
    """Bytes by cache; none where that is not for us to read. The kernel puts kinds of objects that
    are alike into one cache, under the name of one of them."""
    page = os.sysconf("SC_PAGE_SIZE")
    try:
        lines = (PROC / "slabinfo").read_text().splitlines()[2:]
    except OSError:
        return {}
    fields = (line.split() for line in lines)
    return {f[0]: int(f[14]) * int(f[5]) * page for f in fields}


def private_bytes(processes):
    """Memory that each shares with nobody, added up."""
    return sum(int(line.split()[1]) * 1024 for process in processes
               for line in (PROC / f"{process.pid}/smaps_rollup").read_text().splitlines()
               if line.startswith("Private_"))


def redis_info(port, section):
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(f"INFO {section}\r\n".encode())
        stream = connection.makefile("rb")
        length = int(stream.readline()[1:])
        text = stream.read(length).decode()
    return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)


class Memory:
    """What has come to the machine's memory since it was made."""

    def __init__(self):
        self.machine, self.caches = meminfo(), slab_caches()

    def grown(self, gateways, generators, redis_port):
        machine, caches = meminfo(), slab_caches()
        redis = redis_info(redis_port, "memory")
        grown = {name: caches[name] - self.caches.get(name, 0) for name in caches}
        largest = sorted(grown, key=grown.get, reverse=True)[:CACHES]
        return {
            "machine": self.machine["MemAvailable"] - machine["MemAvailable"],
            "gateways": private_bytes(gateways), "generators": private_bytes(generators),
            "redis": int(redis["used_memory_rss"]), "redis_used": int(redis["used_memory"]),
            "kernel": sum(machine[name] - self.machine[name] for name in KERNEL),
            "caches": {name: grown[name] for name in largest if grown[name] > 0}}


# --- Processor time ---

def _used(process):
    """Seconds, user and system, of all threads."""
    fields = (PROC / f"{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def _machine_idle():
    return int((PROC / "stat").read_text().split("\n", 1)[0].split()[4]) / TICK


class Cores:
    """Processor time of groups of processes since it was made, as shares of one core."""

    def __init__(self, groups):
        self.groups = groups
        self.begin = time.monotonic()
        self.used, self.idle = self._all(), _machine_idle()

    def _all(self):
        return {name: sum(map(_used, group)) for name, group in self.groups.items()}

    def shares(self):
        seconds = time.monotonic() - self.begin
        used = self._all()
        return {**{name: round((used[name] - self.used[name]) / seconds, 3) for name in used},
                "idle": round((_machine_idle() - self.idle) / seconds, 3)}


def _waited(process):
    """Milliseconds that its main thread could have run and had no core to."""
    return int((PROC / f"{process.pid}/schedstat").read_text().split()[1]) / 1e6


class Queue:
    """How long processes waited for a core since the last look, each by itself."""

    def __init__(self):
        self.waited = {}

    def take(self, processes):
        before, self.waited = self.waited, {process.pid: _waited(process) for process in processes}
        each = [now - before.get(pid, 0) for pid, now in self.waited.items()]
        return {"mean_ms": round(sum(each) / len(each), 1), "most_ms": round(max(each), 1)}


# --- TCP ---

def _counters():
    result = {}
    lines = (PROC / "net/netstat").read_text().splitlines()
    for names, values in zip(lines[::2], lines[1::2]):
        result |= zip(names.split()[1:], map(int, values.split()[1:]))
    return result


class Trouble:
    """How often TCP had trouble since the last look, and the most pages that its data took."""

    def __init__(self):
        self.counters = _counters()
        self.pages = 0

    def look(self):
        line = next(line for line in (PROC / "net/sockstat").read_text().splitlines()
                    if line.startswith("TCP:"))
        self.pages = max(self.pages, int(line.split()[-1]))

    def take(self):
        self.look()
        now, before, pages = _counters(), self.counters, self.pages
        self.counters, self.pages = now, 0
        return {"pages": pages, **{name: now[name] - before[name] for name in TROUBLE
                                   if now[name] != before[name]}}
