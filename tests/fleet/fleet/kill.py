"""A worker dies while everything is going on."""
import os
import re
import signal
import time

from fleet.crowd import now_ms, settle_time
from fleet.requests import PACE, tell_failures, tell_problems
from fleet.scenarios import scenario
from fleet.show import Show, percentile
from fleet.world import World
from harness.wait import until

WORKERS = 3
BACK_SECONDS = 5.0  # all clients of the dead worker are back; they try again after 0.5 to 1.5 s, and then less often
EVENT_SECONDS = 0.004  # an event's way to the clients
FROZEN_SECONDS = 0.2
WAYS = (["polling"], ["polling", "websocket"], ["websocket"])


def workers(gateway) -> dict[int, int]:
    """Index → process, as the log has them."""
    return {int(index): int(pid) for index, pid in
            re.findall(r'msg="worker started" worker=(\d+) pid=(\d+)', gateway.log())}


def away(members, start: int, end: int) -> list[int | None]:
    """Of each client that lost its connection in that time: after how long it was back."""
    found = []
    for member in members.values():
        gone = next((one.t for one in member.journal if one.kind == "disconnect" and start <= one.t < end), None)
        if gone is not None:
            back = next((one.t for one in member.journal if one.kind == "connect" and one.t > gone), None)
            found.append(back and back - start)
    return found


def kill(world: World, index: int, frozen: bool) -> tuple[int, list[int]]:
    """
    SIGKILL about when an event is on its way through the worker, and another in its place. Where it is frozen before,
    events and answers of others have reached it for certain, and got no further. Returns when that was, and the
    processes that should have gone on, and did not.
    """
    gateway = world.seats[0].gateway
    before = workers(gateway)
    if frozen:
        os.kill(before[index], signal.SIGSTOP)
    world.traffic.one("trade")
    time.sleep(FROZEN_SECONDS if frozen else world.rng.random() * EVENT_SECONDS)
    killed = now_ms()
    os.kill(before[index], signal.SIGKILL)
    until(lambda: workers(gateway)[index] != before[index], "the supervisor starts another worker", 10)
    gateway.wait_ready()
    after = workers(gateway)
    return killed, [pid for one, pid in before.items() if one != index and after[one] != pid]


@scenario("worker-kill")
def worker_kill(show: Show) -> None:
    """SIGKILL of workers behind one port, one at a time, under clients of all kinds and events."""
    clients, seconds, kills = show.clients(60, 1500), show.seconds(1, 4), 12 if show.full else 3
    with World(show.directory, show.wishes.proxy, gateways=1, WORKERS=WORKERS) as world:
        crowd, people = world.crowd(), world.new_people(clients)
        world.publish(people, 100 if show.full else 50)
        for number, transports in enumerate(WAYS):
            crowd.open(people[number::len(WAYS)], world.proxy.url, transports, PACE)
        crowd.wait_settled(settle_time(clients, PACE))
        crowd.wait("websocket", clients * 2 // 3, 15)
        show.equal("clients in their rooms", crowd.counts["settled"], clients)
        disturbed, times, ended = len(crowd.failures), [], []
        for number in range(kills):
            time.sleep(seconds)
            killed, others = kill(world, number % WORKERS, frozen=number % 2 == 1)
            times.append(killed)
            ended += others
            crowd.wait_settled(30)
        world.finish(30)
        verdict = world.judge()
        waits = [away(world.members, start, end) for start, end in zip(times, [*times[1:], now_ms()])]
        back = sorted(wait for some in waits for wait in some if wait is not None)
        show.equal("failures before the first kill", disturbed, 0)
        show.equal("other workers that ended", len(ended), 0)
        lost = [len(some) for some in waits]
        show.promise("clients that lost their connection", " ".join(map(str, lost)), 0 < max(lost) < clients, "some, not all")
        show.equal("of them came back", len(back), sum(lost))
        show.tell("back after, median", f"{percentile(back, 0.5) / 1000:.1f} s")
        show.timing("the last is back after", f"{percentile(back, 1) / 1000:.1f} s",
                    percentile(back, 1) < BACK_SECONDS * 1000, f"over {BACK_SECONDS:g} s")
        show.deliveries(verdict)
        tell_failures(show, crowd)
    tell_problems(show, world)
