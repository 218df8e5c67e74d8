"""
The named scenarios: each fault by itself, and what no single fault makes. A scenario is told by a function that is
given a Scene with its clients in their rooms; where they come in differently, it lets them in itself.
"""
import time
from dataclasses import dataclass, field
from typing import Callable

from websocket import WebSocketException

from faults import mischief
from faults.mischief import ALONE, SENTINEL
from faults.proxy import Trap
from faults.scene import Scene
from faults.world import CREATOR_CAP
from harness.raw import RawClient
from harness.tokens import mint

CALM_SECONDS = 0.6  # before the first fault
SHORT_WINDOW = 3.0  # seconds
THIEF_SECONDS = 0.7  # that somebody who should get nothing is listened to


@dataclass(frozen=True)
class Scenario:
    name: str
    about: str
    act: Callable[[Scene], None]
    world: str = ALONE
    settings: dict = field(default_factory=dict)  # of gateways
    publisher: dict = field(default_factory=dict)  # of the publisher
    enters: bool = True  # its clients are in their rooms when it begins
    part: str = "front"  # of all that could share a world: only that they take less time side by side

    @property
    def lane(self) -> tuple:
        """Scenarios of one lane share a world, one after the other."""
        return self.world, self.part, tuple(sorted(self.settings.items())), tuple(sorted(self.publisher.items()))


ALL: dict[str, Scenario] = {}


def scenario(name: str, **more):
    def register(act):
        ALL[name] = Scenario(name, act.__doc__.strip().rstrip("."), act, **more)
        return act
    return register


def _of_one_fault(name: str, times: list[float], **more) -> None:
    """A fault, once for each duration."""
    fault = mischief.ALL[name]

    def act(scene: Scene) -> None:
        time.sleep(CALM_SECONDS)
        for seconds in times:
            fault.act(scene.world, scene.rng, seconds)
            time.sleep(0.4)

    named = f"{name}-kept" if more.get("publisher") else name
    about = f"{fault.about}; what was confirmed is on a replica" if more.get("publisher") else fault.about
    part = "back" if fault.where == "redis" else "front"
    ALL[named] = Scenario(named, about, act, part=part, **more)


@scenario("steady")
def steady(scene: Scene) -> None:
    """No fault at all."""
    time.sleep(1)
    scene.expect(not scene.returns(), "clients lost their connections without a fault")


for _name, _times in {
    "gateway-kill": [0.1, 0.5, 0.1], "gateway-term": [0.3], "redis-term": [0.5], "redis-kill": [0.5],
    "redis-pause": [0.5, 2.5], "bus-cut": [0.05, 0.2, 0.2], "bus-refuse": [0.5], "bus-stall": [0.4, 2.5],
    "bus-swallow": [0.4, 2.5], "bus-delay": [1], "client-cut": [0.05, 0.3, 0.3], "client-refuse": [1],
    "client-stall": [0.5, 4], "client-swallow": [0.5, 4], "client-delay": [1], "publish-retry": [0.1] * 6,
}.items():
    _of_one_fault(_name, _times)


@scenario("publish-steps")
def publish_steps(scene: Scene) -> None:
    """An event with its key is published over a connection that breaks at each step: it is one event."""
    publisher, route = scene.world.publisher, scene.world.bus["publisher"]
    scene.traffic.rate = 0
    publisher.wait_idle()
    for step in Trap.STEPS:
        scene.traffic.one("announcement")
        publisher.wait_idle()  # the connection is there
        route.trap(step)
        event = scene.traffic.one("trade")
        publisher.wait_idle()
        scene.expect(route.trapped(), f"the connection was not cut at step {step}")
        for _ in range(3):
            publisher.repeat(event.key)
        publisher.wait_idle()
        scene.expect(len(publisher.confirmed[event.key]) == 1, f"{event.key}, cut at step {step}, has several ids")


@scenario("two-drops")
def two_drops(scene: Scene) -> None:
    """Two drops in a row, with events missed before the first return and no traffic between the two."""
    for _ in range(2):
        scene.world.front.refuse()
        scene.world.front.cut()
        time.sleep(0.4)
        scene.traffic.rate = 0
        scene.world.publisher.wait_idle()
        scene.world.front.heal()
        scene.wait_back()
        before = len(scene.returns())
        scene.world.fleet.drop(scene.names)
        scene.world.fleet.wait(lambda: len(scene.returns()) >= before + len(scene.names))
        scene.world.fleet.wait_settled(scene.people)
        scene.traffic.rate = scene.rate
        time.sleep(0.3)


@scenario("drop-before-events", enters=False)
def drop_before_events(scene: Scene) -> None:
    """A drop before any event: only `connected` was received."""
    rate, scene.rate = scene.rate, 0
    scene.enter()
    scene.world.front.refuse()
    scene.world.front.cut()
    scene.traffic.rate = rate
    time.sleep(0.5)
    scene.world.front.heal()
    scene.wait_back()
    if scene.recovery:
        scene.expect(all(scene.returns()), "a client that had received only `connected` was not recovered")


@scenario("quiet", settings={"RECOVERY_WINDOW": int(SHORT_WINDOW * 1000)})
def quiet(scene: Scene) -> None:
    """Clients that hear nothing for longer than the window of recovery, and then drop."""
    time.sleep(0.3)
    scene.traffic.rate = 0
    time.sleep(2 * SHORT_WINDOW + 0.5)
    scene.world.front.refuse()
    scene.world.front.cut()
    scene.traffic.rate = scene.rate
    time.sleep(0.5)
    scene.world.front.heal()
    scene.wait_back()
    if scene.recovery:
        scene.expect(all(scene.returns()), "a client that had been connected quietly was not recovered")


@scenario("window", settings={"RECOVERY_WINDOW": int(SHORT_WINDOW * 1000)})
def window(scene: Scene) -> None:
    """Clients that stay away for longer than the window of recovery."""
    scene.world.front.refuse()
    scene.world.front.cut()
    time.sleep(SHORT_WINDOW + 1)
    scene.world.front.heal()
    scene.wait_back()
    scene.expect(not any(scene.returns()), "a client was recovered after the window")


@scenario("overflow-client", enters=False)
def overflow_client(scene: Scene) -> None:
    """A room's log overflows while clients and gateways are away: those in it come back without recovery."""
    room = _half_in_one_creator(scene)
    scene.world.front.refuse()
    scene.world.front.cut()
    for slot in scene.world.slots:  # they remember more than the log does
        scene.world.kill(slot)
    _overflow(scene, room)
    for slot in scene.world.slots:
        scene.world.start(slot)
    scene.world.front.heal()
    scene.wait_back()
    _expect_overflow(scene, room)


@scenario("overflow-gateway", enters=False, part="back")
def overflow_gateway(scene: Scene) -> None:
    """A room's log overflows while gateways are cut off from Redis: those in it come back without recovery."""
    room = _half_in_one_creator(scene)
    routes = [scene.world.bus[slot.number] for slot in scene.world.slots]
    for route in routes:
        route.refuse()
        route.cut()
    _overflow(scene, room)
    for route in routes:
        route.heal()
    scene.wait_back(names=[person.name for person in scene.people if room in person.rooms])
    _expect_overflow(scene, room)


def _half_in_one_creator(scene: Scene) -> str:
    room = f"creator:{scene.creators[0]}"
    people = [scene.person(number) for number in range(scene.clients)]
    for number, person in enumerate(people):
        person.rooms = [name for name in person.rooms if not name.startswith("creator:")] + [room] * (number % 2)
        person.style = "plain"
    scene.enter(people)
    scene.traffic.mix.pop("shares")
    return room


def _overflow(scene: Scene, room: str) -> None:
    for _ in range(3 * CREATOR_CAP):
        scene.traffic.one("shares", creator=room.removeprefix("creator:"), trader="0x" + "5" * 40)
    scene.world.publisher.wait_idle()


def _expect_overflow(scene: Scene, room: str) -> None:
    inside = [person.name for person in scene.people if room in person.rooms]
    outside = [person.name for person in scene.people if room not in person.rooms]
    scene.expect(not any(scene.returns(inside)), "a client of a room that overflowed was recovered")
    if scene.recovery:
        scene.expect(all(scene.returns(outside)), "a client of other rooms was not recovered")


@scenario("history")
def history(scene: Scene) -> None:
    """Rooms are asked for with `since` and with `last` while events come: neither a gap nor an overlap."""
    time.sleep(0.3)
    for market in scene.markets:
        room = f"market:{market}"
        strangers = [person for person in scene.people if room not in person.rooms]
        for person in strangers[:6]:
            person.rooms.append(room)
            since = next((one.id for one in reversed(scene.world.fleet.of(person.name, "connected"))), None)
            wish = {"last": 5} if person.style == "last" or since is None else {"since": since}
            scene.world.fleet.subscribe([person.name], room, **wish)
        time.sleep(0.1)
    scene.world.fleet.wait_settled(scene.people)
    told = [one for name in scene.names for one in scene.world.fleet.of(name, "ack") if one.events]
    if scene.recovery:
        scene.expect(bool(told), "no ack told any missed event")


@scenario("foreign-pid")
def foreign_pid(scene: Scene) -> None:
    """Somebody else presents a client's pid and offset with a token of their own: they get nothing of it."""
    victim = scene.people[0]
    connect, = scene.world.fleet.of(victim.name, "connect")[:1]
    offset = scene.world.fleet.of(victim.name, "connected")[0].id
    if connect.pid is None:
        scene.expect(not scene.recovery, "clients that asked for recovery have no pid")
        return
    scene.world.fleet.drop([victim.name])
    scene.traffic.one("notification", user=victim.address)
    scene.world.publisher.wait_idle()
    thief = RawClient(scene.world.slots[0].gateway, mint("thief", "0x" + "7" * 40),
                      {"recovery": True, "pid": connect.pid, "offset": offset})
    packets = [thief.connected, *_heard(thief, THIEF_SECONDS)]
    thief.close()
    scene.expect(connect.pid not in thief.connected, "a foreign pid was recovered")
    scene.expect(any('["connected"' in packet for packet in packets), f"the thief was not received: {packets}")
    scene.expect(not any(victim.address in packet or victim.sub in packet for packet in packets),
                 f"a thief got {packets}")
    scene.wait_back(names=[victim.name])
    scene.expect(scene.returns([victim.name]) == [True], "after a theft was tried, the owner was not recovered")


def _heard(client: RawClient, seconds: float) -> list[str]:
    """All packets of so long a time."""
    packets, end = [], time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        client.socket.settimeout(left)
        try:
            packets.append(client.socket.recv())
        except WebSocketException:
            break
    return packets


_of_one_fault("redis-empty", [0.5])
_of_one_fault("failover-kill", [0.5], world=SENTINEL)
_of_one_fault("failover-stop", [0, 1], world=SENTINEL)
_of_one_fault("failover-kill", [0.5], world=SENTINEL, publisher={"PUBLISH_WAIT_REPLICAS": 1})
