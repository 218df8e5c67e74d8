"""One scenario under way: its clients in its rooms, its traffic, and in the end its evidence."""
import random
import time

from faults import events, logs
from faults.checker import Event, Evidence, Member, Problem, Verdict, check
from faults.fleet import Person
from faults.traffic import Traffic
from faults.world import CREATOR_CAP, World

MARKETS, CREATORS = 6, 2
SETTLE_SECONDS = 20
LAST_SECONDS = 0.3  # behind the last event: for what should not come


class Scene:
    def __init__(self, world: World, name: str, seed: object, clients: int, rate: float, recovery: bool = True):
        self.world, self.name, self.clients, self.rate, self.recovery = world, name, clients, rate, recovery
        self.rng = random.Random(f"{seed} {name}")
        self.began = len(world.losses)
        self.prefix = f"{name}-{next(world.numbers)}"
        self.markets = [f"{self.prefix}-m{number}" for number in range(MARKETS)]
        self.creators = [f"{self.prefix}-c{number}" for number in range(CREATORS)]
        self.people: list[Person] = []
        self.problems: list[Problem] = []
        self.traffic: Traffic | None = None

    # --- The beginning

    def person(self, number: int) -> Person:
        name = f"{self.prefix}-{number}"
        styles = ("plain", "plain", "since", "last", "always")
        rooms = [f"market:{market}" for market in self.rng.sample(self.markets, 2)]
        if self.rng.random() < 0.4:
            rooms.append(f"creator:{self.rng.choice(self.creators)}")
        return Person(name, f"sub-{name}", f"0x{self.rng.getrandbits(160):040x}", rooms, styles[number % len(styles)],
                      self.recovery)

    def enter(self, people: list[Person] | None = None, settled: float = SETTLE_SECONDS, **options) -> "Scene":
        self.people = people or [self.person(number) for number in range(self.clients)]
        self.world.rooms.update(room for person in self.people for room in [*person.rooms, *person.own_rooms])
        self.world.fleet.open(self.people, self.world.front.url, **options)
        if not self.world.fleet.wait_settled(self.people, settled):
            self.complain("not all clients came into their rooms")
        self.traffic = Traffic(self.prefix, self.people, self.markets, self.creators, self.world.publisher.submit,
                               self.rng)
        self.traffic.start(self.rate)
        return self

    def complain(self, text: str) -> None:
        self.problems.append(Problem("scene", "", time.time_ns() // 1_000_000, text))

    def expect(self, condition: bool, text: str) -> None:
        if not condition:
            self.complain(text)

    def pass_time(self, seconds: float) -> None:
        time.sleep(seconds)

    @property
    def names(self) -> list[str]:
        return [person.name for person in self.people]

    def returns(self, names: list[str] | None = None) -> list[bool]:
        """Of each connection after a client's first: whether it was recovered."""
        return [one.recovered for name in names or self.names for one in self.world.fleet.of(name, "connect")[1:]]

    def wait_back(self, drops: int = 1, names: list[str] | None = None) -> None:
        """Until these clients have come back so often."""
        fleet, wanted = self.world.fleet, names or self.names
        people = [person for person in self.people if person.name in wanted]
        if not (fleet.wait(lambda: all(fleet.times[name] > drops for name in wanted)) and fleet.wait_settled(people)):
            self.complain(f"not all clients came back {drops} times")

    # --- The end

    def finish(self) -> Verdict:
        """Everything is healed; one event goes to everybody: who has it has all that was before it."""
        self.traffic.stop()
        world = self.world
        world.heal()
        world.publisher.wait_idle()
        world.fleet.wait_settled(self.people, SETTLE_SECONDS)
        last = f"{self.prefix}-end"
        self.traffic.keys.append(last)
        world.fleet.watch(last)
        world.publisher.submit(events.announcement(last))
        world.publisher.wait_idle()
        world.fleet.wait(lambda: world.fleet.holders[last].issuperset(self.names), SETTLE_SECONDS)
        time.sleep(LAST_SECONDS)
        verdict = check(self.evidence())
        verdict.problems = self.problems + world.take_problems() + verdict.problems
        return verdict

    def leave(self) -> None:
        if self.traffic:
            self.traffic.stop()
        self.world.fleet.close(self.names)

    def evidence(self) -> Evidence:
        world, publisher = self.world, self.world.publisher
        with publisher.changed:
            confirmed = {key: set(publisher.confirmed.get(key, ())) for key in self.traffic.keys}
            rooms = {key: publisher.known[key].rooms for key in self.traffic.keys}
        with world.fleet.changed:
            journals = {person.name: list(world.fleet.journals[person.name]) for person in self.people}
        return Evidence(
            held=self._held(confirmed, rooms), confirmed=confirmed, rooms_of=rooms,
            members={person.name: Member(person.own_rooms, journals[person.name], person.recovery)
                     for person in self.people},
            losses=world.losses[self.began:] + world.wild_losses(),
            caps={f"creator:{creator}": CREATOR_CAP for creator in self.creators},
            window=int(world.settings.get("RECOVERY_WINDOW", 120_000)) * 1000,
            kept="PUBLISH_WAIT_REPLICAS" in publisher.settings)

    def _held(self, confirmed: dict[str, set[int]], rooms: dict[str, tuple[str, ...]]) -> list[Event]:
        all_rooms = sorted({room for some in rooms.values() for room in some} | {"global:all"})
        read = logs.read(self.world.primary().client, all_rooms)
        held = {event.id: event for log in read.values() for event in log} | self.world.kept
        emptied = max((loss.end for loss in self.world.losses if loss.total), default=0)
        for room in (f"creator:{creator}" for creator in self.creators):
            published = [Event(key, id, rooms[key]) for key, ids in confirmed.items() for id in ids
                         if room in rooms[key]]
            for event in logs.trimmed(read.get(room, []), CREATOR_CAP, published, emptied):
                held.setdefault(event.id, event)
        return [event for event in held.values() if event.key in rooms]
