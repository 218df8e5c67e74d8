"""Noise, the same in every run: nothing that a stranger sends may harm anybody else."""

import random

import pytest
from peer.engine import PATH, Polling, Socket
from peer.http import Connection
from peer.websocket import BINARY, CLOSE, CONTINUATION, PING, TEXT, WebSocket, frame

WORDS = [
    "0",
    "1",
    "2",
    "3",
    "5",
    "4",
    "40",
    "41",
    "42",
    "43",
    "45",
    "46",
    "0{}",
    "/custom",
    "/custom,",
    ",",
    "-",
    "51-",
    "450-",
    "452-",
    "[",
    "]",
    "{",
    "}",
    '"message"',
    '"message-with-ack"',
    '"burst",9',
    ":",
    '"connect"',
    '{"_placeholder":true,"num":0}',
    "\\",
    '"',
    "12",
    "999999999999999",
    "\x1e",
    "b",
    "bAQID",
    "probe",
    "\u20ac",
    " ",
    "null",
    '{"later":1}',
    '{"refuse":"x"}',
    '["disconnect-me"]',
    '["message",1]',
]


def words(rng: random.Random) -> str:
    return "".join(rng.choices(WORDS, k=rng.randint(0, 6)))


def noisy_frame(rng: random.Random) -> bytes:
    """Mostly sound, so that it gets past the frames."""
    opcode = rng.choice([TEXT] * 12 + [BINARY] * 3 + [CONTINUATION, CLOSE, PING, 3])
    payload = rng.randbytes(rng.randint(0, 200)) if opcode == BINARY else words(rng).encode()
    return frame(opcode, payload, fin=rng.random() < 0.9, rsv=int(rng.random() < 0.02))


def send_quietly(connection: Connection, data: bytes) -> None:
    try:
        connection.send(data)
    except OSError:
        pass  # it had heard enough


@pytest.mark.parametrize("seed", range(20))
def test_noise_over_websocket(server, seed):
    rng = random.Random(seed)
    for _ in range(10):
        ws = Socket(server).ws
        if rng.random() < 0.8:
            ws.send_message("40")
        data = b"".join(noisy_frame(rng) for _ in range(rng.randint(1, 30)))
        if rng.random() < 0.3:
            data = data[: rng.randint(0, len(data))]
        send_quietly(ws, data)
        ws.reset() if rng.random() < 0.5 else ws.close()
    assert Socket(server).handshake


@pytest.mark.parametrize("seed", range(20))
def test_noise_over_polling(server, seed):
    rng = random.Random(seed)
    for _ in range(5):
        session = Polling(server)
        session.post("40")
        polls = []
        for _ in range(rng.randint(1, 10)):
            what = rng.random()
            if what < 0.6:
                session.post("\x1e".join("4" * (rng.random() < 0.7) + words(rng) for _ in range(3)))
            elif what < 0.8:
                polls.append(session.start_poll())
            elif polls:
                polls.pop().reset()
            else:
                candidate = Connection(server.address)
                candidate.send(b"GET " + f"{PATH}&transport=websocket&sid={session.sid}".encode())
                candidate.close()
        for poll in polls:
            poll.close()
    assert Polling(server).handshake


@pytest.mark.parametrize("seed", range(20))
def test_noise_in_the_middle_of_an_upgrade(server, seed):
    rng = random.Random(seed)
    for _ in range(5):
        session = Polling(server)
        session.post('40\x1e42["burst",20]')
        poll = session.start_poll() if rng.random() < 0.5 else None
        ws = WebSocket(server.address, f"{PATH}&transport=websocket&sid={session.sid}")
        for said in rng.sample(["2probe", "5", "5", '42["message",1]', "2", "3", "1", "x"], k=5):
            send_quietly(ws, frame(TEXT, said.encode()))
            if rng.random() < 0.3:
                session.post(rng.choice(['42["message",2]', "3", "1", "x", "41\x1e40"]))
        ws.reset() if rng.random() < 0.5 else ws.close()
        if poll:
            poll.close()
    assert Socket(server).handshake


@pytest.mark.parametrize("seed", range(20))
def test_noise_instead_of_http(server, seed):
    rng = random.Random(seed)
    sound = (
        f"GET {PATH}&transport=polling HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n4xx".encode()
    )
    for _ in range(20):
        noisy = bytearray(sound * rng.randint(1, 3))
        for _ in range(rng.randint(1, 5)):
            noisy[rng.randrange(len(noisy))] = rng.randrange(256)
        connection = Connection(server.address)
        send_quietly(connection, bytes(noisy))
        connection.close()
    assert Polling(server).handshake
