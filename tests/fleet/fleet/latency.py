"""How long events take, from their publication (Redis gives the id by the same clock) to a client's handler."""
from faults.checker import Member
from fleet.show import percentile


def latencies(members: dict[str, Member], names: set[str], start: float, end: float) -> list[float]:
    """In milliseconds, of events that were published between the two times (milliseconds)."""
    return [one.t - int(one.id) / 1000 for name in names for one in members[name].journal
            if one.kind == "event" and one.id is not None and start <= int(one.id) / 1000 < end]


def p99(values: list[float]) -> float:
    return percentile(values, 0.99)
