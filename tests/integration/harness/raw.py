"""Clients without a library: bytes as they are on the wire."""
import json
import socket

import websocket

from harness.gateway import Gateway
from harness.wait import DEADLINE


class RawClient:
    """A WebSocket that speaks Socket.IO by hand; the handshake and CONNECT are done."""

    def __init__(self, gateway: Gateway, token: str | None, auth: dict | None = None, **options):
        url = f"ws{gateway.url.removeprefix('http')}/socket.io/?EIO=4&transport=websocket"
        self.socket = websocket.create_connection(url, timeout=DEADLINE, **options)
        self.handshake = json.loads(self.socket.recv()[1:])
        credentials = (auth or {}) | ({"token": token} if token else {})
        self.send("40" + json.dumps(credentials))
        self.connected = self.receive()

    def send(self, packet: str) -> None:
        self.socket.send(packet)

    def receive(self) -> str:
        """The next packet that is no ping."""
        while True:
            packet = self.socket.recv()
            if packet != "2":
                return packet
            self.send("3")

    def receive_until(self, start: str) -> str:
        while True:
            packet = self.receive()
            if packet.startswith(start):
                return packet

    def rest(self) -> list[str]:
        """Everything until the gateway closes."""
        packets = []
        try:
            while packet := self.socket.recv():
                packets.append(packet)
        except (websocket.WebSocketConnectionClosedException, ConnectionError):
            pass
        self.close()
        return packets

    def close(self) -> None:
        self.socket.shutdown()


class Http:
    """One TCP connection on which requests are written byte by byte; to the clients' port unless another is given."""

    def __init__(self, gateway: Gateway, seconds: float = DEADLINE, port: int | None = None):
        self.socket = socket.create_connection(("127.0.0.1", port or gateway.port), timeout=seconds)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, text: str | bytes) -> "Http":
        self.socket.sendall(text.encode() if isinstance(text, str) else text)
        return self

    def request(self, method: str, target: str, headers: dict | None = None, body: bytes = b""):
        lines = {"Host": "test"} | (headers or {})
        if body:
            lines.setdefault("Content-Length", str(len(body)))
        head = f"{method} {target} HTTP/1.1\r\n" + "".join(f"{k}: {v}\r\n" for k, v in lines.items())
        self.send(head.encode() + b"\r\n" + body)
        return self.response()

    def response(self) -> tuple[int, dict, bytes]:
        """Status, headers in lower case, body."""
        data = b""
        while b"\r\n\r\n" not in data:
            data += self._more()
        head, _, body = data.partition(b"\r\n\r\n")
        status, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        while len(body) < int(headers.get("content-length", 0)):
            body += self._more()
        return int(status.split()[1]), headers, body

    def _more(self) -> bytes:
        data = self.socket.recv(65536)
        if not data:
            raise ConnectionError("closed by the gateway")
        return data

    def wait_closed(self) -> bytes:
        """Until the gateway closes; what it said before."""
        said = b""
        try:
            while data := self.socket.recv(65536):
                said += data
        except ConnectionError:
            pass
        return said


HANDSHAKE = "/socket.io/?EIO=4&transport=polling"
