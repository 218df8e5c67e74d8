"""Steady publishing in a scene's rooms."""
import itertools
import random
import threading
import time

from faults import events
from faults.events import Numbered
from faults.fleet import Person

# How often each kind of event comes, of a hundred
MIX = {"trade": 62, "notification": 20, "shares": 6, "resolved": 6, "announcement": 6}


class Traffic:
    def __init__(self, name: str, people: list[Person], markets: list[str], creators: list[str], publish,
                 rng: random.Random):
        self.name, self.people, self.markets, self.creators = name, people, markets, creators
        self.publish, self.rng = publish, rng
        self.numbers = itertools.count()
        self.keys: list[str] = []
        self.rate, self.mix = 0.0, dict(MIX)
        self.done = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)

    def start(self, rate: float) -> None:
        self.rate = rate
        self.thread.start()

    def _run(self) -> None:
        due = time.monotonic()
        while not self.done.is_set():
            if self.rate <= 0:
                due = time.monotonic()
                self.done.wait(0.02)
                continue
            self.one(self.rng.choices(list(self.mix), list(self.mix.values()))[0])
            due += 1 / self.rate
            self.done.wait(max(0, due - time.monotonic()))

    def one(self, kind: str, **given) -> Numbered:
        """Publishes one event; where in the scene is drawn, or given."""
        key = f"{self.name}-{next(self.numbers)}"
        draw = {"market": self.rng.choice(self.markets), "creator": self.rng.choice(self.creators),
                "trader": self.rng.choice(self.people).address} | given
        if kind == "trade":
            event = events.trade(key, draw["market"], draw["trader"])
        elif kind == "shares":
            event = events.shares(key, draw["creator"], draw["trader"])
        elif kind == "resolved":
            event = events.resolved(key, draw["market"])
        elif kind == "announcement":
            event = events.announcement(key)
        else:
            person = self.rng.choice(self.people)
            event = events.notification(key, given.get("user") or self.rng.choice((person.sub, person.address)))
        self.keys.append(key)
        self.publish(event)
        return event

    def stop(self) -> None:
        self.done.set()
        if self.thread.is_alive():
            self.thread.join(5)
