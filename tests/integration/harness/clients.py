"""Official clients under one interface: JavaScript 3 and 4 (in one node process), and Python."""
import itertools
import json
import select
import ssl
import subprocess
import threading
import time
from pathlib import Path
from queue import Queue

import requests
import socketio

from harness.gateway import REPOSITORY
from harness.wait import DEADLINE

DRIVER = REPOSITORY / "tests" / "clients" / "driver.mjs"


class Client:
    """What happened to one client, in order. Events are (name, first argument)."""

    def __init__(self):
        self.changed = threading.Condition()
        self.happenings: list[tuple[str, dict]] = []

    def happened(self, kind: str, details: dict) -> None:
        with self.changed:
            self.happenings.append((kind, details))
            self.changed.notify_all()

    def all(self, kind: str) -> list[dict]:
        return [details for happened, details in list(self.happenings) if happened == kind]

    def events(self, name: str | None = None) -> list[tuple[str, object]]:
        return [(event["event"], event["args"][0] if event["args"] else None)
                for event in self.all("event") if name in (None, event["event"])]

    def data(self, name: str) -> list[dict]:
        """The data of every received event of that name."""
        return [argument["data"] for _, argument in self.events(name)]

    def wait(self, kind: str, count: int = 1, seconds: float = DEADLINE) -> dict:
        """Until it has happened `count` times; returns the details of the last of these."""
        self.wait_for(lambda: len(self.all(kind)) >= count, f"{count} × {kind}", seconds)
        return self.all(kind)[count - 1]

    def wait_event(self, name: str, count: int = 1, seconds: float = DEADLINE):
        self.wait_for(lambda: len(self.events(name)) >= count, f"{count} × event {name}", seconds)
        return self.events(name)[count - 1][1]

    def wait_for(self, condition, what: str, seconds: float = DEADLINE) -> None:
        with self.changed:
            if not self.changed.wait_for(condition, seconds):
                raise AssertionError(f"not within {seconds:g} s: {what}; happened: {self.happenings[-20:]}")

    def subscribe(self, room: str, id: str) -> dict:
        return self.call("subscribe", {"room": room, "id": id})

    def unsubscribe(self, room: str, id: str) -> dict:
        return self.call("unsubscribe", {"room": room, "id": id})


class NodeClient(Client):
    def __init__(self, driver: "NodeDriver", name: str):
        super().__init__()
        self.driver, self.name = driver, name

    def call(self, event: str, *args, seconds: float = DEADLINE):
        """Emits, and returns the first argument of the acknowledgement."""
        return self.driver.ask("emit", self.name, seconds, event=event, args=args, ack=True)["answer"][0]

    def emit(self, event: str, *args) -> None:
        self.driver.ask("emit", self.name, event=event, args=args)

    def begin(self, event: str, *args) -> Queue:
        """Emits; the answer comes into the queue."""
        return self.driver.send("emit", self.name, event=event, args=args, ack=True)

    def reconnect(self, url: str | None = None) -> None:
        """To another gateway, where a URL is given."""
        self.driver.ask("reconnect", self.name, url=url)

    def aim(self, url: str) -> None:
        """Where it goes when it reconnects by itself, like a name that leads elsewhere."""
        self.driver.ask("aim", self.name, url=url)

    def drop(self) -> None:
        self.driver.ask("drop", self.name)

    def disconnect(self) -> None:
        self.driver.ask("disconnect", self.name)


class NodeDriver:
    """The node process that runs all JavaScript clients."""

    def __init__(self):
        self.process = subprocess.Popen(["node", DRIVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.numbers = itertools.count(1)
        self.waiting: dict[int, Queue] = {}
        self.clients: dict[str, NodeClient] = {}
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in self.process.stdout:
            message = json.loads(line)
            if "id" in message:
                self.waiting.pop(message["id"]).put(message)
            else:
                self.clients[message.pop("client")].happened(message.pop("happened"), message)

    def send(self, do: str, client: str, **arguments) -> Queue:
        answer, number = Queue(), next(self.numbers)
        self.waiting[number] = answer
        line = json.dumps({"id": number, "do": do, "client": client, **arguments})
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()
        return answer

    def ask(self, do: str, client: str, seconds: float = DEADLINE, **arguments) -> dict:
        return self.send(do, client, **arguments).get(timeout=seconds)

    def open(self, url: str, version: int, options: dict) -> NodeClient:
        client = NodeClient(self, f"c{next(self.numbers)}")
        if "ca" in options:
            options["ca"] = options["ca"].read_text()
        self.clients[client.name] = client
        self.ask("connect", client.name, version=version, url=url, options=options)
        return client

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait(10)


class SharedSocket(ssl.SSLSocket):
    """A TLS connection that one thread of python-engineio's reads while another writes or closes it.

    OpenSSL allows one at a time, and only newer Pythons see to that. With others a reader may take the other's call for
    the end of the connection, or read from the descriptor after it has become another connection's.
    """

    def __new__(cls, *args, **options):
        self = super().__new__(cls, *args, **options)
        self.turn = threading.Lock()
        return self

    def recv(self, *args):
        while True:
            with self.turn:
                patience = self.gettimeout()
                self.settimeout(0)
                try:
                    return super().recv(*args)
                except ssl.SSLWantReadError:
                    pass
                finally:
                    self.settimeout(patience)
            if not select.select([self], [], [], patience)[0]:
                raise TimeoutError("timed out")

    def send(self, *args):
        with self.turn:
            return super().send(*args)

    def close(self):
        with self.turn:
            super().close()


def shared_context(ca: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(ca))
    context.sslsocket_class = SharedSocket
    return context


class PythonClient(Client):
    def __init__(self, url: str, options: dict):
        super().__init__()
        http = requests.Session()
        http.trust_env = False  # a CA of the environment's would go before ours
        websocket = {}
        if ca := options.pop("ca", None):
            http.verify = str(ca)
            websocket["sslopt"] = {"context": shared_context(ca)}
        self.socket = socketio.Client(reconnection=options.pop("reconnection", False), http_session=http,
                                      websocket_extra_options=websocket)
        self._keep_order()
        self.socket.on("connect", lambda: self.happened("connect", {"transport": self.socket.transport()}))
        self.socket.on("disconnect", lambda reason: self.happened("disconnect", {"reason": reason}))
        self.socket.on("*", lambda event, *args: self.happened("event", {"event": event, "args": args}))
        self.socket.connect(url, wait_timeout=DEADLINE, **options)

    def _keep_order(self) -> None:
        """The library gives each message to a thread of its own, and these overtake each other."""
        trigger = self.socket.eio._trigger_event
        self.socket.eio._trigger_event = (
            lambda event, *args, **options: trigger(event, *args, **(options | {"run_async": False})))

    def call(self, event: str, *args, seconds: float = DEADLINE):
        return self.socket.call(event, args if args else None, timeout=seconds)

    def emit(self, event: str, *args) -> None:
        self.socket.emit(event, args if args else None)

    def aim(self, url: str) -> None:
        self.socket.connection_url = url

    def disconnect(self) -> None:
        """Without waiting for the answer to a last poll, which may take a ping's interval."""
        self.socket.eio.disconnect(abort=True)


def settle(client: Client) -> None:
    """After this, everything that was sent to the client before has arrived."""
    asked = time.time() * 1000
    assert client.call("ping")["timestamp"] >= asked - 1000
