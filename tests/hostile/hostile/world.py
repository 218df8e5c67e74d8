"""A private Redis and a real gateway as processes, and what can be seen of them from outside."""

import collections
import json
import os
import re
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from peer.http import fetch

SECRET = "hostile-secret-of-at-least-32-bytes"
START_SECONDS = 20
MAX_CONNECTIONS = 200

# Short, so that whatever a stranger leaves behind is gone within the run.
SETTINGS = {
    "JWT_SECRET": SECRET,
    "MAX_CONNECTIONS": str(MAX_CONNECTIONS),
    "PING_INTERVAL": "2000",
    "PING_TIMEOUT": "6000",
    "UPGRADE_TIMEOUT": "1000",
    "CONNECT_TIMEOUT": "1500",
    "HEADER_TIMEOUT": "1000",
    "BODY_TIMEOUT": "1500",
    "IDLE_TIMEOUT": "8000",
    "CLIENT_STALL": "2000",
    "CLIENT_QUEUE_BYTES": "2097152",
    "ROOM_LINGER": "3000",
    "HANDSHAKE_RATE": "0",
    "DRAIN_DELAY": "0",
    "DRAIN_WINDOW": "0",
    "ASAN_OPTIONS": "quarantine_size_mb=8:allocator_release_to_os_interval_ms=200",
    "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1",
}
REPORT = re.compile(r"AddressSanitizer|LeakSanitizer|runtime error|Assertion .* failed")


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def until(condition, seconds: float, what: str):
    """Its first true value."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, f"not within {seconds:.0f} s: {what}"
        time.sleep(0.05)
    return value


def answers(port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0


class Redis:
    """Commands of a few words, pipelined; the answers are read by who cares."""

    def __init__(self, port: int):
        self.sock = socket.create_connection(("127.0.0.1", port), 10)
        self.file = self.sock.makefile("rb")

    def publish(self, messages: list[tuple[str, bytes]]) -> list[int]:
        """How many subscribers each of them reached."""
        out = b""
        for channel, payload in messages:
            name = channel.encode()
            out += b"*3\r\n$7\r\nPUBLISH\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n" % (
                len(name), name, len(payload), payload)
        self.sock.sendall(out)
        return [int(self.file.readline()[1:]) for _ in messages]

    def close(self) -> None:
        self.file.close()
        self.sock.close()


class World:
    def __init__(self, build: Path):
        self.folder = tempfile.TemporaryDirectory(prefix="hostile-")
        self.log = Path(self.folder.name) / "gateway.log"
        self.port, self.ops_port, self.redis_port = free_port(), free_port(), free_port()
        self.address = ("127.0.0.1", self.port)
        self.program = build / "gateway/guesslyfe-gateway"
        self.redis = self.gateway = None
        try:
            self.start()
        except BaseException:
            self.end()
            raise

    def start(self) -> None:
        self.redis = subprocess.Popen(
            ["redis-server", "--port", str(self.redis_port), "--bind", "127.0.0.1", "--save", "",
             "--appendonly", "no", "--client-output-buffer-limit", "pubsub 256mb 0 0", "--dir", self.folder.name], stdout=subprocess.DEVNULL)
        until(lambda: answers(self.redis_port), START_SECONDS, "Redis answers")
        environment = os.environ | SETTINGS | {
            "PORT": str(self.port), "OPS_PORT": str(self.ops_port), "HOST": "127.0.0.1",
            "REDIS_HOST": "127.0.0.1", "REDIS_PORT": str(self.redis_port)}
        with self.log.open("wb") as log:
            self.gateway = subprocess.Popen(
                [self.program], stderr=log, env=environment)
        until(lambda: self.gateway.poll() is not None or answers(self.ops_port), START_SECONDS,
              "the gateway answers")
        until(lambda: self.health()["redis"] == "up", START_SECONDS, "the gateway has Redis")

    def takes(self, **settings: str) -> bool:
        """Whether a gateway would start with these settings."""
        done = subprocess.run([self.program, "--check-config"], capture_output=True, timeout=20,
                              env=os.environ | SETTINGS | settings)
        return done.returncode == 0

    def health(self) -> dict:
        return fetch(("127.0.0.1", self.ops_port), "GET", "/healthz", Connection="close").json()

    def stats(self) -> dict:
        return fetch(("127.0.0.1", self.ops_port), "GET", "/stats", Connection="close").json()

    def descriptors(self) -> int:
        return len(os.listdir(f"/proc/{self.gateway.pid}/fd"))

    def memory(self) -> int:
        """Resident bytes."""
        pages = Path(f"/proc/{self.gateway.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    def sanitized(self) -> bool:
        return "libasan" in Path(f"/proc/{self.gateway.pid}/maps").read_text()

    def alive(self) -> bool:
        return self.gateway.poll() is None

    def stop_gateway(self) -> int:
        self.gateway.terminate()
        return self.gateway.wait(timeout=30)

    def log_text(self) -> str:
        return self.log.read_text(errors="replace")

    def log_counts(self) -> collections.Counter:
        """Lines by what they say."""
        return collections.Counter(re.findall(r'msg=("[^"]*"|\S+)', self.log_text()))

    def report(self) -> str:
        """What a sanitizer or an assertion said; empty where none did."""
        text = self.log_text()
        found = REPORT.search(text)
        return text[max(0, found.start() - 200) : found.start() + 6000] if found else ""

    def end(self) -> None:
        for process in (self.gateway, self.redis):
            if process and process.poll() is None:
                process.kill()
                process.wait()
        self.folder.cleanup()


def pretty(counts: collections.Counter) -> str:
    return json.dumps(dict(counts.most_common()))
