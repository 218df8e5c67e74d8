"""The gateway's process, as an operator starts it."""
import json
import os
import re
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

from harness.metrics import Metrics
from harness.redis_server import RedisServer
from harness.wait import DEADLINE, until

REPOSITORY = Path(__file__).resolve().parents[3]
BUILD_DIR = Path(os.environ.get("BUILD_DIR", REPOSITORY / "build")).resolve()
GATEWAY = BUILD_DIR / "gateway" / "guesslyfe-gateway"
SECRET = "a secret for tests, longer than 32 bytes"

# What a test would otherwise have to wait for.
QUICK = {"ROOM_LINGER": 200, "REDIS_BACKOFF_MAX": 300, "REDIS_REPLY_TIMEOUT": 2000, "DRAIN_DELAY": 0, "DRAIN_WINDOW": 0}
SANITIZER_REPORTS = ("Sanitizer:", "runtime error:")
INHERITED = ("PATH", "HOME", "LANG", "ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS")


def environment(**settings) -> dict:
    """Nothing of the caller's own settings may leak into a program under test."""
    base = {name: os.environ[name] for name in INHERITED if name in os.environ}
    return base | {name: str(value) for name, value in settings.items() if value is not None}


class Gateway:
    def __init__(self, redis: RedisServer, log: Path, **settings):
        self.log_path = log
        self.killed = False
        defaults = QUICK | {"PORT": 0, "OPS_PORT": 0, "REDIS_HOST": redis.host, "REDIS_PORT": redis.port,
                            "JWT_SECRET": SECRET}
        with open(log, "wb") as out:
            self.process = subprocess.Popen([GATEWAY], env=environment(**(defaults | settings)),
                                            stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        listening = until(self._listening, "the gateway listens")
        self.port, self.ops_port = int(listening["port"]), int(listening["ops"])
        self.secure = settings.get("TLS_CERTIFICATE") is not None
        self.url = f"{'https' if self.secure else 'http'}://127.0.0.1:{self.port}"
        self.ops_url = f"http://127.0.0.1:{self.ops_port}"

    def _listening(self) -> re.Match | None:
        """It takes any free ports, and says in its log which these are."""
        assert self.process.poll() is None, "the gateway ended:\n" + self.log()
        return re.search(r"msg=listening port=(?P<port>\d+) ops_port=(?P<ops>\d+)", self.log())

    @property
    def pid(self) -> int:
        return self.process.pid

    def log(self) -> str:
        return self.log_path.read_text(errors="replace")

    def wait_ready(self, seconds: float = DEADLINE) -> "Gateway":
        until(lambda: self.readiness()[0] == 200, "the gateway is ready", seconds)
        return self

    def wait_not_ready(self, why: str, seconds: float = DEADLINE) -> None:
        """For that reason, of which these are the first words."""
        until(lambda: self.readiness()[1].get("why", "").startswith(why), f"the gateway is not ready: {why}", seconds)

    def readiness(self) -> tuple[int, dict]:
        """What /readyz says; status 0 and nothing while nobody listens yet."""
        assert self.process.poll() is None, "the gateway ended:\n" + self.log()
        status, body = self.get("/readyz")
        return status, json.loads(body or "{}")

    def wait_redis(self, state: str, seconds: float = DEADLINE) -> None:
        until(lambda: self.health().get("redis") == state, f"the gateway sees Redis {state}", seconds)

    def health(self) -> dict:
        """What /healthz says; empty while nobody listens yet."""
        assert self.process.poll() is None, "the gateway ended:\n" + self.log()
        status, body = self.get("/healthz")
        return json.loads(body) if status == 200 else {}

    def get(self, path: str) -> tuple[int, str]:
        """Status and body from the operations port; status 0 while nobody listens."""
        try:
            with urllib.request.urlopen(self.ops_url + path, timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as refusal:
            return refusal.code, refusal.read().decode()
        except OSError:
            return 0, ""

    def metrics(self) -> Metrics:
        return Metrics(self.get("/metrics")[1])

    def stats(self) -> dict:
        return json.loads(self.get("/stats")[1])

    def wait_log(self, text: str, times: int = 1) -> None:
        until(lambda: self.log().count(text) >= times, f"{text!r} {times} times in the log")

    def stop(self) -> None:
        """SIGTERM must end it cleanly: status 0, no sanitizer report."""
        if self.process.poll() is None:
            self.process.terminate()
        try:
            status = self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError("SIGTERM did not end the gateway:\n" + self.log()) from None
        self.assert_clean()
        assert status == 0 or self.killed, f"the gateway ended with {status}:\n" + self.log()

    def kill(self) -> None:
        """SIGKILL, like a machine that dies."""
        self.killed = True
        self.process.kill()
        self.process.wait()

    def assert_clean(self) -> None:
        log = self.log()
        assert not any(report in log for report in SANITIZER_REPORTS), log
