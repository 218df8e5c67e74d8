"""Well-behaved clients: what is published reaches them once and in order, and acks come in time."""

import json
import threading
import time

from peer.engine import PATH, Polling, Socket
from peer.http import Connection
from peer.websocket import TEXT

from . import token

ASK_SECONDS = 0.4  # between two questions that want an ack


class Wire:
    """One session that can wait a little: the next messages, or none."""

    def __init__(self, world):
        self.session = Socket(world)
        self.session.ws.sock.settimeout(30)

    def send(self, message: str) -> None:
        self.session.send(message)

    def receive(self) -> list[str]:
        return [self.session.receive()]

    def close(self) -> None:
        self.session.ws.close()


class PollingWire:
    """One kept connection for polls, one for posts."""

    def __init__(self, world):
        self.session = Polling(world)
        self.polls, self.posts = Connection(world.address), Connection(world.address)
        for connection in (self.polls, self.posts):
            connection.sock.settimeout(30)
        self.lock = threading.Lock()

    def post(self, body: str) -> None:
        with self.lock:
            self.posts.request("POST", self.session.target, body)
            response = self.posts.response()
            assert response.status == 200, response

    def send(self, message: str) -> None:
        self.post("4" + message)

    def receive(self) -> list[str]:
        self.polls.request("GET", self.session.target)
        packets = self.polls.response().packets
        for packet in packets:
            assert packet[0] in "246", packet
            if packet == "2":
                self.post("3")
        return [packet[1:] for packet in packets if packet[0] == "4"]

    def close(self) -> None:
        self.polls.close()
        self.posts.close()


class UpgradedWire(Wire):
    """Began with polls; a WebSocket from here on."""

    def __init__(self, world):
        self.session = Socket.__new__(Socket)
        polling = Polling(world)
        self.session.ws = polling.candidate()
        self.session.ws.sock.settimeout(30)
        self.session.ws.send_message("2probe")
        assert self.session.ws.receive() == "3probe"
        self.session.ws.send_frame(TEXT, b"5")


KINDS = (Wire, PollingWire, UpgradedWire)
assert PATH


class Witness:
    def __init__(self, world, number: int, markets: list[str]):
        self.name = f"witness {number} ({KINDS[number % len(KINDS)].__name__})"
        self.rooms = {"global:all", *markets}
        self.received: list[int] = []
        self.delays: list[float] = []
        self.problem: str | None = None
        self.asked: dict[int, float] = {}
        self.last_ack = 0
        self.began = time.monotonic()
        self.wire = KINDS[number % len(KINDS)](world)
        self.inbox: list[str] = []
        self.sid = self.introduce(f"witness-{number}", markets)
        self.done = threading.Event()
        self.threads = [
            threading.Thread(target=self.guard, args=(work,)) for work in (self.listen, self.ask)
        ]
        for thread in self.threads:
            thread.start()

    def next(self) -> str:
        while not self.inbox:
            self.inbox = list(self.wire.receive())
        return self.inbox.pop(0)

    def introduce(self, user: str, markets: list[str]) -> str:
        self.wire.send("0" + token.auth(token.valid(user)))
        opened = self.next()
        assert opened.startswith("0{"), opened
        assert self.next().startswith('2["connected",')
        for number, room in enumerate(markets):
            kind, name = room.split(":")
            self.wire.send(f"2{number}" + json.dumps(["subscribe", {"room": kind, "id": name}]))
            answer = self.next()
            assert answer.startswith(f'3{number}[{{"success":true'), answer
        self.last_ack = len(markets)
        return json.loads(opened[1:])["sid"]

    def guard(self, work) -> None:
        try:
            work()
        except Exception as problem:  # whatever it is, it must not have happened
            if not self.done.is_set() and not self.problem:
                self.problem = (f"{type(problem).__name__}: {problem}"[:500]
                                + f", {time.monotonic() - self.began:.1f} s after it had come")

    def listen(self) -> None:
        while not self.done.is_set():
            self.take(self.next())

    def take(self, message: str) -> None:
        if message[0] == "3":
            number, answer = message[1:].split("[", 1)
            assert answer.startswith('{"pong":true'), answer
            self.delays.append(time.monotonic() - self.asked.pop(int(number)))
        else:
            assert message[0] == "2", message
            name, payload = json.loads(message[1:])
            assert name == payload["type"] == "market:trade", message
            self.received.append(payload["data"]["n"])

    def ask(self) -> None:
        while not self.done.wait(ASK_SECONDS):
            self.last_ack += 1
            self.asked[self.last_ack] = time.monotonic()
            self.wire.send(f'2{self.last_ack}["ping"]')

    def due(self, published) -> list[int]:
        return [n for n, rooms in published if self.rooms & set(rooms)]

    def slowest(self) -> float:
        waiting = [time.monotonic() - since for since in list(self.asked.values())]
        return max([*self.delays, *waiting], default=0.0)

    def verdict(self, published, patience: float) -> str | None:
        due = self.due(published)
        if self.problem:
            return f"{self.name}: {self.problem}"
        if self.received != due:
            missing = sorted(set(due) - set(self.received))[:5]
            return (f"{self.name}: {len(self.received)} events of {len(due)}; missing {missing}, "
                    f"in order: {self.received == sorted(self.received)}")
        if self.slowest() > patience:
            return f"{self.name}: an ack took {self.slowest():.1f} s"
        return None

    def close(self) -> None:
        self.done.set()
        self.wire.close()


class Publisher(threading.Thread):
    """Numbered events, each to one or two rooms, until it is told to stop."""

    def __init__(self, redis, rooms: list[str], a_second: int, rng):
        super().__init__()
        self.redis, self.rooms, self.pause, self.rng = redis, rooms, 1 / a_second, rng
        self.published: list[tuple[int, list[str]]] = []
        self.unheard = 0
        self.done = threading.Event()

    def run(self) -> None:
        while not self.done.wait(self.pause):
            self.publish(len(self.published) + 1, self.rng.sample(self.rooms, self.rng.choice((1, 2))))

    def publish(self, number: int, rooms: list[str]) -> None:
        payload = {"type": "market:trade", "timestamp": "2026-01-01T00:00:00.000Z",
                   "data": {"n": number, "pad": "x" * self.rng.randrange(300)}}
        header = f"{time.time_ns() // 1000} 0 market:trade {','.join(rooms)}\n"
        message = (header + json.dumps(payload)).encode()
        self.published.append((number, rooms))
        reached = self.redis.publish([("guesslyfe:{0}:room:" + room, message) for room in rooms])
        self.unheard += reached.count(0)
