"""All gateways are replaced one after the other, as a deployment does it."""
import os
import time
from pathlib import Path

from faults.fleet import Person
from fleet.crowd import Crowd, now_ms, settle_time
from fleet.handshakes import peak
from fleet.latency import latencies, p99
from fleet.requests import tell_failures, tell_problems
from fleet.scenarios import scenario
from fleet.show import Show, megabytes
from fleet.world import Seat, World

PACE = 120  # clients that are opened a second
POLLING_SHARE = 50  # one client of so many stays with polling
WITNESS_MARKETS = 10
NOTICED_SECONDS = 0.5  # until a load balancer has seen that a gateway is not ready any more
EXIT_SECONDS = 15  # that a gateway may take beyond its times


def processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Restart:
    """What a rolling restart is made of, with its times."""

    def __init__(self, show: Show, world: World, witnesses: Crowd):
        self.show, self.world, self.witnesses = show, world, witnesses
        self.windows: dict[int, tuple[int, int]] = {}  # seat → when it was away, in milliseconds
        self.statuses: list[int] = []
        self.lasted: list[float] = []
        self.left: list[str] = []

    def roll(self, calm: float) -> None:
        for seat in self.world.seats:
            self._replace(seat)
            time.sleep(calm)

    def _replace(self, seat: Seat) -> None:
        world, start = self.world, now_ms()
        others = [one.port for one in world.seats if one is not seat]
        seat.gateway.process.terminate()
        time.sleep(NOTICED_SECONDS)
        world.proxy.point(others)
        patience = (world.settings["DRAIN_DELAY"] + world.settings["DRAIN_WINDOW"]) / 1000 + EXIT_SECONDS
        try:
            self.statuses.append(seat.gateway.process.wait(patience))
        except Exception:
            seat.gateway.kill()
            self.show.failed(f"SIGTERM did not end gateway {seat.number} within {patience:g} s")
        self.lasted.append((now_ms() - start) / 1000)
        world.check_log(seat.gateway)
        world.start(seat)
        world.proxy.point([one.port for one in world.seats])
        self.witnesses.wait_settled(30)  # so that all others are elsewhere the next time
        self.windows[seat.number] = (start, now_ms())


def open_witnesses(world: World, markets: list[str], count: int) -> tuple[Crowd, dict[int, list[Person]]]:
    """
    Clients that go to one gateway each, without the proxy, in a process of their own, so that their times tell of the
    gateways: seat → people.
    """
    crowd, by_seat = world.crowd("witness", processes=1), {}
    for seat in world.seats:
        people = world.new_people(count, f"w{seat.number}-")
        for number, person in enumerate(people):
            person.rooms = sorted({markets[(number + turn) % len(markets)] for turn in range(WITNESS_MARKETS)})
        by_seat[seat.number] = people
        crowd.open(people, seat.gateway.url, ["websocket"], PACE)
    return crowd, by_seat


def tell_latency(show: Show, world: World, restart: Restart, by_seat: dict[int, list[Person]], before: tuple) -> None:
    everybody = {person.name for people in by_seat.values() for person in people}
    calm = p99(latencies(world.members, everybody, *before))
    worst, samples = 0.0, 0
    for seat, window in restart.windows.items():
        elsewhere = {person.name for number, people in by_seat.items() if number != seat for person in people}
        values = latencies(world.members, elsewhere, *window)
        samples += len(values)
        worst = max(worst, p99(values))
        show.tell(f"p99 elsewhere, gateway {seat}", f"{p99(values):.1f} ms")
    show.tell("p99 before", f"{calm:.1f} ms")
    show.timing("worst p99 elsewhere", f"{worst / calm if calm else 0:.2f} times that before", 0 < worst < 2 * calm,
                "not less than twice")
    show.promise("deliveries to witnesses elsewhere", samples, samples > 0, "none")


def tell_load(show: Show, world: World, crowd: Crowd, used: dict[int, float], seconds: float) -> None:
    gateways = [processor_seconds(gateway.pid) - used.get(gateway.pid, 0) for gateway in world.gateways]
    show.tell("processor of gateways before", " ".join(f"{100 * one / seconds:.0f} %" for one in gateways))
    counts = crowd.counts
    show.tell("memory of the clients' processes", megabytes(counts["rss"]))


@scenario("rolling-restart")
def rolling_restart(show: Show) -> None:
    """SIGTERM to each gateway in turn, another on its port, while events are published and clients are connected."""
    clients, calm = show.clients(100, 5000), show.seconds(1.5, 20)
    rate = 200 if show.full else 60
    times = {"DRAIN_DELAY": 2000, "DRAIN_WINDOW": 20000} if show.full else {"DRAIN_DELAY": 800, "DRAIN_WINDOW": 1500}
    limit = 250 if show.full else 100
    with World(show.directory, show.wishes.proxy, HANDSHAKE_RATE=limit, **times) as world:
        crowd, people = world.crowd(), world.new_people(clients)
        markets = sorted({room for person in people for room in person.rooms})
        pollers = people[::POLLING_SHARE]
        others = [person for person in people if person not in pollers]
        world.publish(people, rate)
        crowd.open(others, world.proxy.url, ["polling", "websocket"], PACE)
        crowd.open(pollers, world.proxy.url, ["polling"], PACE)
        witnesses, by_seat = open_witnesses(world, markets, 20 if show.full else 4)
        crowd.wait_settled(settle_time(clients, PACE))
        witnesses.wait_settled(settle_time(clients, PACE))
        crowd.wait("websocket", len(others), 30)
        show.equal("clients in their rooms", crowd.counts["settled"], clients)
        show.tell("of them by WebSocket", crowd.counts["websocket"])
        time.sleep(calm / 4)
        start, used = now_ms(), {gateway.pid: processor_seconds(gateway.pid) for gateway in world.gateways}
        busy = crowd.counts["processorMs"]
        time.sleep(calm)
        before, seconds = (start, now_ms()), calm
        tell_load(show, world, crowd, used, seconds)
        show.tell("processor of the clients before", f"{(crowd.counts['processorMs'] - busy) / 10 / seconds:.0f} %")
        restart = Restart(show, world, witnesses)
        restart.roll(calm / 4)
        world.finish(60)
        verdict = world.judge()
        show.equal("exit codes", " ".join(map(str, restart.statuses)), "0 0 0")
        show.tell("SIGTERM to exit", " ".join(f"{one:.1f} s" for one in restart.lasted))
        most = peak(world.members)
        show.promise("most handshakes a second", f"{most} of {limit}", 0 < most <= limit, "over HANDSHAKE_RATE")
        tell_latency(show, world, restart, by_seat, before)
        show.equal("answers of code 1", crowd.codes()[1], 0)
        show.equal("clients connected at the end", crowd.counts["settled"], clients)
        show.deliveries(verdict)
        tell_failures(show, crowd)
    tell_problems(show, world)
