"""Official clients by the thousand, in a few processes of Node."""
import json
import subprocess
import threading
import time
from collections import Counter
from pathlib import Path

from faults.fleet import Person
from faults.journal import Happening, happening
from harness.wait import until

CROWD = Path(__file__).resolve().parents[1] / "crowd.mjs"
FAILURES_KEPT = 10000


class Process:
    """One process, and what it last told of its clients."""

    def __init__(self, journal: Path):
        self.journal_path = journal
        self.counts: Counter = Counter()
        self.failures: list[tuple[str, Happening]] = []
        self.flushed = threading.Event()
        with open(journal.with_suffix(".log"), "ab") as errors:
            self.process = subprocess.Popen(["node", CROWD, journal], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                            stderr=errors)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self) -> None:
        for line in self.process.stdout:
            if not line.endswith(b"\n"):  # the process was ended in the middle of it
                return
            said = json.loads(line)
            if "counts" in said:
                self.counts = Counter(said["counts"])
            elif "flushed" in said:
                self.flushed.set()
            elif len(self.failures) < FAILURES_KEPT:
                name, t, kind, *details = said["failure"]
                self.failures.append((name, happening(t, kind, *details)))

    def do(self, do: str, **arguments) -> None:
        self.process.stdin.write(json.dumps({"do": do, **arguments}).encode() + b"\n")
        self.process.stdin.flush()

    def journals(self, into: dict[str, list[Happening]]) -> None:
        """All that happened, also to those who are gone."""
        self.flushed.clear()
        self.do("flush")
        assert self.flushed.wait(60), "the clients' process does not write its journal"
        with open(self.journal_path, "rb") as lines:
            for line in lines:
                for name, t, kind, *details in json.loads(line):
                    into.setdefault(name, []).append(happening(t, kind, *details))

    def stop(self) -> None:
        self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)
        self.reader.join(5)


class Crowd:
    def __init__(self, directory: Path, name: str, processes: int = 2):
        directory.mkdir(parents=True, exist_ok=True)
        self.name = name
        self.people: list[Person] = []
        self.processes = [Process(directory / f"{name}-{number}.journal") for number in range(processes)]

    def open(self, people: list[Person], url: str, transports: list[str], pace: float, **options) -> None:
        """`pace`: how many a second."""
        self.people += people
        share = len(self.processes)
        for number, process in enumerate(self.processes):
            process.do("open", url=url, pace=pace / share, options={"transports": transports} | options,
                       clients=[person.description() for person in people[number::share]])

    def speak(self, every: float) -> None:
        """Each client emits `ping` about every so many seconds."""
        for process in self.processes:
            process.do("speak", every=every * 1000)

    def reconnect(self) -> None:
        """Those who were sent away come back, as a page does that does not know better."""
        for process in self.processes:
            process.do("reconnect")

    def watch(self, key: str) -> None:
        for process in self.processes:
            process.do("watch", key=key)

    def close(self) -> None:
        for process in self.processes:
            process.do("close")

    @property
    def counts(self) -> Counter:
        return sum((process.counts for process in self.processes), Counter())

    def wait(self, count: str, wanted: int, seconds: float) -> bool:
        """Until so many of a count; False when it does not come to that."""
        try:
            until(lambda: self.counts[count] >= wanted, f"{wanted} {count}", seconds)
            return True
        except AssertionError:
            return False

    def wait_settled(self, seconds: float) -> bool:
        """All of them connected, and in their rooms."""
        return self.wait("settled", len(self.people), seconds)

    @property
    def failures(self) -> list[tuple[str, Happening]]:
        return [one for process in self.processes for one in list(process.failures)]

    def codes(self) -> Counter:
        """Engine.IO code → how often a client was told it."""
        return Counter(one.code for _, one in self.failures if one.code is not None)

    def kinds(self) -> Counter:
        """Failures by what they say."""
        def told(one: Happening) -> str:
            what = one.reason if one.kind == "disconnect" else one.message
            return " ".join(str(part) for part in (one.kind, what, one.status, one.code, one.why) if part is not None)
        return Counter(told(one) for _, one in self.failures)

    def journals(self) -> dict[str, list[Happening]]:
        found: dict[str, list[Happening]] = {}
        for process in self.processes:
            process.journals(found)
        return found

    def stop(self) -> None:
        for process in self.processes:
            process.stop()


def settle_time(people: int, pace: float) -> float:
    return people / pace + 30


def now_ms() -> int:
    return time.time_ns() // 1_000_000
