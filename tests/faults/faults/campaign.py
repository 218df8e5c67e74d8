"""
All faults at random, for as long as wanted: rounds of a minute, each in a world of its own kind, because only then is
everything settled and every client judged.
"""
import random
import time

from faults import mischief
from faults.checker import Problem
from faults.report import Result
from faults.runner import Plan, play
from faults.scene import Scene

ROUND_SECONDS = 60
KINDS = {"alone": 6, "sentinel": 3, "sentinel-kept": 1}
PAUSE = {"redis": (1, 5), "gateway": (0.5, 5), "client": (0.3, 4), "publisher": (0.2, 2)}  # between two faults
LULL = (4, 12), (0.3, 2.5)  # every so often nothing is published for so long


def _pester(scene: Scene, where: str, rng: random.Random, end: float, done: list) -> None:
    """One kind of place, one fault after the other."""
    world = scene.world
    fitting = [one for one in mischief.ALL.values() if one.where == where and world.kind in one.worlds]
    if not fitting:
        return
    try:
        while True:
            time.sleep(rng.uniform(*PAUSE[where]))
            if time.monotonic() >= end or world.closing:
                return
            one = rng.choices(fitting, [fault.weight for fault in fitting])[0]
            done.append(one.name)
            one.act(world, rng, rng.uniform(*one.lasts))
    except Exception as problem:
        scene.problems.append(Problem("scene", "", time.time_ns() // 1_000_000,
                                      f"{where}: {type(problem).__name__}: {problem}"[:2000]))


def _lull(scene: Scene, rng: random.Random, end: float) -> None:
    every, lasts = LULL
    while time.monotonic() < end:
        time.sleep(min(rng.uniform(*every), max(0, end - time.monotonic())))
        scene.traffic.rate = 0
        time.sleep(rng.uniform(*lasts))
        scene.traffic.rate = scene.rate


def _round(plan: Plan, scene: Scene, seconds: float, seed: str, done: list) -> None:
    scene.enter()
    end = time.monotonic() + seconds
    for where in PAUSE:
        plan.go(_pester, scene, where, random.Random(f"{seed} {where}"), end, done)
    plan.go(_lull, scene, random.Random(f"{seed} lull"), end)
    plan.wait()


def run(plan: Plan, minutes: float) -> list[Result]:
    results: list[Result] = []
    end = time.monotonic() + 60 * minutes
    number = 0
    while (left := end - time.monotonic()) > 1:
        number += 1
        seed = f"{plan.seed} {number}"
        chosen = random.Random(seed).choices(list(KINDS), list(KINDS.values()))[0]
        kind, _, kept = chosen.partition("-")
        done: list[str] = []
        with plan.world(f"round-{number}", kind, {"PUBLISH_WAIT_REPLICAS": 1} if kept else None) as world:
            scene = Scene(world, f"round-{number}-{chosen}", seed, plan.clients, plan.rate, plan.recovery)
            result = play(world, scene, lambda scene: _round(plan, scene, min(left, ROUND_SECONDS), seed, done))
        result.verdict.problems += world.take_problems()
        counts = " ".join(f"{name}:{done.count(name)}" for name in sorted(set(done)))
        result.notes.append(f"{len(done)} faults: {counts}")
        results.append(result)
        plan.say(result)
    return results
