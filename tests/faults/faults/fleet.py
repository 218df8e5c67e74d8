"""The clients' processes, and what the clients tell."""
import json
import subprocess
import threading
import time
from collections import defaultdict
from dataclasses import asdict, dataclass, field
from pathlib import Path

from faults.journal import Happening, happening
from harness.tokens import mint

CLIENTS = Path(__file__).resolve().parents[1] / "clients.mjs"
DAY = 86400
# Fast, so that a campaign sees many returns.
OPTIONS = {"reconnectionDelay": 100, "reconnectionDelayMax": 500, "randomizationFactor": 0.5, "timeout": 3000}


@dataclass
class Person:
    name: str
    sub: str
    address: str
    rooms: list[str] = field(default_factory=list)
    style: str = "plain"
    recovery: bool = True

    @property
    def own_rooms(self) -> list[str]:
        return [f"user:{self.address}", f"user:{self.sub}", "global:all"]

    def description(self) -> dict:
        wanted = {name: value for name, value in asdict(self).items() if name not in ("sub", "address")}
        return wanted | {"token": mint(self.sub, self.address, exp=int(time.time()) + DAY)}


class Fleet:
    def __init__(self, directory: Path):
        with open(directory / "clients.log", "ab") as errors:
            self.process = subprocess.Popen(["node", CLIENTS], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                            stderr=errors)
        self.changed = threading.Condition()
        self.journals: dict[str, list[Happening]] = defaultdict(list)
        self.members: dict[str, set[str]] = defaultdict(set)  # client → rooms acknowledged on this connection
        self.up: set[str] = set()  # `connected` received on this connection
        self.arrived: dict[str, Happening] = {}  # client → its last connect
        self.times: dict[str, int] = defaultdict(int)  # client → how often it connected
        self.holders: dict[str, set[str]] = {}  # key → clients that got it, of watched keys
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in self.process.stdout:
            if not line.endswith(b"\n"):  # the process was ended in the middle of it
                return
            with self.changed:
                for name, t, kind, *details in json.loads(line):
                    self._take(name, happening(t, kind, *details))
                self.changed.notify_all()

    def _take(self, name: str, one: Happening) -> None:
        self.journals[name].append(one)
        if one.kind == "event":
            if one.key in self.holders:
                self.holders[one.key].add(name)
        elif one.kind == "connected":
            self.up.add(name)
        elif one.kind in ("disconnect", "closed"):
            self.up.discard(name)
        elif one.kind == "connect":
            self.arrived[name] = one
            self.times[name] += 1
            if not one.recovered:
                self.members[name].clear()
        elif one.kind == "ack" and one.success:
            self.members[name].add(one.room)

    def _do(self, do: str, clients: list, **arguments) -> None:
        line = json.dumps({"do": do, "clients": clients, **arguments})
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()

    def open(self, people: list[Person], url: str, **options) -> None:
        self._do("open", [person.description() for person in people], url=url, options=OPTIONS | options)

    def drop(self, names: list[str]) -> None:
        self._do("drop", names)

    def subscribe(self, names: list[str], room: str, **wish) -> None:
        self._do("subscribe", names, room=room, **wish)

    def close(self, names: list[str]) -> None:
        self._do("close", names)

    def watch(self, key: str) -> None:
        with self.changed:
            self.holders[key] = set()

    def wait(self, condition, seconds: float = 15) -> bool:
        """False when it does not come true; what is missing then, the checker tells."""
        with self.changed:
            return self.changed.wait_for(condition, seconds)

    def wait_settled(self, people: list[Person], seconds: float = 15) -> bool:
        """All of them connected, and in their rooms."""
        return self.wait(lambda: all(person.name in self.up and self.members[person.name].issuperset(person.rooms)
                                     for person in people), seconds)

    def of(self, name: str, kind: str) -> list[Happening]:
        with self.changed:
            return [one for one in self.journals[name] if one.kind == kind]

    def stop(self) -> None:
        self.process.stdin.close()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)
