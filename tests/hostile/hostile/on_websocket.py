"""Attacks on handshakes, frames and upgrades."""

import time

from peer.engine import Polling, Socket
from peer.websocket import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, frame

from .attack import POLL, WS, attack, drink, leave, member, raw
from .on_http import UPGRADE, mutate


def socket_of(target, timeout=0.5):
    ws = Socket(target).ws
    ws.sock.settimeout(timeout)
    return ws


def say(target, rng, *pieces: bytes) -> None:
    ws = socket_of(target, 0.2)
    try:
        for piece in pieces:
            ws.send(piece)
        drink(ws)
    finally:
        leave(ws, rng)


@attack
def handshakes_gone_wrong(target, rng):
    for old, new in ((b"13", b"8"), (b"==", b""), (b"dGhl", b"\xff\xff"), (b"Upgrade: websocket\r\n", b""),
                     (b"GET", b"POST"), (b"1.1", b"1.0"), (b"websocket&", b"websocket&&sid=&")):
        leave(raw(target, UPGRADE.replace(old, new), timeout=0.1), rng)
    for at in rng.sample(range(len(UPGRADE)), 20):
        leave(raw(target, UPGRADE[:at], timeout=0.02), rng)


@attack
def resets_in_the_handshake(target, rng):
    for _ in range(30):
        raw(target, UPGRADE, read=False).reset()
        raw(target, UPGRADE + frame(TEXT, b"40")[: rng.randrange(12)], read=False).reset()


@attack
def frames_gone_wrong(target, rng):
    good = frame(TEXT, b'40{"token":"x"}') + frame(TEXT, b'42["a"]') + frame(PING, b"p") + frame(BINARY, b"b")
    for _ in range(15):
        say(target, rng, mutate(rng, good))


@attack
def frames_against_the_rules(target, rng):
    huge = bytes([0x81, 0xFF]) + (2**63 - 1).to_bytes(8, "big") + b"mask"
    for bad in (frame(TEXT, b"4", rsv=7), frame(3, b""), frame(15, b""), huge,
                bytes([0x81, 0xFF]) + b"\xff" * 8 + b"mask", frame(TEXT, b"4", masked=False),
                frame(PING, b"x" * 126, length=2), frame(PING, b"", fin=False), frame(TEXT, b"4", length=8),
                frame(CONTINUATION, b"x"), frame(TEXT, b"\xff"), frame(TEXT, b"4\xe2\x82", fin=False),
                frame(TEXT, b"4", fin=False) + frame(TEXT, b"4"), frame(CLOSE, b"\x03"),
                frame(CLOSE, b"\x00\x00"), frame(CLOSE, b"\x03\xe8\xff"), frame(CLOSE) * 50, frame(TEXT, b"")):
        say(target, rng, bad)


@attack
def fragments(target, rng):
    say(target, rng, frame(TEXT, b"4", fin=False), frame(CONTINUATION, b"", fin=False) * 30000)
    say(target, rng, frame(TEXT, b"4", fin=False), frame(CONTINUATION, b"a", fin=False) * 30000)
    say(target, rng, frame(TEXT, b"4", fin=False), frame(CONTINUATION, b"a" * 65536, fin=False) * 20)
    say(target, rng, frame(BINARY, b"", fin=False),
        (frame(PING, b"between") + frame(CONTINUATION, b"x", fin=False)) * 5000)


@attack
def byte_by_byte(target, rng):
    ws = socket_of(target)
    for byte in frame(TEXT, b'40{"token":"x"}', length=8):
        ws.send(bytes([byte]))
    leave(ws, rng)


@attack
def pings_unread(target, rng):
    ws = socket_of(target)
    for _ in range(200):
        ws.send(frame(PING, b"x" * 125) * 50)
    leave(ws, rng)
    say(target, rng, frame(PONG, b"unasked") * 20000, frame(TEXT, b"3") * 5000)


@attack
def reader_that_sleeps(target, rng):
    """In the witnesses' rooms, asking for answers, reading none."""
    session = member(target, rng)
    for room in target.rooms:
        session.send('2["subscribe",{"room":"%s","id":"%s"}]' % tuple(room.split(":")))
    question = frame(TEXT, b'4219["getRooms"]') * 500
    try:
        for _ in range(200):
            session.ws.send(question)
    finally:
        time.sleep(0.2)
        leave(session.ws, rng)


@attack
def half_closed(target, rng):
    for part in (b"", frame(TEXT, b"40")[:5], frame(TEXT, b"x" * 100000)[:5000]):
        ws = socket_of(target)
        ws.send(part)
        ws.sock.shutdown(1)
        drink(ws)
        ws.close()
        ws = socket_of(target)
        ws.send(part)
        ws.reset()


@attack
def second_socket(target, rng):
    session = Polling(target)
    first, second = session.candidate(), session.candidate()
    first.send_message("2probe")
    second.send_message("2probe")
    first.send_message("5")
    second.send_message("5")
    third = session.candidate()
    for ws in (second, first, third):
        leave(ws, rng)


@attack
def probes_of_garbage(target, rng):
    for said in ("2", "3probe", "5", "4hello", "1", "0", "", "2probe2probe", "6", "\x1e"):
        session = Polling(target)
        ws = session.candidate()
        ws.send_message(said)
        leave(ws, rng)
    session = Polling(target)
    ws = session.candidate()
    for _ in range(500):
        ws.send_message("2probe")
    leave(ws, rng)


@attack
def upgrades_cut_short(target, rng):
    for stage in range(5):
        session = member(target, rng, Polling)
        poll = session.start_poll()
        ws = session.candidate()
        if stage > 0:
            ws.send_message("2probe")
        if stage > 1:
            session.start_poll().reset()
        if stage > 2:
            ws.send_message("5")
        if stage > 3:
            session.post("43")
            poll.reset()
        ws.reset()
        poll.close()


@attack
def upgrade_again_and_again(target, rng):
    """Without ever finishing, and without ever polling."""
    session = Polling(target)
    for _ in range(20):
        ws = session.candidate()
        ws.send_message("2probe")
        ws.receive()
        leave(ws, rng)


@attack
def polls_beside_the_upgrade(target, rng):
    session = member(target, rng, Polling)
    ws = session.candidate()
    ws.send_message("2probe")
    polls = [session.start_poll() for _ in range(10)]
    session.post('42["ping"]')
    ws.send_message("5")
    polls += [session.start_poll() for _ in range(3)]
    for connection in (*polls, ws):
        leave(connection, rng)


@attack
def ids_of_others(target, rng):
    mine = Polling(target)
    for sid in (*target.sids, "", "x", "%00", "a" * 4000, mine.sid[:-1], mine.sid + "x", mine.sid.swapcase()):
        for path in (POLL, WS):
            raw(target, f"GET {path}&sid={sid} HTTP/1.1\r\nHost: h\r\n\r\n".encode(), timeout=0.1).close()
        raw(target, UPGRADE.replace(b"EIO=4", f"EIO=4&sid={sid}".encode()), timeout=0.1).close()
    strangers = [mine.start_poll() for _ in range(3)]
    for connection in strangers:
        drink(connection, 100)
        connection.close()
