"""
Everything that a campaign runs: Redis, alone or watched by sentinels; gateways; the publisher; the clients; and the
proxies between them. Whatever is started here is stopped here, each by its own pid.

alone      gateway i reaches Redis by the route bus[i], the publisher by bus["publisher"]
sentinel   a primary with two replicas; programs ask the sentinels, nothing lies between
            clients reach the gateways by the route front, which takes one that lives
"""
import itertools
import signal
import threading
import time
from pathlib import Path
from types import SimpleNamespace

from faults import logs
from faults.checker import Event, Loss, Problem
from faults.fleet import Fleet
from faults.proxies import Proxies, Route
from faults.publisher import Publisher
from faults.sentinel import Sentinels
from harness.gateway import Gateway
from harness.redis_server import RedisServer
from harness.wait import until

CREATOR_CAP = 20  # the only logs that are meant to overflow
HISTORY = {"HISTORY_MARKET_LENGTH": 10000, "HISTORY_MARKET_AGE": 3600, "HISTORY_USER_LENGTH": 10000,
           "HISTORY_GLOBAL_LENGTH": 10000, "HISTORY_CREATOR_LENGTH": CREATOR_CAP, "HISTORY_CREATOR_AGE": 3600}
# Quick to notice, so that a short campaign sees every stage of every fault.
QUICK = {"PING_INTERVAL": 1000, "PING_TIMEOUT": 2000, "PROBE_INTERVAL": 300, "REDIS_BACKOFF_MIN": 50,
         "REDIS_BACKOFF_MAX": 300, "REDIS_REPLY_TIMEOUT": 1500, "MAX_CONNECTIONS": 5000, "DRAIN_DELAY": 200, "DRAIN_WINDOW": 1500}
# Written before the answer leaves, which is what a SIGKILL of the process leaves behind.
REDIS_OPTIONS = ("--appendfsync", "no")
READY_SECONDS = 30
DRAIN_SECONDS = 60


def now() -> int:
    return time.time_ns() // 1000


class Slot:
    """A gateway's place: what stands there is killed, and another takes it."""

    def __init__(self, number: int):
        self.number = number
        self.gateway: Gateway | None = None
        self.lock = threading.Lock()


class World:
    def __init__(self, directory: Path, kind: str = "alone", gateways: int = 3, publisher: dict | None = None,
                 **settings):
        self.directory, self.kind = directory, kind
        directory.mkdir(parents=True, exist_ok=True)
        self.settings = HISTORY | QUICK | settings
        self.losses: list[Loss] = []
        self.kept: dict[int, Event] = {}  # what logs held before their data was deleted on purpose
        self.problems: list[Problem] = []
        self.numbers = itertools.count()
        self.rooms: set[str] = {"global:all"}
        self.bus: dict[object, Route] = {}
        self.slots = [Slot(number) for number in range(gateways)]
        self.publisher_settings = publisher or {}
        self.parts: list = []  # how each is stopped, in the order they were started; again does no harm
        self.closing = False

    def open(self) -> "World":
        try:
            self._start()
        except BaseException:
            self.close()
            raise
        return self

    def _start(self) -> None:
        kind = Sentinels if self.kind == "sentinel" else RedisServer
        self.store = kind(self.directory / "redis", *REDIS_OPTIONS)
        self.parts.append(self.store.stop)
        assert not self.closing, "the campaign is over"
        self.proxies = Proxies()
        self.parts.append(self.proxies.stop)
        for who in [*range(len(self.slots)), "publisher"] if self.kind == "alone" else []:
            self.bus[who] = self.proxies.open(f"bus {who}", [(self.store.host, self.store.port)])
        self.front = self.proxies.open("front", [])
        self.parts.append(self._stop_gateways)
        for slot in self.slots:
            self.start(slot)
        self.fleet = Fleet(self.directory)
        self.parts.append(self.fleet.stop)
        self.publisher = Publisher(HISTORY | self._way("publisher") | self.publisher_settings, self.directory)
        self.parts.append(self.publisher.stop)
        self.wait_ready()

    def _way(self, who) -> dict:
        """To Redis."""
        if self.kind == "sentinel":
            return self.store.settings
        return {"REDIS_HOST": self.bus[who].host, "REDIS_PORT": self.bus[who].port}

    def __enter__(self) -> "World":
        return self.open()

    def __exit__(self, *_) -> None:
        self.close()

    def close(self) -> None:
        """Also from another thread, while this one still goes on: what it has started meanwhile, a second call stops."""
        self.closing = True
        for stop in reversed(self.parts):
            try:
                stop()
            except Exception as problem:
                self.complain(f"stopping: {problem}")

    def complain(self, text: str) -> None:
        self.problems.append(Problem("program", "", now() // 1000, text))

    # --- Redis

    def primary(self) -> RedisServer:
        return self.store.primary() if self.kind == "sentinel" else self.store

    def lose(self, start: int, total: bool = False) -> None:
        """From `start` on Redis may have lost something, or everything; now it is over."""
        self.losses.append(Loss(start, now(), total))

    def wild_losses(self) -> list[Loss]:
        """
        Changes of the primary that no fault of ours was meant to make: in the time of one of ours, all but the first.
        Sentinels that both lead a failover make two of one, and the second chooses among replicas that know little yet.
        """
        if self.kind != "sentinel":
            return []
        changes = sorted(self.store.changes())
        for loss in self.losses:
            ours = next((change for change in changes if loss.start <= change[0] <= loss.end), None)
            if ours:
                changes.remove(ours)
        return [Loss(start, end, total=False, wild=True) for start, end in changes]

    def keep_logs(self) -> None:
        """Before the data is deleted: what was in a log was due."""
        for log in logs.read(self.primary().client, sorted(self.rooms)).values():
            self.kept.update({event.id: event for event in log})

    # --- Gateways

    def start(self, slot: Slot) -> None:
        with slot.lock:
            if slot.gateway is None:
                slot.gateway = self._new_gateway(slot)
        self.aim()

    def _new_gateway(self, slot: Slot) -> Gateway:
        assert not self.closing, "the campaign is over"
        log = self.directory / f"gateway{slot.number}-{next(self.numbers):03}.log"
        unused = SimpleNamespace(host="127.0.0.1", port=1)  # where sentinels lead the way
        return Gateway(unused, log, **(self.settings | self._way(slot.number)))

    def aim(self) -> None:
        """Newcomers go to gateways that live."""
        living = [slot.gateway for slot in self.slots if slot.gateway]
        self.front.targets([("127.0.0.1", gateway.port) for gateway in living])

    def kill(self, slot: Slot) -> None:
        with slot.lock:
            if slot.gateway is None:
                return
            gateway, slot.gateway = slot.gateway, None
            self._check_alive(gateway)
            gateway.kill()
            self._check_log(gateway)
        self.aim()

    def replace(self, slot: Slot) -> None:
        """As a deployment does: another is ready before this one is told to go, and goes when it has drained."""
        with slot.lock:
            old = slot.gateway
            slot.gateway = self._new_gateway(slot)
        self.aim()
        if old is not None:
            self._stop_gateway(old)

    def _stop_gateway(self, gateway: Gateway) -> None:
        self._check_alive(gateway)
        if gateway.process.poll() is not None:
            return
        gateway.process.terminate()
        try:
            if status := gateway.process.wait(DRAIN_SECONDS):
                self.complain(f"SIGTERM: {gateway.log_path.name} ended with {status}")
        except Exception:
            gateway.kill()
            self.complain(f"SIGTERM did not end the gateway of {gateway.log_path.name}")
        self._check_log(gateway)

    def _check_alive(self, gateway: Gateway) -> None:
        if (status := gateway.process.poll()) is not None:
            self.complain(f"the gateway of {gateway.log_path.name} ended by itself with {status}")
            self._check_log(gateway)

    def _check_log(self, gateway: Gateway) -> None:
        try:
            gateway.assert_clean()
        except AssertionError as report:
            self.complain(f"{gateway.log_path.name}: {str(report)[-6000:]}")

    def _stop_gateways(self) -> None:
        for slot in self.slots:
            gateway, slot.gateway = slot.gateway, None
            if gateway is not None:
                gateway.process.send_signal(signal.SIGINT)  # without handing clients on: there is nobody left
                try:
                    gateway.process.wait(5)
                except Exception:
                    gateway.kill()
                self._check_log(gateway)

    # --- All of it

    def heal(self) -> None:
        for route in [self.front, *self.bus.values()]:
            route.heal()
        if self.kind == "sentinel":
            self.store.heal()
        else:
            if self.store.process is None:
                self.store.start()
            self.store.resume()
        for slot in self.slots:
            if slot.gateway is not None and slot.gateway.process.poll() is not None:
                self._check_alive(slot.gateway)
                slot.gateway = None
            self.start(slot)
        self.wait_ready()

    def wait_ready(self) -> None:
        for slot in self.slots:
            until(lambda: self._ready(slot.gateway), f"gateway {slot.number} is ready", READY_SECONDS)

    @staticmethod
    def _ready(gateway: Gateway) -> bool:
        if gateway.get("/readyz")[0] == 200:
            return True
        status, body = gateway.get("/healthz")
        return status == 200 and gateway.get("/readyz")[0] == 404 and '"redis":"up"' in body

    def take_problems(self) -> list[Problem]:
        for text in self.publisher.report():
            self.complain(text)
        found, self.problems = self.problems, []
        self.publisher.problems.clear()
        return found
