"""What a machine must allow for so many clients, and what there is to be raised."""

import dataclasses
import pathlib

from shared.machine import SPARE_FILES, allow_files, meminfo

FILES_OF_A_PROCESS = 50
CLIENTS_OF_A_GATEWAY = 16700  # where more files than that are allowed
SOURCES = 200  # addresses that a load generator connects from: load/source.c
BYTES_OF_A_CLIENT = 14 * 1024  # of the whole machine, two sockets in the kernel among them
SOCKETS_OF_A_BUCKET = 2
MANY = 100000  # clients, so that their packets come in heaps
PACKETS_AT_ONCE = 100000
PROC = pathlib.Path("/proc")


@dataclasses.dataclass
class System:
    """As the kernel has it."""
    files_of_a_process: int
    files: int  # of all, that may still be opened
    watches: int  # of epoll, of one user
    ports: int  # that connections are made from
    tcp_pages: int  # of data in all TCP sockets together; None where it is not told
    tcp_buckets: int  # of the table of connections that stand, likewise
    backlog: int  # packets that may wait on a core, likewise
    tracked: int  # connections that the firewall follows; None where it does not
    tracked_most: int
    memory: int  # bytes that are free


def _numbers(path):
    return [int(word) for word in (PROC / path).read_text().split()]


def _told(path):
    """The last of the numbers; None in a network namespace that is not told."""
    try:
        return _numbers(path)[-1]
    except OSError:
        return None


def _tracking():
    """A firewall that follows connections has some already: the machine's own."""
    try:
        count, = _numbers("sys/net/netfilter/nf_conntrack_count")
        most, = _numbers("sys/net/netfilter/nf_conntrack_max")
    except OSError:
        return None, 0
    return (count, most) if count > 0 else (None, 0)


def read_system():
    opened, free, files = _numbers("sys/fs/file-nr")
    first, last = _numbers("sys/net/ipv4/ip_local_port_range")
    tracked, tracked_most = _tracking()
    return System(
        files_of_a_process=allow_files(),
        files=files - opened + free, watches=_numbers("sys/fs/epoll/max_user_watches")[0],
        ports=last - first + 1, tcp_pages=_told("sys/net/ipv4/tcp_mem"),
        tcp_buckets=_told("sys/net/ipv4/tcp_ehash_entries"),
        backlog=_told("sys/net/core/netdev_max_backlog"), tracked=tracked,
        tracked_most=tracked_most, memory=meminfo()["MemAvailable"])


def gateways_for(clients, system):
    """An even number of them, 4 at least."""
    most = max(1, min(system.files_of_a_process - SPARE_FILES, CLIENTS_OF_A_GATEWAY))
    return max(4, 2 * -(-clients // (2 * most)))


def obstacles(clients, gateways, system):
    """What a run cannot get over, each with what to do."""
    each = -(-clients // gateways)
    if each > system.files_of_a_process - SPARE_FILES:
        yield (f"{each:,} clients of a gateway need {each + SPARE_FILES:,} open files, and "
               f"{system.files_of_a_process:,} are allowed: ulimit -Hn {each + SPARE_FILES}, or "
               "more --gateways")
    # Half of the gateways are replaced while they still run.
    files = 2 * clients + FILES_OF_A_PROCESS * 3 * gateways
    if files > system.files:
        yield (f"a connection is two files, {files:,} in all, and {system.files:,} more may be "
               f"opened: sysctl -w fs.file-max={2 * files}")
    if 2 * clients > system.watches:
        yield (f"epoll has to watch {2 * clients:,} sockets, and may watch {system.watches:,} for "
               f"one user: sysctl -w fs.epoll.max_user_watches={4 * clients}")
    if each > SOURCES * system.ports:
        yield (f"{SOURCES} addresses with {system.ports:,} ports each are too few for {each:,} "
               'connections to one gateway: sysctl -w net.ipv4.ip_local_port_range="10000 65535"')
    if clients * BYTES_OF_A_CLIENT > system.memory:
        yield (f"{clients:,} clients need some {clients * BYTES_OF_A_CLIENT >> 20:,} MiB of "
               f"memory, and {system.memory >> 20:,} MiB are free: fewer --clients")


def doubts(clients, system):
    """What may make a run slow, each with what to do."""
    pages = 2 * clients
    if system.tcp_pages is not None and pages > system.tcp_pages:
        yield (f"an event to all may be in {clients:,} sockets at once, each of which counts as "
               f"one page for the sender and one for the receiver, {pages:,} in all, and the "
               f"kernel drops packets above {system.tcp_pages:,}: sysctl -w "
               f'net.ipv4.tcp_mem="{pages} {3 * pages // 2} {2 * pages}"')
    if system.tcp_buckets is not None and 2 * clients > SOCKETS_OF_A_BUCKET * system.tcp_buckets:
        yield (f"the kernel keeps {2 * clients:,} connections in {system.tcp_buckets:,} lists, and "
               "searches one for each packet. A network namespace may have a larger table: "
               f"sysctl -w net.ipv4.tcp_child_ehash_entries={2 * clients}; unshare -n; "
               "ip link set lo up")
    if system.backlog is not None and clients >= MANY and system.backlog < PACKETS_AT_ONCE:
        yield (f"the kernel drops packets when {system.backlog:,} wait on a core: "
               f"sysctl -w net.core.netdev_max_backlog={PACKETS_AT_ONCE}")
    if system.tracked is not None and clients > system.tracked_most - system.tracked:
        yield (f"the firewall follows connections, {system.tracked_most:,} at most: where it does "
               f"so on lo as well, sysctl -w net.netfilter.nf_conntrack_max={2 * clients}")
