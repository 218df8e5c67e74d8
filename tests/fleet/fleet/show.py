"""A scenario under way and what it tells: figures, and promises that are kept or broken."""
import math
from dataclasses import dataclass, field
from pathlib import Path

from faults.checker import Verdict

STORIES = 5  # problems that are told in full


@dataclass(frozen=True)
class Wishes:
    full: bool
    proxy: str
    clients: int | None = None
    seconds: float | None = None
    public: Path | None = None  # where the public protocol suites are


@dataclass
class Show:
    name: str
    wishes: Wishes
    directory: Path
    rows: list[tuple[str, str, str]] = field(default_factory=list)
    broken: int = 0

    # --- What is wished for

    def clients(self, short: int, full: int) -> int:
        return self.wishes.clients or (full if self.wishes.full else short)

    def seconds(self, short: float, full: float) -> float:
        return self.wishes.seconds or (full if self.wishes.full else short)

    @property
    def full(self) -> bool:
        return self.wishes.full

    # --- What is told

    def tell(self, what: str, value) -> None:
        self.rows.append((what, self._text(value), ""))

    def promise(self, what: str, value, good: bool, wanted: str = "") -> None:
        self.rows.append((what, self._text(value), "ok" if good else f"BROKEN{': ' if wanted else ''}{wanted}"))
        self.broken += not good

    def equal(self, what: str, value, wanted) -> None:
        self.promise(what, value, value == wanted, f"not {self._text(wanted)}")

    def timing(self, what: str, value, good: bool, wanted: str) -> None:
        """A promise about time is one only where nothing else is going on."""
        if self.full:
            self.promise(what, value, good, wanted)
        else:
            self.tell(what, value)

    def failed(self, text: str) -> None:
        self.promise("problem", text, False)

    def deliveries(self, verdict: Verdict) -> None:
        self.tell("events published", verdict.published)
        self.tell("deliveries due", verdict.due)
        for kind in ("lost", "repeated", "disorder"):
            self.equal({"disorder": "out of order"}.get(kind, kind), verdict.count(kind), 0)
        self.tell("returns, recovered", verdict.recovered)
        self.tell("returns, not recovered", " ".join(f"{why}: {n}" for why, n in verdict.reasons.items()) or 0)
        self.equal("other offences", verdict.others(), 0)
        for problem in verdict.problems[:STORIES]:
            self.tell(problem.kind, f"{problem.client} at {problem.t}: {problem.text}"[:300])

    @staticmethod
    def _text(value) -> str:
        if isinstance(value, bool):
            return "yes" if value else "no"
        if isinstance(value, float):
            return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
        return f"{value:,}" if isinstance(value, int) else str(value)

    def table(self) -> str:
        width = max(len(what) for what, _, _ in self.rows)
        values = max(len(value) for _, value, _ in self.rows if len(value) <= 40)
        return "\n".join(f"  {what:{width}}  {value:>{values}}  {mark}".rstrip() for what, value, mark in self.rows)


def percentile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * share) - 1)] if ordered else 0.0


def megabytes(size: float) -> str:
    return f"{size / 1e6:,.0f} MB"
