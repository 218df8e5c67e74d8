"""HTTP/1.1 on a plain socket."""

import json
import socket
import struct
from dataclasses import dataclass, field

TIMEOUT = 10


@dataclass
class Response:
    status: int
    headers: dict[str, str] = field(default_factory=dict)  # names in lower case
    body: bytes = b""

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def packets(self) -> list[str]:
        assert self.status == 200, self
        return self.text.split("\x1e")

    def json(self):
        return json.loads(self.body)


class Connection:
    def __init__(self, address: tuple[str, int]):
        self.sock = socket.create_connection(address, TIMEOUT)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def request(self, method: str, target: str, body: bytes | str | None = None, **headers) -> None:
        """Header names: underscores become dashes."""
        body = body.encode() if isinstance(body, str) else body
        lines = [f"{method} {target} HTTP/1.1", "Host: localhost"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        if body is not None:
            lines.append(f"Content-Length: {len(body)}")
        self.send("\r\n".join([*lines, "", ""]).encode() + (body or b""))

    def fill(self) -> bool:
        piece = self.sock.recv(65536)
        self.buffer += piece
        return bool(piece)

    def take(self, count: int) -> bytes:
        while len(self.buffer) < count:
            if not self.fill():
                raise EOFError(self.buffer)
        taken, self.buffer = self.buffer[:count], self.buffer[count:]
        return taken

    def take_head(self) -> tuple[int, dict[str, str]]:
        while b"\r\n\r\n" not in self.buffer:
            if not self.fill():
                raise EOFError(self.buffer)
        head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
        first, *lines = head.decode("latin-1").split("\r\n")
        pairs = (line.split(":", 1) for line in lines)
        return int(first.split()[1]), {name.lower(): value.strip() for name, value in pairs}

    def response(self) -> Response:
        status, headers = self.take_head()
        assert "transfer-encoding" not in headers, headers
        body = b"" if status in (101, 204) else self.take(int(headers["content-length"]))
        return Response(status, headers, body)

    def at_end(self) -> bool:
        """Waits for the server's end of the stream; False when bytes come instead."""
        try:
            return not self.buffer and not self.fill()
        except ConnectionResetError:
            return True

    def reset(self) -> None:
        """Ends it with RST instead of FIN."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def close(self) -> None:
        self.sock.close()


def fetch(address, method: str, target: str, body=None, **headers) -> Response:
    connection = Connection(address)
    try:
        connection.request(method, target, body, **headers)
        return connection.response()
    finally:
        connection.close()
