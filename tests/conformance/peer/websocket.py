"""RFC 6455 on a plain socket, well-behaved only where it is asked to be."""

import os
import struct

from .http import Connection

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
KEY = "dGhlIHNhbXBsZSBub25jZQ=="  # RFC 6455 section 1.3
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec_WebSocket_Version": "13",
    "Sec_WebSocket_Key": KEY,
}


class Closed(Exception):
    """The peer closed; `code` is that of its close frame, None without one."""

    def __init__(self, code: int | None):
        super().__init__(code)
        self.code = code


def frame(opcode: int, payload: bytes = b"", *, fin=True, rsv=0, masked=True, length=None) -> bytes:
    """`length`: bytes that hold the length (0, 2, 8); by default the fewest that do."""
    size = len(payload)
    first = (0x80 if fin else 0) | rsv << 4 | opcode
    if length is None:
        length = 0 if size < 126 else 2 if size < 65536 else 8
    short = {0: size, 2: 126, 8: 127}[length]
    head = bytes([first, (0x80 if masked else 0) | short])
    head += size.to_bytes(length, "big") if length else b""
    if not masked:
        return head + payload
    mask = os.urandom(4)
    key = (mask * (size // 4 + 1))[:size]
    masked_bytes = (int.from_bytes(payload, "big") ^ int.from_bytes(key, "big")).to_bytes(
        size, "big"
    )
    return head + mask + masked_bytes


class WebSocket(Connection):
    def __init__(self, address, target: str, **headers):
        super().__init__(address)
        self.request("GET", target, **(UPGRADE | headers))
        self.status, self.headers = self.take_head()
        assert self.status == 101, (self.status, self.headers, self.buffer)
        assert self.headers["sec-websocket-accept"] == ACCEPT

    def send_frame(self, opcode: int, payload: bytes = b"", **how) -> None:
        self.send(frame(opcode, payload, **how))

    def send_message(self, message: str | bytes) -> None:
        if isinstance(message, str):
            self.send_frame(TEXT, message.encode())
        else:
            self.send_frame(BINARY, message)

    def receive_frame(self) -> tuple[int, bytes]:
        first, second = self.take(2)
        assert first & 0x70 == 0 and second & 0x80 == 0, "reserved bits or a mask from the server"
        assert first & 0x80, "the server does not fragment"
        size = second & 0x7F
        if size == 126:
            (size,) = struct.unpack(">H", self.take(2))
            assert size > 125
        elif size == 127:
            (size,) = struct.unpack(">Q", self.take(8))
            assert size > 65535
        return first & 0x0F, self.take(size)

    def receive(self) -> str | bytes:
        """The next message. Closed when there is none any more."""
        while True:
            try:
                opcode, payload = self.receive_frame()
            except (EOFError, ConnectionResetError):
                raise Closed(None) from None
            if opcode == CLOSE:
                raise Closed(int.from_bytes(payload[:2], "big") if payload else None)
            if opcode == TEXT:
                return payload.decode()
            if opcode == BINARY:
                return payload

    def close_code(self) -> int | None:
        """Reads on until the server closes."""
        try:
            while True:
                self.receive()
        except Closed as closed:
            return closed.code
