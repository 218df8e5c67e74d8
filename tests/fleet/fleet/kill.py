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
WAYS = (["polling"], ["polling", "websocket"], ["websocket"])


def workers(gateway) -> dict[int, int]:
    """Index → process, as the log has them."""
    return {int(index): int(pid) for index, pid in
            re.findall(r'msg="worker started" worker=(\d+) pid=(\d+)', gateway.log())}


def lost_and_back(members, killed: int) -> tuple[int, list[int]]:
    """How many clients lost their connection from then on, and how long it took each to come back."""
    lost, times = 0, []
    for member in members.values():
        gone = [one.t for one in member.journal if one.kind == "disconnect" and one.t >= killed]
        back = [one.t for one in member.journal if one.kind == "connect" and gone and one.t > gone[0]]
        lost += bool(gone)
        times += back[:1] and [back[0] - killed]
    return lost, sorted(times)


@scenario("worker-kill")
def worker_kill(show: Show) -> None:
    """SIGKILL of one of three workers behind one port, under clients of all kinds and events."""
    clients, seconds = show.clients(60, 1500), show.seconds(2, 20)
    with World(show.directory, show.wishes.proxy, gateways=1, WORKERS=WORKERS) as world:
        gateway = world.seats[0].gateway
        crowd, people = world.crowd(), world.new_people(clients)
        world.publish(people, 100 if show.full else 50)
        for number, transports in enumerate(WAYS):
            crowd.open(people[number::len(WAYS)], world.proxy.url, transports, PACE)
        crowd.wait_settled(settle_time(clients, PACE))
        crowd.wait("websocket", clients * 2 // 3, 15)
        show.equal("clients in their rooms", crowd.counts["settled"], clients)
        time.sleep(seconds / 2)
        disturbed, before = len(crowd.failures), workers(gateway)
        killed = now_ms()
        os.kill(before[1], signal.SIGKILL)
        until(lambda: workers(gateway)[1] != before[1], "the supervisor starts another worker", 10)
        gateway.wait_ready()
        show.tell("the gateway is ready again after", f"{(now_ms() - killed) / 1000:.1f} s")
        time.sleep(seconds / 2)
        crowd.wait_settled(30)
        world.finish(30)
        verdict = world.judge()
        lost, times = lost_and_back(world.members, killed)
        show.equal("failures before the kill", disturbed, 0)
        show.promise("clients that lost their connection", f"{lost} of {clients}", 0 < lost < clients, "some, not all")
        show.equal("of them came back", len(times), lost)
        show.timing("the last is back after", f"{percentile(times, 1) / 1000:.1f} s",
                    percentile(times, 1) < BACK_SECONDS * 1000, f"over {BACK_SECONDS:g} s")
        after = workers(gateway)
        show.equal("other workers go on", [after[index] for index in (0, 2)] == [before[index] for index in (0, 2)], True)
        show.deliveries(verdict)
        tell_failures(show, crowd)
    tell_problems(show, world)
