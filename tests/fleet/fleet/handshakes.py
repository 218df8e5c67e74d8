"""How many sessions each gateway opened a second, as the clients had them."""
from collections import defaultdict

from faults.checker import Member

SECOND_MS = 1000


def peak(members: dict[str, Member]) -> int:
    """The most of one gateway within a second."""
    times: dict[str, list[int]] = defaultdict(list)
    for member in members.values():
        for one in member.journal:
            if one.kind == "opened":
                times[one.gateway].append(one.t)
    return max((_peak(sorted(each)) for each in times.values()), default=0)


def _peak(times: list[int]) -> int:
    most, first = 0, 0
    for last, t in enumerate(times):
        while times[first] <= t - SECOND_MS:
            first += 1
        most = max(most, last - first + 1)
    return most
