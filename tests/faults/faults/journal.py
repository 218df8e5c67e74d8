"""What happened to one client, in its order, as tests/clients/member.mjs tells it."""
from typing import NamedTuple

# kind → what the details are, in their order
DETAILS = {
    "opened": ("gateway",),  # a session, by the handshake
    "connect": ("recovered", "sid", "pid", "offset"),
    "connected": ("id", "arguments"),
    "event": ("id", "name", "key"),
    # why: HTTP status, Engine.IO code and text, where the server gave a reason
    "disconnect": ("reason", "status", "code", "why"),
    "error": ("message", "status", "code", "why"),
    "upgrade": (),
    "upgradeError": ("message", "status", "code", "why"),
    "asked": ("room", "since", "last"),
    "ack": ("room", "success", "message", "events", "complete", "since"),
    "closed": (),  # by the campaign
}


class Happening(NamedTuple):
    t: int  # milliseconds of the wall clock, rounded down
    kind: str
    details: tuple

    def __getattr__(self, name: str):
        try:
            return self.details[DETAILS[self.kind].index(name)]
        except ValueError:
            raise AttributeError(name) from None

    def __str__(self) -> str:
        pairs = zip(DETAILS[self.kind], self.details)
        return f"{self.t} {self.kind} " + " ".join(f"{name}={value}" for name, value in pairs if value is not None)


def happening(t: int, kind: str, *details) -> Happening:
    assert len(details) == len(DETAILS[kind]), (kind, details)
    return Happening(t, kind, details)
