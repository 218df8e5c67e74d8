"""
A pytest plugin for tests/conformance: where its tests start an echo server, they get three behind a proxy that gives
each request to the next one. FLEET_PROXY says which proxy, FLEET_SCRATCH where its files go.
"""
import os
from pathlib import Path

from peer import echo

from fleet import proxies
from harness.redis_server import RedisServer
from harness.wait import until

SERVERS = 3
OneServer = echo.EchoServer


class EchoFleet:
    redis: RedisServer | None = None  # of all

    def __init__(self, log: Path, *flags: str, port: int = 0):
        if EchoFleet.redis is None:
            EchoFleet.redis = RedisServer(Path(os.environ["FLEET_SCRATCH"]) / "redis")
        before = self._listeners()
        self.servers = [OneServer(log.with_name(f"log-{number}"), *flags, "--redis-port", str(self.redis.port))
                        for number in range(SERVERS)]
        until(lambda: self._listeners() == before + SERVERS, "the servers hear each other")
        kind = proxies.ALL[os.environ["FLEET_PROXY"]]
        self.proxy = kind(log.with_name("proxy"), [server.address[1] for server in self.servers], port)
        self.address = ("127.0.0.1", self.proxy.port)

    def _listeners(self) -> int:
        return len(self.redis.command("PUBSUB", "CHANNELS", "echo:to:*"))

    def stop(self) -> None:
        self.proxy.stop()
        for server in self.servers:
            server.stop()


echo.EchoServer = EchoFleet  # now: conftest.py takes it before pytest_configure()


def pytest_unconfigure() -> None:
    if EchoFleet.redis:
        EchoFleet.redis.stop()
        EchoFleet.redis = None
