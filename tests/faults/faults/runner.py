"""Runs scenarios: those of one lane one after the other in one world, the lanes side by side."""
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from faults import report
from faults.checker import Problem, Verdict
from faults.report import Result
from faults.scenarios import Scenario
from faults.scene import Scene
from faults.world import World

STOP_SECONDS = 40


@dataclass
class Plan:
    directory: Path
    seed: int
    clients: int
    rate: float
    recovery: bool = True
    say: object = print  # told each result as it comes
    settings: dict = field(default_factory=dict)  # of all gateways
    worlds: list[World] = field(default_factory=list)  # all that there ever were
    threads: list[threading.Thread] = field(default_factory=list)
    over: bool = False

    def world(self, name: str, kind: str, publisher: dict | None = None, **settings) -> World:
        """Not open yet, so that it is known from its beginning on."""
        assert not self.over, "the campaign is over"
        world = World(self.directory / name, kind, publisher=publisher, **(self.settings | settings))
        self.worlds.append(world)
        return world

    def go(self, work, *arguments) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self.threads.append(thread)
        thread.start()

    def wait(self, seconds: float = float("inf")) -> None:
        """For all work; in steps, so that an interrupt gets through."""
        end = time.monotonic() + seconds
        while any(thread.is_alive() for thread in self.threads) and time.monotonic() < end:
            time.sleep(0.05)

    def stop(self) -> None:
        """Twice: work that an interrupt ends may start a last thing."""
        self.over = True
        for seconds in (STOP_SECONDS, 0):
            for world in self.worlds:
                world.close()
            self.wait(seconds)


def play(world: World, scene: Scene, act) -> Result:
    """Lets the scene happen, and judges it; whatever goes wrong on the way is in the result."""
    began = time.monotonic()
    try:
        act(scene)
        verdict = scene.finish()
    except Exception as problem:  # a server that does not start, a wait that was in vain: an offence like others
        text = f"{type(problem).__name__}: {problem}"[:3000]
        verdict = Verdict(problems=[*scene.problems, *world.take_problems(), Problem("scene", "", 0, text)])
    result = Result(scene.name, verdict, time.monotonic() - began)
    result.stories = [report.tell(one, scene, world.directory) for one in report.pick(verdict.problems)]
    report.keep_journals(scene, world.directory)
    try:
        scene.leave()
    except OSError as problem:
        verdict.problems.append(Problem("scene", "", 0, f"the clients' process: {problem}"))
    return result


def play_scenario(plan: Plan, world: World, scenario: Scenario) -> Result:
    scene = Scene(world, scenario.name, plan.seed, plan.clients, plan.rate, plan.recovery)

    def act(scene: Scene) -> None:
        if scenario.enters:
            scene.enter()
        scenario.act(scene)

    return play(world, scene, act)


def run_lane(plan: Plan, scenarios: list[Scenario], results: list[Result]) -> None:
    """After a failure the next scenario gets a world of its own, so that it is not blamed for it."""
    world = None
    for number, scenario in enumerate(scenarios):
        if plan.over:
            return
        try:
            world = world or plan.world(f"world-{scenario.name}", scenario.world, scenario.publisher,
                                        **scenario.settings).open()
            result = play_scenario(plan, world, scenario)
        except Exception as problem:  # the world did not come to be
            text = f"{type(problem).__name__}: {problem}"[:3000]
            result = Result(scenario.name, Verdict(problems=[Problem("world", "", 0, text)]), 0, [text])
        if world is not None and (result.failed or number == len(scenarios) - 1):
            world.close()
            result.verdict.problems += world.take_problems()
            world = None
        if not plan.over:
            results.append(result)
            plan.say(result)


def run(plan: Plan, scenarios: list[Scenario]) -> list[Result]:
    lanes: dict[tuple, list[Scenario]] = {}
    for scenario in scenarios:
        lanes.setdefault(scenario.lane, []).append(scenario)
    results: list[Result] = []
    for lane in lanes.values():
        plan.go(run_lane, plan, lane, results)
    plan.wait()
    order = [scenario.name for scenario in scenarios]
    return sorted(results, key=lambda result: order.index(result.name))
