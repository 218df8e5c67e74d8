"""One gateway with all the clients dies; they all come back at once, to the others, and miss nothing."""
import time

from faults.report import Result
from faults.runner import Plan, play
from faults.scene import Scene
from faults.world import now

ENTER_SECONDS = 120
BACK_SECONDS = 30  # until it is given up
LIMIT_SECONDS = 5.0
QUIET = {"PING_INTERVAL": 10000, "PING_TIMEOUT": 10000}


def _storm(scene: Scene, notes: list[str]) -> None:
    world, fleet = scene.world, scene.world.fleet
    first, *others = world.slots
    world.front.targets([("127.0.0.1", first.gateway.port)])
    scene.enter(settled=ENTER_SECONDS)
    time.sleep(1)
    world.front.targets([("127.0.0.1", slot.gateway.port) for slot in others])
    killed = now() // 1000
    world.kill(first)
    came = fleet.wait(lambda: all(_back(scene, name, killed) for name in scene.names), BACK_SECONDS)
    times = sorted(fleet.arrived[name].t - killed for name in scene.names if _back(scene, name, killed))
    last, middle = (times[-1], times[len(times) // 2]) if times else (0, 0)
    how = "came back and were recovered" if scene.recovery else "came back"
    told = f"{len(times)} of {len(scene.names)} clients {how}; median {middle} ms, last {last} ms after the kill"
    notes.append(told)
    scene.expect(came and last <= LIMIT_SECONDS * 1000, f"not all were back within {LIMIT_SECONDS:g} s: {told}")
    time.sleep(1)


def _back(scene: Scene, name: str, killed: int) -> bool:
    """Connected again, as the client wished."""
    one = scene.world.fleet.arrived.get(name)
    return bool(one and one.t > killed and one.recovered == scene.recovery and name in scene.world.fleet.up)


def run(plan: Plan, clients: int) -> list[Result]:
    notes: list[str] = []
    with plan.world("storm", "alone", **QUIET) as world:
        scene = Scene(world, "storm", plan.seed, clients, plan.rate, plan.recovery)
        result = play(world, scene, lambda scene: _storm(scene, notes))
    result.verdict.problems += world.take_problems()
    result.notes = notes
    plan.say(result)
    return [result]
