"""
What a scenario runs in: Redis, gateways that keep their ports when they are restarted, a proxy before them, the
publisher, and crowds of clients. Whatever is started here is stopped here, each by its own pid.
"""
import random
import signal
import time
from pathlib import Path

from faults import events, logs
from faults.checker import Evidence, Member, Verdict, check
from faults.fleet import Person
from faults.publisher import Publisher
from faults.traffic import Traffic
from faults.world import HISTORY, REDIS_OPTIONS
from fleet import proxies
from fleet.crowd import Crowd
from harness.gateway import Gateway
from harness.redis_server import RedisServer

MARKET_MEMBERS = 50  # so many clients get an event of a market
LAST_SECONDS = 0.3  # behind the last event: for what should not come
SETTINGS = HISTORY | {"MAX_CONNECTIONS": 10000}


class Seat:
    """A gateway's place: its ports stay the same, whoever serves them."""

    def __init__(self, number: int):
        self.number, self.times = number, 0
        self.port = self.ops_port = 0
        self.gateway: Gateway | None = None


class World:
    def __init__(self, directory: Path, proxy: str, gateways: int = 3, **settings):
        self.directory, self.proxy_name = directory, proxy
        directory.mkdir(parents=True, exist_ok=True)
        self.settings = SETTINGS | settings
        self.seats = [Seat(number) for number in range(gateways)]
        self.crowds: list[Crowd] = []
        self.parts: list = []  # how each is stopped, in the order they were started
        self.problems: list[str] = []
        self.rng = random.Random(1)
        self.traffic: Traffic | None = None

    def __enter__(self) -> "World":
        try:
            self._start()
        except BaseException:
            self.close()
            raise
        return self

    def _start(self) -> None:
        self.redis = RedisServer(self.directory / "redis", *REDIS_OPTIONS)
        self.parts.append(self.redis.stop)
        self.parts.append(self._stop_gateways)
        for seat in self.seats:
            self.start(seat)
        self.publisher = Publisher({"REDIS_HOST": self.redis.host, "REDIS_PORT": self.redis.port} | HISTORY,
                                   self.directory)
        self.parts.append(self.publisher.stop)
        self.proxy = proxies.ALL[self.proxy_name](self.directory / "proxy", [seat.port for seat in self.seats])
        self.parts.append(self.proxy.stop)

    def __exit__(self, *_) -> None:
        self.close()

    def close(self) -> None:
        if self.traffic:
            self.traffic.stop()
        for stop in reversed(self.parts):
            try:
                stop()
            except Exception as problem:
                self.problems.append(f"stopping: {problem}"[:3000])
        self.parts.clear()

    # --- Gateways

    def start(self, seat: Seat, wait: bool = True, **settings) -> None:
        log = self.directory / f"gateway{seat.number}-{seat.times:02}.log"
        seat.times += 1
        seat.gateway = Gateway(self.redis, log, PORT=seat.port, OPS_PORT=seat.ops_port, **(self.settings | settings))
        seat.port, seat.ops_port = seat.gateway.port, seat.gateway.ops_port
        if wait:
            seat.gateway.wait_ready()

    def _stop_gateways(self) -> None:
        gateways = [seat.gateway for seat in self.seats if seat.gateway]
        for gateway in gateways:
            self.check_alive(gateway)
        for gateway in gateways:
            if gateway.process.poll() is None:
                gateway.process.send_signal(signal.SIGINT)  # at once, SIGTERM would drain first
        for gateway in gateways:
            try:
                gateway.process.wait(20)
            except Exception:
                gateway.kill()
                self.problems.append(f"SIGINT did not end the gateway of {gateway.log_path.name}")
            self.check_log(gateway)

    def check_alive(self, gateway: Gateway) -> None:
        if not gateway.killed and (status := gateway.process.poll()) is not None:
            self.problems.append(f"the gateway of {gateway.log_path.name} ended by itself with {status}")

    def check_log(self, gateway: Gateway) -> None:
        try:
            gateway.assert_clean()
        except AssertionError as report:
            self.problems.append(f"{gateway.log_path.name}: {str(report)[-6000:]}")

    @property
    def gateways(self) -> list[Gateway]:
        return [seat.gateway for seat in self.seats if seat.gateway]

    def sum(self, metric: str | tuple[str, str]) -> float:
        return sum(gateway.metrics()[metric] for gateway in self.gateways)

    # --- Clients

    def new_people(self, count: int, prefix: str = "c") -> list[Person]:
        """Each in one market of about MARKET_MEMBERS."""
        markets = max(1, count // MARKET_MEMBERS)
        return [Person(f"{prefix}{number}", f"sub-{prefix}{number}", f"0x{self.rng.getrandbits(160):040x}",
                       [f"market:{prefix}{number % markets}"]) for number in range(count)]

    def crowd(self, name: str = "crowd", processes: int = 2) -> Crowd:
        crowd = Crowd(self.directory, name, processes)
        self.crowds.append(crowd)
        self.parts.append(crowd.stop)
        return crowd

    # --- Events

    def publish(self, people: list[Person], rate: float) -> None:
        """Trades in the markets of these people, so many a second, until finish()."""
        markets = sorted({room.removeprefix("market:") for person in people for room in person.rooms})
        self.traffic = Traffic("e", people, markets, ["none"], self.publisher.submit, self.rng)
        self.traffic.mix = {"trade": 1}
        self.traffic.start(rate)

    def finish(self, seconds: float) -> None:
        """Nothing more is published but one event to everybody: who has it, has all that was before it."""
        self.traffic.stop()
        self.publisher.wait_idle(seconds)
        for crowd in self.crowds:
            crowd.wait_settled(seconds)
            crowd.watch("end")
        self.traffic.keys.append("end")
        self.publisher.submit(events.announcement("end"))
        self.publisher.wait_idle(seconds)
        for crowd in self.crowds:
            crowd.wait("holders", len(crowd.people), seconds)
        time.sleep(LAST_SECONDS)
        self.problems += self.publisher.report()
        for gateway in self.gateways:
            self.check_alive(gateway)

    def judge(self) -> Verdict:
        """By the same rules as tests/faults: faults/checker.py."""
        members = {person.name: Member(person.own_rooms, journal.get(person.name, []), person.recovery)
                   for crowd in self.crowds for journal in [crowd.journals()] for person in crowd.people}
        with self.publisher.changed:
            confirmed = {key: set(self.publisher.confirmed.get(key, ())) for key in self.traffic.keys}
            rooms_of = {key: self.publisher.known[key].rooms for key in self.traffic.keys}
        rooms = sorted({room for rooms in rooms_of.values() for room in rooms})
        held = {event.id: event for log in logs.read(self.redis.client, rooms).values() for event in log}
        self.verdict = check(Evidence(held=list(held.values()), confirmed=confirmed, members=members, rooms_of=rooms_of))
        self.members = members
        return self.verdict
