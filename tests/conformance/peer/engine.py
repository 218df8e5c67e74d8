"""Engine.IO 4 sessions over both transports, with one face for what is above."""

import base64
import json

from .http import Connection, Response, fetch
from .websocket import Closed, WebSocket

PATH = "/socket.io/?EIO=4"

# Seconds between pings, and for a pong, where heartbeats are looked at.
INTERVAL, PATIENCE = 0.4, 0.4
SLACK = 0.3  # for a busy machine


class Polling:
    def __init__(self, server, **headers):
        self.address = server.address
        self.headers = headers
        response = fetch(self.address, "GET", f"{PATH}&transport=polling", **headers)
        assert response.status == 200 and response.text[0] == "0", response
        self.handshake = json.loads(response.text[1:])
        self.sid = self.handshake["sid"]
        self.target = f"{PATH}&transport=polling&sid={self.sid}"
        self.received: list[str] = []

    def start_poll(self) -> Connection:
        connection = Connection(self.address)
        connection.request("GET", self.target)
        return connection

    def poll(self) -> Response:
        return fetch(self.address, "GET", self.target)

    def post(self, body: str | bytes, **headers) -> Response:
        return fetch(self.address, "POST", self.target, body, **headers)

    def alive(self) -> bool:
        """Whether a message still makes its way."""
        return self.post("3").status == 200

    def candidate(self) -> WebSocket:
        """A WebSocket that might become this session's."""
        return WebSocket(self.address, f"{PATH}&transport=websocket&sid={self.sid}")

    # The common face:

    def send(self, message: str | bytes) -> None:
        if isinstance(message, bytes):
            self.post("b" + base64.b64encode(message).decode())
        else:
            self.post("4" + message)

    def send_all(self, messages: list[str | bytes]) -> None:
        for message in messages:
            self.send(message)

    def receive(self) -> str | bytes:
        """The next message; pings are answered. Closed at the end."""
        while True:
            while not self.received:
                response = self.poll()
                if response.status != 200:
                    raise Closed(None)
                self.received = response.packets
            packet = self.received.pop(0)
            if packet == "1":
                raise Closed(None)
            if packet == "2":
                self.post("3")
            elif packet[0] == "b":
                return base64.b64decode(packet[1:], validate=True)
            elif packet[0] == "4":
                return packet[1:]

    def closed(self) -> bool:
        """Waits until the server ends the session; False when a message comes first."""
        try:
            self.receive()
        except Closed:
            return self.poll().status == 400
        return False

    def drained(self) -> bool:
        """The same, whatever comes first."""
        try:
            while True:
                self.receive()
        except Closed:
            return self.poll().status == 400


class Socket:
    """A session that is a WebSocket from the beginning."""

    def __init__(self, server, **headers):
        self.ws = WebSocket(server.address, f"{PATH}&transport=websocket", **headers)
        opened = self.ws.receive()
        assert opened[0] == "0", opened
        self.handshake = json.loads(opened[1:])
        self.sid = self.handshake["sid"]

    def send(self, message: str | bytes) -> None:
        self.ws.send_message(message if isinstance(message, bytes) else "4" + message)

    def send_all(self, messages: list[str | bytes]) -> None:
        for message in messages:
            self.send(message)

    def receive(self) -> str | bytes:
        while True:
            packet = self.ws.receive()
            if packet == "2":
                self.ws.send_message("3")
            elif isinstance(packet, bytes):
                return packet
            else:
                assert packet[0] == "4", packet
                return packet[1:]

    def closed(self) -> bool:
        try:
            self.receive()
        except Closed:
            return True
        return False

    def drained(self) -> bool:
        self.ws.close_code()
        return True


TRANSPORTS = {"polling": Polling, "websocket": Socket}
