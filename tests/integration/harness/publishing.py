"""Ways into the rooms: the publisher's command line, and a plain PUBLISH."""
import json
import subprocess
import threading
import uuid
from datetime import datetime, timezone
from pathlib import Path

from harness.gateway import BUILD_DIR, REPOSITORY, SANITIZER_REPORTS, environment
from harness.redis_server import RedisServer
from harness.wait import DEADLINE, until

PUBLISH = BUILD_DIR / "publisher" / "guesslyfe-publish"


def examples() -> dict[str, dict]:
    """Every event of the catalogue with its example data."""
    files = sorted((REPOSITORY / "common/schema/events").glob("*.json"))
    return {event["name"]: event for event in (json.loads(path.read_text()) for path in files)}


def run_publish(redis: RedisServer, *arguments: str, stdin: str | None = None, **settings):
    done = subprocess.run([PUBLISH, *arguments], input=stdin or "", text=True, timeout=30, capture_output=True,
                          env=environment(REDIS_HOST=redis.host, REDIS_PORT=redis.port, **settings))
    assert not any(report in done.stderr for report in SANITIZER_REPORTS), done.stderr
    return done


class Running:
    """guesslyfe-publish while it runs: lines of its output as they come."""

    def __init__(self, redis: RedisServer, *arguments: str, **settings):
        self.process = subprocess.Popen([PUBLISH, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True,
                                        env=environment(REDIS_HOST=redis.host, REDIS_PORT=redis.port, **settings))
        self.lines, self.words = [], []
        self.readers = [threading.Thread(target=self._read, args=pair, daemon=True)
                        for pair in ((self.process.stdout, self.lines), (self.process.stderr, self.words))]
        for reader in self.readers:
            reader.start()

    @staticmethod
    def _read(stream, lines: list[str]) -> None:
        for line in stream:
            lines.append(line.rstrip("\n"))

    def wait_lines(self, count: int) -> list[str]:
        until(lambda: len(self.lines) >= count, f"{count} lines; there are {self.lines}, {self.words}")
        return self.lines

    def wait_words(self, text: str) -> None:
        until(lambda: any(text in line for line in self.words), f"{text!r} among {self.words}")

    def end(self, number: int | None = None) -> int:
        """By that signal, or by itself; its status."""
        if number is not None:
            self.process.send_signal(number)
        try:
            status = self.process.wait(DEADLINE)
        finally:
            self.process.kill()
        for reader in self.readers:
            reader.join()
        assert not any(report in line for report in SANITIZER_REPORTS for line in self.words), self.words
        return status


def publish(redis: RedisServer, event: str, data: dict | str, *options: str) -> str:
    """Publishes with the command line tool; data as text goes through untouched."""
    text = data if isinstance(data, str) else json.dumps(data)
    done = run_publish(redis, *options, event, stdin=text)
    assert done.returncode == 0, done.stderr
    return done.stdout


def publish_all(redis: RedisServer, events: list[tuple[str, dict]], **settings) -> list[str]:
    """Many events in their order, by one process; returns their ids."""
    lines = "".join(json.dumps({"event": event, "data": data}) + "\n" for event, data in events)
    done = run_publish(redis, "--bulk", "--json", stdin=lines, **settings)
    assert done.returncode == 0, done.stderr
    return [str(json.loads(line)["id"]) for line in done.stdout.splitlines()]


class Stream:
    """One event after the other, event(0), event(1), …, each once whatever happens to Redis, until ended."""

    def __init__(self, redis: RedisServer, event, seconds_between: float = 0.005):
        self.event, self.seconds_between, self.lines = event, seconds_between, []
        self.keys = uuid.uuid4().hex  # a stream that begins later may get this one's id()
        self.environment = environment(REDIS_HOST=redis.host, REDIS_PORT=redis.port, PUBLISH_TIMEOUT=60000)
        self.process = self._publisher()
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    @property
    def count(self) -> int:
        return len(self.lines)

    def _publisher(self) -> subprocess.Popen:
        return subprocess.Popen([PUBLISH, "--bulk"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, bufsize=0,
                                env=self.environment)

    def _run(self) -> None:
        while not self.ending.wait(self.seconds_between):
            name, data = self.event(self.count)
            line = {"event": name, "data": data, "idempotencyKey": f"{self.keys}-{self.count}"}
            self.lines.append(json.dumps(line).encode() + b"\n")
            self._write(self.lines[-1:])

    def _write(self, lines: list[bytes]) -> None:
        """Where the publisher has given up, another one begins from the start: what is stored is not stored again."""
        try:
            for line in lines:
                self.process.stdin.write(line)
        except BrokenPipeError:
            self.process.wait()
            self.process = self._publisher()
            self._write(self.lines)

    def wait_more(self, count: int) -> None:
        goal = self.count + count
        until(lambda: self.count >= goal, f"{count} more events are on their way")

    def end(self) -> int:
        """How many there were; all are stored now."""
        self.ending.set()
        self.thread.join()
        self.process.stdin.close()
        while self.process.wait(90) != 0:
            self.process = self._publisher()
            self._write(self.lines)
            self.process.stdin.close()
        return self.count


def payload(event: str, data: dict) -> str:
    now = datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return json.dumps({"type": event, "timestamp": now, "data": data})


def plain_publish(redis: RedisServer, room: str, message: str | bytes) -> int:
    """The way without our library; returns how many gateways received it."""
    return redis.command("PUBLISH", f"guesslyfe:{{0}}:room:{room}", message)


def plain_event(redis: RedisServer, room: str, event: str, data: dict) -> int:
    return plain_publish(redis, room, f"0 0 {event} {room}\n{payload(event, data)}")
