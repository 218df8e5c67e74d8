"""
The faults. Each is done to a running world, lasts about as long as it is told, and undoes itself: mischief(world, rng,
seconds). Where it strikes tells which may go on at the same time without undoing each other.
"""
import time
from dataclasses import dataclass
from typing import Callable

from faults.proxy import Trap
from faults.world import World, now

ALONE, SENTINEL = "alone", "sentinel"
EVERYWHERE = (ALONE, SENTINEL)


@dataclass(frozen=True)
class Mischief:
    name: str
    about: str
    act: Callable
    where: str  # redis, gateway, client or publisher
    worlds: tuple[str, ...]
    lasts: tuple[float, float]  # seconds, at least and at most, in a campaign
    weight: int  # how often in a campaign, beside the others


ALL: dict[str, Mischief] = {}


def mischief(name: str, where: str, worlds=EVERYWHERE, lasts=(0.2, 1.5), weight=4):
    def register(act):
        ALL[name] = Mischief(name, act.__doc__.strip().rstrip("."), act, where, worlds, lasts, weight)
        return act
    return register


# --- Gateways

@mischief("gateway-kill", "gateway", lasts=(0.1, 2), weight=8)
def gateway_kill(world: World, rng, seconds: float) -> None:
    """SIGKILL of a gateway, another takes its place a while later."""
    slot = rng.choice(world.slots)
    world.kill(slot)
    time.sleep(seconds)
    world.start(slot)


@mischief("gateway-term", "gateway")
def gateway_term(world: World, rng, seconds: float) -> None:
    """A gateway is replaced as a deployment does it, with SIGTERM."""
    world.replace(rng.choice(world.slots))
    time.sleep(seconds)


# --- Redis itself

@mischief("redis-term", "redis", (ALONE,))
def redis_term(world: World, rng, seconds: float) -> None:
    """Redis is restarted with its data, by SIGTERM."""
    world.store.stop()
    time.sleep(seconds)
    world.store.start()


@mischief("redis-kill", "redis", (ALONE,))
def redis_kill(world: World, rng, seconds: float) -> None:
    """Redis is restarted with its data, by SIGKILL."""
    world.store.kill()
    time.sleep(seconds)
    world.store.start()


@mischief("redis-pause", "redis", (ALONE,), lasts=(0.5, 4))
def redis_pause(world: World, rng, seconds: float) -> None:
    """Redis keeps its connections and answers nothing for a while (SIGSTOP)."""
    world.store.pause()
    time.sleep(seconds)
    world.store.resume()


@mischief("redis-empty", "redis", (ALONE,), weight=1)
def redis_empty(world: World, rng, seconds: float) -> None:
    """Redis is restarted without its data."""
    world.keep_logs()
    start = now()
    world.store.kill()
    time.sleep(seconds)
    world.store.start(fresh=True)
    world.lose(start, total=True)


@mischief("failover-kill", "redis", (SENTINEL,))
def failover_kill(world: World, rng, seconds: float) -> None:
    """The primary is killed, sentinels choose another, the old one comes back as its replica."""
    start, old = now(), world.primary()
    old.kill()
    try:
        world.store.wait_for_failover(old)
    finally:
        world.lose(start)
    time.sleep(seconds)
    world.store.heal()


@mischief("failover-stop", "redis", (SENTINEL,))
def failover_stop(world: World, rng, seconds: float) -> None:
    """The primary falls silent (SIGSTOP), sentinels choose another, then the old one wakes up (SIGCONT)."""
    start, old = now(), world.primary()
    old.pause()
    try:
        world.store.wait_for_failover(old)
        time.sleep(seconds)
        old.resume()
        time.sleep(seconds)  # it still takes itself for a primary, and confirms what it will lose
        world.store.heal()
    finally:
        old.resume()
        world.lose(start)


# --- Between gateways and Redis

def _some_bus(world: World, rng) -> list:
    """One gateway's connection, or those of all."""
    numbers = range(len(world.slots))
    return [world.bus[number] for number in (numbers if rng.random() < 0.3 else [rng.choice(numbers)])]


def _on_bus(world: World, rng, seconds: float, do) -> None:
    routes = _some_bus(world, rng)
    for route in routes:
        do(route)
    time.sleep(seconds)
    for route in routes:
        route.heal()


@mischief("bus-cut", "redis", (ALONE,), lasts=(0, 0.3))
def bus_cut(world: World, rng, seconds: float) -> None:
    """Gateways' connections to Redis are cut, by RST or FIN."""
    for route in _some_bus(world, rng):
        route.cut(rng.choice(("rst", "fin")))
    time.sleep(seconds)


@mischief("bus-refuse", "redis", (ALONE,))
def bus_refuse(world: World, rng, seconds: float) -> None:
    """Gateways' connections to Redis are cut, and new ones reset for a while."""
    def refuse(route) -> None:
        route.refuse()
        route.cut()
    _on_bus(world, rng, seconds, refuse)


@mischief("bus-stall", "redis", (ALONE,), lasts=(0.3, 4))
def bus_stall(world: World, rng, seconds: float) -> None:
    """Nothing moves between gateways and Redis for a while, and nothing is lost."""
    _on_bus(world, rng, seconds, lambda route: route.stall())


@mischief("bus-swallow", "redis", (ALONE,), lasts=(0.3, 4))
def bus_swallow(world: World, rng, seconds: float) -> None:
    """What is sent between gateways and Redis disappears for a while, one way or both."""
    way = rng.choice(("up", "down", "both"))
    _on_bus(world, rng, seconds, lambda route: route.swallow(way))


@mischief("bus-delay", "redis", (ALONE,), lasts=(0.5, 3))
def bus_delay(world: World, rng, seconds: float) -> None:
    """The way between gateways and Redis takes longer."""
    _on_bus(world, rng, seconds, lambda route: route.delay(rng.randrange(20, 400)))


# --- Between clients and gateways

@mischief("client-cut", "client", lasts=(0, 1), weight=8)
def client_cut(world: World, rng, seconds: float) -> None:
    """Some clients' connections are cut, by RST or FIN."""
    world.front.cut(rng.choice(("rst", "fin")), rng.choice((0.2, 0.5, 1.0)))
    time.sleep(seconds)


def _on_front(world: World, seconds: float, do) -> None:
    do(world.front)
    time.sleep(seconds)
    world.front.heal()


@mischief("client-refuse", "client")
def client_refuse(world: World, rng, seconds: float) -> None:
    """Some clients are cut off and cannot come back for a while."""
    def refuse(route) -> None:
        route.refuse()
        route.cut(share=0.6)
    _on_front(world, seconds, refuse)


@mischief("client-stall", "client", lasts=(0.3, 5))
def client_stall(world: World, rng, seconds: float) -> None:
    """Nothing moves between clients and gateways for a while."""
    _on_front(world, seconds, lambda route: route.stall())


@mischief("client-swallow", "client", lasts=(0.3, 5))
def client_swallow(world: World, rng, seconds: float) -> None:
    """What is sent between clients and gateways disappears for a while: half-open connections on both sides."""
    way = rng.choice(("up", "down", "both"))
    _on_front(world, seconds, lambda route: route.swallow(way))


@mischief("client-delay", "client", lasts=(0.5, 2))
def client_delay(world: World, rng, seconds: float) -> None:
    """The way between clients and gateways takes longer."""
    _on_front(world, seconds, lambda route: route.delay(rng.randrange(20, 400)))


# --- Between the publisher and Redis

@mischief("publish-retry", "publisher", (ALONE,), lasts=(0.05, 0.5), weight=20)
def publish_retry(world: World, rng, seconds: float) -> None:
    """The publisher's connection breaks at a step of a publish, and what is confirmed is published once more."""
    route, publisher = world.bus["publisher"], world.publisher
    route.trap(rng.choice(Trap.STEPS))
    time.sleep(seconds)
    with publisher.changed:
        again = rng.sample(list(publisher.confirmed)[-200:], min(3, len(publisher.confirmed)))
    for key in again:
        publisher.repeat(key)
