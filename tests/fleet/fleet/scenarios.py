"""The scenarios by name. Each is told by a function that is given a Show, and makes its own world."""
from collections.abc import Callable
from dataclasses import dataclass

from fleet.show import Show


@dataclass(frozen=True)
class Scenario:
    name: str
    about: str
    act: Callable[[Show], None]


ALL: dict[str, Scenario] = {}


def scenario(name: str):
    def register(act):
        ALL[name] = Scenario(name, act.__doc__.strip().rstrip("."), act)
        return act
    return register
