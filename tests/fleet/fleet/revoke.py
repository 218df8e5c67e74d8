"""A user is revoked: gone from all gateways at once, and kept out, whatever is restarted."""
import subprocess
import time
from dataclasses import dataclass

from faults.fleet import DAY, Person
from fleet.crowd import Crowd, now_ms, settle_time
from fleet.requests import PACE, tell_failures, tell_problems
from fleet.scenarios import scenario
from fleet.show import Show
from fleet.world import World
from harness.gateway import environment
from harness.publishing import PUBLISH
from harness.tokens import mint
from harness.wait import until

LIMIT_MS = 1000
WAYS = (["polling"], ["polling", "websocket"], ["websocket"])
REFUSED_SECONDS = 10


@dataclass
class Dated(Person):
    """Somebody whose token says when it was issued."""

    issued: int = 0

    def description(self) -> dict:
        wanted = super().description()
        wanted.pop("issued")
        return wanted | {"token": mint(self.sub, self.address, iat=self.issued, exp=int(time.time()) + DAY)}


def copies(sub: str, count: int, issued: int, prefix: str) -> list[Dated]:
    """So many clients of one user."""
    return [Dated(f"{prefix}{number}", sub, f"0x{1:040x}", issued=issued) for number in range(count)]


def operator(world: World, *arguments: str) -> int:
    settings = environment(REDIS_HOST=world.redis.host, REDIS_PORT=world.redis.port)
    return subprocess.run([PUBLISH, *arguments], env=settings, stdin=subprocess.DEVNULL, timeout=30,
                          stdout=subprocess.DEVNULL).returncode


def enter(world: World, crowd: Crowd, people: list[Person]) -> None:
    for number, transports in enumerate(WAYS):
        crowd.open(people[number::len(WAYS)], world.proxy.url, transports, PACE)


def told(crowd: Crowd, kind: str, since: int) -> dict[str, list]:
    """Client → what happened to it of that kind from then on."""
    found = {name: [one for one in journal if one.kind == kind and one.t >= since]
             for name, journal in crowd.journals().items()}
    return {name: happenings for name, happenings in found.items() if happenings}


def dismissed(crowd: Crowd, since: int) -> dict[str, int]:
    """Client → when the server sent it away for good."""
    return {name: ends[0].t for name, ends in told(crowd, "disconnect", since).items()
            if ends[0].reason == "io server disconnect"}


def expect_refused(show: Show, what: str, crowd: Crowd, since: int, count: int) -> None:
    """All of them tried from then on, and none was let in."""
    try:
        until(lambda: len(dismissed(crowd, since)) >= count, "all are refused", REFUSED_SECONDS)
    except AssertionError:
        pass
    refused, entered = len(dismissed(crowd, since)), len(told(crowd, "connected", since))
    show.promise(f"refused {what}", f"{refused} of {count}", refused == count and entered == 0, f"{entered} came in")


@scenario("revoke")
def revoke(show: Show) -> None:
    """A user with clients on all gateways is revoked; others stay."""
    clients, many = show.clients(30, 600), 60 if show.full else 9
    with World(show.directory, show.wishes.proxy) as world:
        issued = int(time.time()) - 10
        others, gone, old, new = world.crowd("others"), *(world.crowd(name, 1) for name in ("gone", "old", "new"))
        people = world.new_people(clients)
        world.publish(people, 50)
        enter(world, others, people)
        enter(world, gone, copies("mallory", many, issued, "m"))
        enter(world, old, copies("alice", many, issued, "a"))
        for crowd in (others, gone, old):
            crowd.wait_settled(settle_time(clients + 2 * many, PACE))
        show.equal("clients connected", others.counts["settled"] + gone.counts["settled"] + old.counts["settled"],
                   clients + 2 * many)
        time.sleep(1)

        start = now_ms()
        show.equal("exit code of revoke", operator(world, "revoke", "mallory"), 0)
        expect_refused(show, "by the revocation", gone, start, many)
        times = [t - start for t in dismissed(gone, start).values()]
        show.timing("the last was gone after", f"{max(times, default=0)} ms", 0 < max(times, default=0) <= LIMIT_MS,
                    f"over {LIMIT_MS} ms")
        start = now_ms()
        show.equal("exit code of revoke --before now", operator(world, "revoke", "alice", "--before", "now"), 0)
        expect_refused(show, "with tokens of before", old, start, many)
        show.equal("others that lost their connection", others.counts["disconnects"], 0)

        start = now_ms()
        for crowd in (gone, old):
            crowd.reconnect()
            expect_refused(show, f"when they come back ({crowd.name})", crowd, start, many)
        enter(world, new, copies("alice", many, int(time.time()) + 1, "n"))
        new.wait_settled(settle_time(many, PACE))
        show.equal("let in with a token of after", new.counts["settled"], many)

        for seat in world.seats:
            world.check_alive(seat.gateway)
            seat.gateway.kill()
            world.start(seat)
        start = now_ms()
        for crowd in (gone, old):
            crowd.reconnect()
            expect_refused(show, f"after all gateways were killed ({crowd.name})", crowd, start, many)
        world.crowds = [others]
        others.wait_settled(30)
        world.finish(30)
        show.deliveries(world.judge())
        tell_failures(show, others)
    tell_problems(show, world)
