"""
The publisher's command line as a cron job would use it: one long-lived `guesslyfe-publish --bulk`, started again when
it gives up. Every line is published, with its key, until it is confirmed with an id.
"""
import collections
import json
import os
import pty
import subprocess
import threading
import time
import tty
from pathlib import Path

from faults.events import Numbered
from harness.gateway import SANITIZER_REPORTS, environment
from harness.publishing import PUBLISH
from harness.wait import until

QUICK = {"PUBLISH_TIMEOUT": 3000, "REDIS_BACKOFF_MIN": 20, "REDIS_BACKOFF_MAX": 200, "REDIS_REPLY_TIMEOUT": 1500}
AGAIN_SECONDS = 0.1
EXIT_DATA = 3  # the line itself is wrong: no use to repeat it


class Session:
    """One process. Its results come over a terminal, because it would keep them back from a pipe."""

    def __init__(self, settings: dict, log: Path, on_answer):
        self.on_answer = on_answer
        self.keys: list[str] = []  # of its lines
        self.open: set[str] = set()  # not answered yet
        self.ended = False
        self.master, slave = pty.openpty()
        tty.setraw(slave)
        with open(log, "ab") as errors:
            self.process = subprocess.Popen([PUBLISH, "--bulk", "--json"], env=environment(**settings),
                                            stdin=subprocess.PIPE, stdout=slave, stderr=errors)
        os.close(slave)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def write(self, one: Numbered) -> bool:
        self.keys.append(one.key)
        self.open.add(one.key)
        try:
            self.process.stdin.write(one.line().encode())
            self.process.stdin.flush()
        except OSError:
            return False
        return True

    def _read(self) -> None:
        with os.fdopen(self.master, "rb") as results:
            try:
                for line in results:
                    self._take(json.loads(line))
            except OSError:  # how a terminal says that nobody is left
                pass
        self.ended = True

    def _take(self, result: dict) -> None:
        key = self.keys[result["line"] - 1] if 0 < result.get("line", 0) <= len(self.keys) else None
        if key in self.open:
            self.open.discard(key)
            self.on_answer(key, result)

    def stop(self) -> None:
        try:
            self.process.stdin.close()
        except OSError:
            pass
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)
        self.reader.join(5)


class Publisher:
    def __init__(self, settings: dict, directory: Path):
        self.settings, self.log = QUICK | settings, directory / "publisher.log"
        self.changed = threading.Condition()
        self.known: dict[str, Numbered] = {}
        self.confirmed: dict[str, set[int]] = {}
        self.waiting: collections.deque[str] = collections.deque()
        self.failed: list[str] = []  # to be repeated
        self.problems: list[str] = []
        self.repeated = 0
        self.session: Session | None = None
        self.done = False
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def submit(self, one: Numbered) -> None:
        with self.changed:
            self.known[one.key] = one
            self.waiting.append(one.key)
            self.changed.notify_all()

    def repeat(self, key: str) -> None:
        """An event that may be confirmed already: it must get the id that it has."""
        with self.changed:
            self.waiting.append(key)
            self.changed.notify_all()

    def idle(self) -> bool:
        with self.changed:
            return (len(self.confirmed) == len(self.known) and not self.waiting and not self.failed
                    and not (self.session and self.session.open))

    def wait_idle(self, seconds: float = 30) -> None:
        until(self.idle, "every event is confirmed", seconds)

    def _on_answer(self, key: str, result: dict) -> None:
        with self.changed:
            if "id" in result:
                self.confirmed.setdefault(key, set()).add(int(result["id"]))
            elif result.get("exitCode") == EXIT_DATA:
                self.problems.append(f"the publisher refused {self.known[key]}: {result['error']}")
            else:
                self.failed.append(key)

    def _next(self) -> str | None:
        """Waits for the next key, and gives what failed its turn again."""
        with self.changed:
            self.changed.wait_for(lambda: self.waiting or self.done, AGAIN_SECONDS)
            if self.failed:
                self.repeated += len(self.failed)
                self.waiting.extendleft(reversed(self.failed))
                self.failed.clear()
            return self.waiting.popleft() if self.waiting and not self.done else None

    def _run(self) -> None:
        while not self.done:
            if self.session is None or self.session.ended:
                self._restart()
            key = self._next()
            if key is not None and not self.session.write(self.known[key]):
                self.session.ended = True
        if self.session:
            self.session.stop()

    def _restart(self) -> None:
        if self.session is not None:
            self.session.stop()
            with self.changed:
                self.failed.extend(key for key in self.session.keys if key in self.session.open)
            time.sleep(AGAIN_SECONDS)
        self.session = Session(self.settings, self.log, self._on_answer)

    def stop(self) -> None:
        with self.changed:
            self.done = True
            self.changed.notify_all()
        self.thread.join(20)

    def report(self) -> list[str]:
        errors = self.log.read_text(errors="replace") if self.log.exists() else ""
        return self.problems + [f"the publisher: {errors[-4000:]}" for report in SANITIZER_REPORTS if report in errors]
