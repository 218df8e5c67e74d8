"""
Judges a campaign by its evidence alone: what was published, what Redis' logs hold, and every client's journal.

What is due. An event is due to a client, in a chain of its connections (chain.py), when
- it is in a room that the client was in: from the ack of `subscribe`, from `connected` for its own rooms, or, where the
  ack told missed events, from the first of these (with `since` and complete: from `since` on). An id is the time of
  publishing in microseconds by the one clock of the machine, so "after the ack" is "a greater id than the ack's time";
- its id is not beyond the chain's end. The last chain is open: everything up to the end of the campaign is due. One that
  ended because the client was not recovered reaches to the last id that came: ids come in order, so a hole before it
  is a loss, and what was under way behind it nobody can know;
- a log holds it, or was seen to hold it before its data was deleted on purpose, or held it before it was cut to its
  length. What a primary confirmed and took to its grave is in no log: it is counted by itself, and allowed only in the
  time of a failover or of a restart without data (Loss).

Not due, but allowed: events between the gateway's ack and its arrival. Never allowed: an id twice in a chain (also in an
ack and afterwards live), a smaller id after a greater one, an event of a room the client never asked for, one that was
never published, two ids for one key without a Loss between them, a return without recovery for no reason, and a chain
that goes on over a restart without data.
"""
import bisect
from collections import Counter, defaultdict
from dataclasses import dataclass, field

from faults.chain import Chain, Return, Walk
from faults.journal import Happening

REPLICATION_LAG = 500_000  # microseconds: what was written so long before a failover, a replica has
BAD = ("lost", "repeated", "disorder")


@dataclass(frozen=True)
class Event:
    key: str
    id: int
    rooms: tuple[str, ...]


@dataclass(frozen=True)
class Loss:
    """
    A time in which Redis may lose what it had confirmed; total: everything it ever held; wild: sentinels changed the
    primary of themselves, while it was well, so that what a replica has may be lost too.
    """

    start: int
    end: int
    total: bool
    wild: bool = False

    def covers(self, id: int) -> bool:
        return id <= self.end and (self.total or id >= self.start - REPLICATION_LAG)


@dataclass
class Member:
    """A client: the rooms it is in without asking, and what happened to it."""

    own_rooms: list[str]
    journal: list[Happening]
    recovery: bool = True  # whether it asked for it


@dataclass
class Evidence:
    held: list[Event]
    confirmed: dict[str, set[int]]  # key → ids that the publisher was told
    members: dict[str, Member]
    losses: list[Loss] = field(default_factory=list)
    caps: dict[str, int] = field(default_factory=dict)  # room → events in its log, where that may be too few
    rooms_of: dict[str, tuple[str, ...]] = field(default_factory=dict)  # key → rooms, of all that was published
    window: int = 120_000_000  # of recovery, microseconds
    kept: bool = False  # what the publisher was told is on a replica too, and survives a failover


@dataclass(frozen=True)
class Problem:
    kind: str
    client: str
    t: int  # milliseconds
    text: str


@dataclass
class Verdict:
    published: int = 0
    clients: int = 0
    due: int = 0
    delivered: int = 0
    recovered: int = 0
    lost_by_redis: int = 0
    reasons: Counter = field(default_factory=Counter)  # of returns without recovery
    problems: list[Problem] = field(default_factory=list)

    def count(self, kind: str) -> int:
        return sum(problem.kind == kind for problem in self.problems)

    def others(self) -> int:
        return sum(problem.kind not in BAD for problem in self.problems)

    def add(self, other: "Verdict") -> None:
        for name in ("published", "clients", "due", "delivered", "recovered", "lost_by_redis"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.reasons.update(other.reasons)
        self.problems.extend(other.problems)


class Catalogue:
    """Which events there are, by key, by id and by room."""

    def __init__(self, evidence: Evidence):
        self.rooms_of_id: dict[int, tuple[str, ...]] = {}
        self.ids_of_key: dict[str, set[int]] = defaultdict(set)
        self.room_ids: dict[str, list[int]] = defaultdict(list)  # what is due where, in order
        for event in evidence.held:
            self._know(event.key, event.id, event.rooms)
        self.held = set(self.rooms_of_id)
        for id, rooms in self.rooms_of_id.items():
            for room in rooms:
                self.room_ids[room].append(id)
        for ids in self.room_ids.values():
            ids.sort()
        for key, ids in evidence.confirmed.items():
            for id in ids:
                self._know(key, id, evidence.rooms_of.get(key, ()))
        self.rooms_of_key = evidence.rooms_of

    def _know(self, key: str, id: int, rooms: tuple[str, ...]) -> None:
        self.rooms_of_id.setdefault(id, rooms)
        self.ids_of_key[key].add(id)

    def id_of(self, happening: Happening) -> int | None:
        """
        By the id it came with, else (clients without recovery) by its key, and if that was published anew after a loss,
        by the time. None: never published.
        """
        if happening.id is None:
            ids = self.ids_of_key.get(happening.key, ())
            return max((id for id in ids if id < (happening.t + 1) * 1000), default=min(ids, default=None))
        id = int(happening.id)
        if id in self.rooms_of_id:
            return id
        if happening.key not in self.rooms_of_key:
            return None
        self._know(happening.key, id, self.rooms_of_key[happening.key])
        return id

    def gone(self) -> set[int]:
        """What somebody got or was told, and no log holds."""
        return self.rooms_of_id.keys() - self.held

    def between(self, room: str, after: int, until: float) -> list[int]:
        ids = self.room_ids.get(room, [])
        return ids[bisect.bisect_right(ids, after):bisect.bisect_right(ids, until)]


def check(evidence: Evidence) -> Verdict:
    catalogue = Catalogue(evidence)
    verdict = Verdict(published=len(evidence.confirmed), clients=len(evidence.members))
    for name, member in evidence.members.items():
        _MemberCheck(evidence, catalogue, verdict, name, member).run()
    _check_keys(evidence, catalogue, verdict)
    if not (verdict.published and verdict.clients and verdict.due):
        verdict.problems.append(Problem("vacuous", "", 0, "nothing was published, or nothing was due to anybody"))
    return verdict


def _check_keys(evidence: Evidence, catalogue: Catalogue, verdict: Verdict) -> None:
    for key, ids in catalogue.ids_of_key.items():
        gone = sorted(ids - catalogue.held)
        verdict.lost_by_redis += bool(gone)
        for id in gone:
            promised = evidence.kept and id in evidence.confirmed.get(key, ())
            if not any(loss.covers(id) and (loss.wild or not promised) for loss in evidence.losses):
                verdict.problems.append(Problem("vanished", "", id // 1000, f"{key} with id {id} is in no log"))
        first, last = min(ids), max(ids)
        if first != last and not any(loss.covers(first) and last >= loss.start for loss in evidence.losses):
            verdict.problems.append(Problem("twice", "", last // 1000, f"{key} was stored as {sorted(ids)}"))


class _MemberCheck:
    def __init__(self, evidence: Evidence, catalogue: Catalogue, verdict: Verdict, name: str, member: Member):
        self.evidence, self.catalogue, self.verdict = evidence, catalogue, verdict
        self.name, self.member = name, member

    def complain(self, kind: str, t: int, text: str, id: int | None = None) -> None:
        if id is not None:
            text += f" ({', '.join(self.catalogue.rooms_of_id.get(id, ('no known room',)))})"
        self.verdict.problems.append(Problem(kind, self.name, t, text))

    def run(self) -> None:
        walk = Walk(self.member.own_rooms, self.catalogue.id_of, self.complain)
        for happening in self.member.journal:
            walk.take(happening)
        if not walk.chains or not walk.open:
            self.complain("away", walk.disconnected // 1000, "not connected at the end")
        reasons = self._judge_returns(walk.returns)
        for chain in walk.chains:
            self._judge_losses(chain, walk.returns)
            self._judge_chain(chain, reasons.get(id(chain), ""))

    # --- Returns

    def _judge_returns(self, returns: list[Return]) -> dict[int, str]:
        """Chain (by identity) → why it ended."""
        reasons: dict[int, str] = {}
        for back in returns:
            if back.recovered:
                self.verdict.recovered += 1
                continue
            reason = self._reason(back)
            reasons[id(back.before)] = reason
            self.verdict.reasons[reason.split(" ")[0]] += 1
            if reason == "unexplained":
                self.complain("unexplained", back.t // 1000,
                              f"came back without recovery for no reason; last id {back.before.last}")
        return reasons

    def _judge_losses(self, chain: Chain, returns: list[Return]) -> None:
        """When Redis lost everything, nobody can say any more that a client has missed nothing."""
        last = max((back.t for back in returns if back.recovered and back.before is chain), default=0)
        for loss in self.evidence.losses:
            if not loss.total or chain.began is None or chain.began > loss.start or not self.member.recovery:
                continue
            if chain.closed is None or last > loss.end:
                self.complain("hollow", max(last, loss.end) // 1000, "goes on as if nothing had been missed, although "
                              f"Redis lost everything from {loss.start} to {loss.end}")

    def _reason(self, back: Return) -> str:
        chain = back.before
        if not self.member.recovery:
            return "unwanted"
        if chain.began is None:
            return "early"  # dropped before `connected`
        if any(self._explains(loss, chain, back) for loss in self.evidence.losses):
            return "data-loss"
        if back.t - chain.closed >= self.evidence.window:
            return "window"
        overflown = [room for room, cap in self.evidence.caps.items() if self._overflown(chain, room, cap, back.t)]
        return f"overflow {' '.join(overflown)}" if overflown else "unexplained"

    def _explains(self, loss: Loss, chain: Chain, back: Return) -> bool:
        """A failover loses what was written last: events of the chain's time, or its newest rooms."""
        if back.t < loss.start or chain.began > loss.end:
            return False
        return (loss.total or chain.joined > loss.start - REPLICATION_LAG
                or any(loss.covers(id) for id in self.catalogue.gone()))

    def _overflown(self, chain: Chain, room: str, cap: int, until: int) -> bool:
        if room not in chain.rooms:
            return False
        return len(self.catalogue.between(room, self._last_in(chain, room), until)) >= cap

    def _last_in(self, chain: Chain, room: str) -> int:
        in_room = (one for one in chain.received() if room in self.catalogue.rooms_of_id.get(one, ()))
        return max(chain.rooms[room], max(in_room, default=0))

    # --- Deliveries

    def _judge_chain(self, chain: Chain, reason: str) -> None:
        received = chain.received()
        due: set[int] = set()
        for room, start in chain.rooms.items():
            due.update(self.catalogue.between(room, start, self._end(chain, room, reason)))
        self.verdict.due += len(due)
        self.verdict.delivered += len(due & received)
        for missing in sorted(due - received):
            self.complain("lost", missing // 1000, self._tell_lost(chain, missing), missing)
        self._judge_rooms(chain)

    def _end(self, chain: Chain, room: str, reason: str) -> float:
        """Of a room whose log overflowed the rest is gone, whatever came of other rooms."""
        if chain.closed is None:
            return float("inf")
        return self._last_in(chain, room) if room in reason.split(" ")[1:] else max(chain.live, default=0)

    @staticmethod
    def _tell_lost(chain: Chain, missing: int) -> str:
        before = max((one for one in chain.live if one < missing), default=None)
        after = min((one for one in chain.live if one > missing), default=None)
        times = " and ".join(f"{one} at {chain.live[one] // 1000}" if one else "nothing" for one in (before, after))
        return f"{missing} never came: between {times}; chain since {chain.opened // 1000}"

    def _judge_rooms(self, chain: Chain) -> None:
        allowed = chain.asked | chain.rooms.keys() | set(self.member.own_rooms)
        for one, t in chain.live.items():
            rooms = self.catalogue.rooms_of_id.get(one, ())
            if rooms and not allowed.intersection(rooms):
                self.complain("foreign", t // 1000, f"{one} is of no room of this client", one)
