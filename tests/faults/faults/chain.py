"""
A chain: a client's connections from one that was not recovered over all that were. Within it the client may expect
every event of its rooms once and in order, as if it had never been away.
"""
from dataclasses import dataclass, field

from faults.journal import Happening

MICROSECONDS = 1000  # of a journal's millisecond


@dataclass
class Chain:
    opened: int  # microseconds, as all times and ids here
    recovery: bool  # whether it was given a pid to come back with
    began: int | None = None  # at the first `connected`
    closed: int | None = None  # at the disconnect behind which no recovery followed
    rooms: dict[str, int] = field(default_factory=dict)  # room → its events with greater ids are due
    asked: set[str] = field(default_factory=set)  # rooms that may be delivered from, acknowledged or not
    live: dict[int, int] = field(default_factory=dict)  # id → when, of every event received
    told: dict[int, int] = field(default_factory=dict)  # id → when, of events in acks of subscribe
    last: int = 0  # the greatest id that came live
    joined: int = 0  # when the set of rooms last grew

    def received(self) -> set[int]:
        return self.live.keys() | self.told.keys()


@dataclass(frozen=True)
class Return:
    """A connection after the first one."""

    t: int
    recovered: bool
    before: Chain  # what it continues, or ends


class Walk:
    """Goes through one journal: the chains, the returns, and what can be said about order at once."""

    def __init__(self, own_rooms: list[str], id_of, complain):
        self.own_rooms, self.id_of, self.complain = own_rooms, id_of, complain
        self.chains: list[Chain] = []
        self.returns: list[Return] = []
        self.open = False  # connected at the end, or closed by the campaign
        self.disconnected = 0

    def take(self, happening: Happening) -> None:
        getattr(self, "_on_" + happening.kind)(happening, happening.t * MICROSECONDS)

    @property
    def chain(self) -> Chain:
        return self.chains[-1]

    def _on_connect(self, happening: Happening, t: int) -> None:
        self.open = True
        if self.chains:
            self.returns.append(Return(t, happening.recovered, self.chain))
        if not self.chains or not happening.recovered:
            if self.chains:
                self.chain.closed = self.disconnected
            self.chains.append(Chain(opened=t, recovery=happening.pid is not None))

    def _on_connected(self, happening: Happening, t: int) -> None:
        chain = self.chain
        if chain.began is None:
            chain.began = chain.joined = t
            for room in self.own_rooms:
                chain.rooms.setdefault(room, t + MICROSECONDS)
        elif happening.id is not None:
            self._follow(int(happening.id), happening, "the offset of `connected`")

    def _follow(self, id: int, happening: Happening, what: str) -> None:
        if id < self.chain.last:
            self.complain("disorder", happening.t, f"{what} {id} came after {self.chain.last}", id)
        self.chain.last = max(self.chain.last, id)

    def _on_event(self, happening: Happening, t: int) -> None:
        id, chain = self.id_of(happening), self.chain
        if id is None:
            self.complain("stranger", happening.t, f"{happening} was never published", None)
            return
        if id in chain.live or id in chain.told:
            first = chain.live.get(id) or chain.told[id]
            how = "" if id in chain.live else "in an ack "
            self.complain("repeated", happening.t, f"{id} had come {how}at {first // MICROSECONDS}", id)
            return
        self._follow(id, happening, "event")
        chain.live[id] = t

    def _on_disconnect(self, happening: Happening, t: int) -> None:
        self.open, self.disconnected = False, t
        if happening.reason == "io server disconnect":
            self.complain("dismissed", happening.t, "the server sent DISCONNECT: the client does not come back", None)

    def _on_asked(self, happening: Happening, t: int) -> None:
        self.chain.asked.add(happening.room)

    def _on_ack(self, happening: Happening, t: int) -> None:
        if not happening.success:
            return
        ids = [int(id) for id, _ in happening.events or []]
        for earlier, later in zip(ids, ids[1:]):
            if earlier >= later:
                self.complain("disorder", happening.t, f"{later} after {earlier} in the ack of {happening.room}", later)
        start = t + MICROSECONDS
        if happening.complete and happening.since is not None:
            start = int(happening.since)
        elif ids:
            start = ids[0] - 1
        self.chain.told.update({id: t for id in ids})
        if happening.room not in self.chain.rooms:
            self.chain.rooms[happening.room] = start
            self.chain.joined = t

    def _on_closed(self, happening: Happening, t: int) -> None:
        """The campaign let it go: what had not arrived by then need not arrive."""
        self.open = True
        if self.chains:
            self.chain.closed = t

    def _on_error(self, happening: Happening, t: int) -> None:
        """Attempts that fail are what faults are made for; only the returns count."""

    def _on_opened(self, happening: Happening, t: int) -> None:
        """What counts is what is connected in it."""

    _on_upgrade = _on_upgradeError = _on_opened
