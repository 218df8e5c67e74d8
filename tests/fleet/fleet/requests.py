"""Sessions over several requests, each of which reaches another gateway."""
import time

from fleet.crowd import Crowd, settle_time
from fleet.scenarios import scenario
from fleet.show import Show
from fleet.world import World

PACE = 100  # clients that are opened a second
POLLING_RATE = 8  # events a second: each is a request of each member of its market
LEAST_SHARE = 0.8  # of requests, for the gateway that got fewest


def tell_failures(show: Show, crowd: Crowd) -> None:
    for what, times in crowd.kinds().most_common(5):
        show.tell("failure", " ".join(f"{times} × {what}".split())[:150])


def tell_spread(show: Show, world: World) -> None:
    """That the proxy was not sticky after all would prove nothing."""
    counts = world.proxy.counts()
    shares = [counts.requests[seat.port] for seat in world.seats]
    show.promise("requests of each gateway", " ".join(f"{share:,}" for share in shares),
                 min(shares) > LEAST_SHARE * sum(shares) / len(shares), "not spread over all")


def tell_problems(show: Show, world: World) -> None:
    for problem in world.problems:
        show.failed(problem)


@scenario("polling-soak")
def polling_soak(show: Show) -> None:
    """Clients that only poll: no request may meet a gateway that does not know its session."""
    clients, seconds = show.clients(60, 1000), show.seconds(4, 60)
    heartbeat = {"PING_INTERVAL": 5000 if show.full else 1000, "PING_TIMEOUT": 20000}
    with World(show.directory, show.wishes.proxy, **heartbeat) as world:
        crowd, people = world.crowd(), world.new_people(clients)
        crowd.open(people, world.proxy.url, ["polling"], PACE)
        crowd.wait_settled(settle_time(clients, PACE))
        show.equal("clients in their rooms", crowd.counts["settled"], clients)
        world.publish(people, POLLING_RATE)
        crowd.speak(every=10 if show.full else 1)
        time.sleep(seconds)
        world.finish(30)
        counts = crowd.counts
        verdict = world.judge()
        tell_spread(show, world)
        show.equal("clients over polling", counts["up"] - counts["websocket"], clients)
        show.equal("answers of code 1", crowd.codes()[1], 0)
        show.equal("other failures", len(crowd.failures) - crowd.codes()[1], 0)
        show.tell("pings of clients answered", f"{counts['answered']:,} of {counts['asked']:,}")
        show.deliveries(verdict)
        tell_failures(show, crowd)
    tell_problems(show, world)


@scenario("upgrade")
def upgrade(show: Show) -> None:
    """Clients that begin with polling and go on with a WebSocket: half of them before the first event, half among events."""
    clients, seconds = show.clients(60, 1000), show.seconds(3, 30)
    with World(show.directory, show.wishes.proxy) as world:
        crowd, people = world.crowd(), world.new_people(clients)
        for half in (people[:clients // 2], people[clients // 2:]):
            crowd.open(half, world.proxy.url, ["polling", "websocket"], PACE)
            crowd.wait_settled(settle_time(clients, PACE))
            crowd.wait("upgrades", len(crowd.people), 15)
            if not world.traffic:
                world.publish(people, 50)
        show.equal("clients in their rooms", crowd.counts["settled"], clients)
        time.sleep(seconds)
        world.finish(30)
        counts = crowd.counts
        verdict = world.judge()
        tell_spread(show, world)
        show.equal("upgraded", counts["websocket"], clients)
        show.equal("upgrades that failed", sum(one.kind == "upgradeError" for _, one in crowd.failures), 0)
        show.equal("answers of code 1", crowd.codes()[1], 0)
        show.equal("disconnects", counts["disconnects"], 0)
        show.deliveries(verdict)
        tell_failures(show, crowd)
    tell_problems(show, world)
