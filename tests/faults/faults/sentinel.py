"""Sentinels whose primary fails again and again."""
import re
from datetime import datetime
from pathlib import Path

from harness.sentinel import FAILOVER_SECONDS, MASTER, SentinelWorld
from harness.wait import until

PROMOTED, DEMOTED = "MASTER MODE enabled", "REPLICAOF "
ROLE_CHANGE = re.compile(rf"^\d+:\w (\d+ \w+ \d+ [\d:.]+) \* ({PROMOTED}|{DEMOTED})")
CHANGE_US = 10_000_000


def _role_changes(log: Path):
    """(when, what) of each."""
    for line in log.read_text(errors="replace").splitlines():
        if match := ROLE_CHANGE.match(line):
            yield int(datetime.strptime(match[1], "%d %b %Y %H:%M:%S.%f").timestamp() * 1e6), match[2]


class Sentinels(SentinelWorld):
    @property
    def settings(self) -> dict:
        addresses = [f"{sentinel.host}:{sentinel.port}" for sentinel in self.sentinels]
        return {"REDIS_SENTINELS": ",".join(addresses), "REDIS_SENTINEL_MASTER": MASTER}

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
        until(lambda: self.in_step(self.primary()), "the replicas follow the primary", FAILOVER_SECONDS)
        for sentinel in self.sentinels:
            until(sentinel.knows_all, "a sentinel knows all others", FAILOVER_SECONDS)

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
