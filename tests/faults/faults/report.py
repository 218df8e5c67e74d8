"""What a campaign tells: the table, and each offence with what happened around it."""
import json
import re
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from pathlib import Path

from faults.checker import Problem, Verdict

COLUMNS = ("scenario", "events", "due", "delivered", "lost", "repeated", "disorder", "recovered", "not recovered",
           "by Redis", "other", "seconds")
TOLD = 5  # offences of a scenario that are told in full
JOURNAL_LINES = 6  # before an offence and behind it
LOG_LINES = 12
LOG_SECONDS = 2.0
STAMP = re.compile(r"\btime=(\S+)Z ")


@dataclass
class Result:
    name: str
    verdict: Verdict
    seconds: float
    stories: list[str] = field(default_factory=list)  # of the first offences
    notes: list[str] = field(default_factory=list)

    @property
    def failed(self) -> bool:
        return bool(self.verdict.problems)


def pick(problems: list[Problem]) -> list[Problem]:
    """A few that differ: of each kind the first one, then of other clients."""
    kinds = {problem.kind: problem for problem in reversed(problems)}
    others = {(problem.kind, problem.client): problem for problem in reversed(problems)}
    chosen = [*reversed(kinds.values()), *reversed(others.values())]
    return list(dict.fromkeys(chosen))[:TOLD]


def tell(problem: Problem, scene, directory: Path) -> str:
    """The offence; the client's journal and the gateways' logs around it."""
    lines = [f"{problem.kind}: {problem.client} at {problem.t}: {problem.text}"]
    journal = scene.world.fleet.journals.get(problem.client, [])
    at = next((number for number, one in enumerate(journal) if one.t >= problem.t), len(journal))
    lines += [f"    {one}"[:240] for one in journal[max(0, at - JOURNAL_LINES):at + JOURNAL_LINES]]
    lines += [f"    {line}"[:300] for line in around(directory, problem.t)]
    return "\n".join(lines)


def keep_journals(scene, directory: Path) -> None:
    """All that happened to the scene's clients, one file each scene."""
    with open(directory / f"journals-{scene.prefix}.txt", "w") as out:
        for person in scene.people:
            out.write(f"--- {person}\n")
            out.writelines(f"{one}\n" for one in list(scene.world.fleet.journals.get(person.name, [])))


def around(directory: Path, t: int) -> list[str]:
    """Lines of all gateways' logs near that time, the nearest ones."""
    found = []
    for path in sorted(directory.glob("gateway*.log")):
        for line in path.read_text(errors="replace").splitlines():
            if (stamp := STAMP.search(line)) and (distance := abs(millis(stamp[1]) - t)) < LOG_SECONDS * 1000:
                found.append((distance, stamp[1], f"{path.stem}: {line}"))
    nearest = sorted(found)[:LOG_LINES]
    return [line for _, _, line in sorted(nearest, key=lambda one: one[1])]


def millis(stamp: str) -> float:
    return datetime.fromisoformat(stamp).replace(tzinfo=timezone.utc).timestamp() * 1000


def row(name: str, verdict: Verdict, seconds: float) -> tuple:
    reasons = " ".join(f"{reason}:{count}" for reason, count in sorted(verdict.reasons.items()))
    return (name, verdict.published, verdict.due, verdict.delivered, verdict.count("lost"), verdict.count("repeated"),
            verdict.count("disorder"), verdict.recovered, reasons or "0", verdict.lost_by_redis, verdict.others(),
            f"{seconds:.1f}")


def total(results: list[Result]) -> Verdict:
    verdict = Verdict()
    for result in results:
        verdict.add(result.verdict)
    return verdict


def table(results: list[Result], seconds: float) -> str:
    rows = [COLUMNS, *(row(one.name, one.verdict, one.seconds) for one in results),
            row("all", total(results), seconds)]
    widths = [max(len(str(line[column])) for line in rows) for column in range(len(COLUMNS))]
    return "\n".join("  ".join(str(cell).ljust(width) if column == 0 else str(cell).rjust(width)
                               for column, (cell, width) in enumerate(zip(line, widths))) for line in rows)


def as_json(results: list[Result], seed: int, seconds: float) -> str:
    def one(name: str, verdict: Verdict, took: float, notes: list[str]) -> dict:
        return {"scenario": name, "published": verdict.published, "clients": verdict.clients, "due": verdict.due,
                "delivered": verdict.delivered, "lost": verdict.count("lost"), "repeated": verdict.count("repeated"),
                "disorder": verdict.count("disorder"), "recovered": verdict.recovered,
                "notRecovered": dict(verdict.reasons), "lostByRedis": verdict.lost_by_redis,
                "other": verdict.others(), "seconds": round(took, 1), "notes": notes,
                "problems": [asdict(problem) for problem in verdict.problems[:50]]}
    return json.dumps({"seed": seed, "all": one("all", total(results), seconds, []),
                       "scenarios": [one(r.name, r.verdict, r.seconds, r.notes) for r in results]})
