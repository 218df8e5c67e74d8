"""A primary, two replicas, and three sentinels that watch over them."""
import re
import subprocess
from datetime import datetime
from pathlib import Path

import redis

from harness.redis_server import RedisServer
from harness.wait import free_port, until

MASTER = "mymaster"
SENTINELS = REPLICAS = 2  # beside the first of each
DOWN_AFTER_MS = 800
LATER_MS = 250  # each notices a little later, so that they do not all want to lead the failover
FAILOVER_SECONDS = 60  # generous: sentinels that vote at the same moment begin again after twice their timeout


PROMOTED, DEMOTED = "MASTER MODE enabled", "REPLICAOF "
ROLE_CHANGE = re.compile(rf"^\d+:\w (\d+ \w+ \d+ [\d:.]+) \* ({PROMOTED}|{DEMOTED})")
CHANGE_US = 10_000_000


def _role_changes(log: Path):
    """(when, what) of each."""
    for line in log.read_text(errors="replace").splitlines():
        if match := ROLE_CHANGE.match(line):
            yield int(datetime.strptime(match[1], "%d %b %Y %H:%M:%S.%f").timestamp() * 1e6), match[2]


class Sentinel:
    """redis-server in its other role, with a configuration file that it rewrites itself."""

    host = "127.0.0.1"

    def __init__(self, directory: Path, primary: RedisServer, down_after: int):
        directory.mkdir(parents=True)
        self.port, self.log = free_port(), directory / "sentinel.log"
        config = directory / "sentinel.conf"
        config.write_text(f"""bind {self.host}
port {self.port}
dir {directory}
logfile {self.log}
sentinel monitor {MASTER} {primary.host} {primary.port} 2
sentinel down-after-milliseconds {MASTER} {down_after}
sentinel failover-timeout {MASTER} 4000
sentinel parallel-syncs {MASTER} {REPLICAS}
""")
        self.process = subprocess.Popen(["redis-server", str(config), "--sentinel"], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT)
        self.client = redis.Redis(self.host, self.port, socket_timeout=10, decode_responses=True)

    def ask(self, *words: str):
        """None while it does not answer."""
        try:
            return self.client.execute_command("SENTINEL " + words[0], *words[1:])
        except redis.RedisError:
            return None

    def knows_all(self) -> bool:
        """A failover succeeds only when it has heard of the replicas and the other sentinels."""
        state = self.ask("MASTER", MASTER)
        return bool(state) and (state["num-slaves"], state["num-other-sentinels"]) == (REPLICAS, SENTINELS)

    def stop(self) -> None:
        self.client.close()
        self.process.kill()
        self.process.wait(10)


class Sentinels:
    """host and port are no primary's: programs find it by `settings`."""

    host, port = "127.0.0.1", 1

    def __init__(self, directory: Path, *options: str):
        self.options = (*options, "--repl-diskless-sync-delay", "0")
        self.servers: list[RedisServer] = []
        self.sentinels: list[Sentinel] = []
        try:
            self._start(directory)
        except BaseException:
            self.stop()
            raise

    def _start(self, directory: Path) -> None:
        for number in range(1 + REPLICAS):
            replica = ["--replicaof", f"{self.host} {self.servers[0].port}"] if number else []
            self.servers.append(RedisServer(directory / f"redis{number}", *self.options, *replica))
        until(lambda: self._in_step(self.servers[0]), "the replicas hold what the primary holds", FAILOVER_SECONDS)
        for number in range(1 + SENTINELS):
            down_after = DOWN_AFTER_MS + number * LATER_MS
            self.sentinels.append(Sentinel(directory / f"sentinel{number}", self.servers[0], down_after))
        for sentinel in self.sentinels:
            until(sentinel.knows_all, "a sentinel knows all others", 30)

    @property
    def settings(self) -> dict:
        addresses = [f"{sentinel.host}:{sentinel.port}" for sentinel in self.sentinels]
        return {"REDIS_SENTINELS": ",".join(addresses), "REDIS_SENTINEL_MASTER": MASTER}

    def primary(self) -> RedisServer:
        """As most sentinels say."""
        ports = [int(answer[1]) for answer in
                 (sentinel.ask("GET-MASTER-ADDR-BY-NAME", MASTER) for sentinel in self.sentinels) if answer]
        most = max(ports, key=ports.count)
        return next(server for server in self.servers if server.port == most)

    def wait_for_failover(self, old: RedisServer) -> RedisServer:
        until(lambda: self.primary() is not old, "the sentinels name another primary", FAILOVER_SECONDS)
        new = self.primary()
        until(lambda: new.command("ROLE")[0] == b"master", "the new primary is one", FAILOVER_SECONDS)
        return new

    def heal(self) -> None:
        """
        Everybody is back and follows the primary, so that the next failover may come. Sentinels would tell a former
        primary too, but take eight seconds for it.
        """
        primary = self.primary()
        for server in self.servers:
            killed = server.process is None
            if killed:
                server.start()
            server.resume()
            if server is not primary and (killed or server.command("ROLE")[0] == b"master"):
                server.command("REPLICAOF", primary.host, primary.port)
        until(lambda: self._in_step(self.primary()), "the replicas follow the primary", FAILOVER_SECONDS)
        for sentinel in self.sentinels:
            until(sentinel.knows_all, "a sentinel knows all others", FAILOVER_SECONDS)

    def _in_step(self, primary: RedisServer) -> bool:
        """A replica that is only connected may have nothing yet."""
        try:
            replicas = [value for name, value in primary.command("INFO", "replication").items()
                        if name.startswith("slave") and isinstance(value, dict)]
            return len(replicas) == REPLICAS and all(replica["state"] == "online" for replica in replicas)
        except redis.RedisError:
            return False

    def changes(self) -> list[tuple[int, int]]:
        """
        When primaries changed, in microseconds: from the promotion of one until the last other has become a replica.
        There are more of these than faults: two sentinels may both lead a failover, and the second one undoes the first.
        """
        lines = sorted(line for server in self.servers for line in _role_changes(server.directory / "redis.log"))
        found = []
        for promoted in (at for at, what in lines if what == PROMOTED):
            last = max(at for at, _ in lines if at < promoted + CHANGE_US)
            found.append((promoted, last))
        return found

    def stop(self) -> None:
        for process in [*self.sentinels, *self.servers]:
            process.stop()
