"""Attacks with packets: Engine.IO payloads, Socket.IO packets, events of the application, tokens."""

import json

from peer.engine import TRANSPORTS, Polling, Socket
from peer.websocket import TEXT, frame

from . import token
from .attack import attack, hang_up, leave, member
from .on_http import mutate
from .on_websocket import say

PLACEHOLDER = '{"_placeholder":true,"num":0}'
DEEP = "[" * 50000 + "]" * 50000
PACKETS = [
    '2["x",' + "0," * 299999 + "0]", f'2["x",{DEEP}]', '2["x",' + '{"a":' * 5000 + "1" + "}" * 5000 + "]",
    '2["subscribe",{"__proto__":{"room":"market"},"constructor":1}]', '2["__proto__"]', "2[{}]", "2[[]]",
    "2[null]", "2[true]", "2[7]", "2[]", "2", "2{}", "2[", '2["a"', '2["a",]', '2["a"]]', '2["\\ud800"]',
    '299999999999999999999["ping"]', '2-1["ping"]', '21.5["ping"]', '2184467440737095516150["ping"]',
    "5999999-[" + PLACEHOLDER + "]", f'599999999999999999999999-["x",{PLACEHOLDER}]', f'51-["x",{PLACEHOLDER}]',
    f'52-["x",{PLACEHOLDER}]', '51-["x",{"_placeholder":true,"num":99}]', '51-["x",{"_placeholder":true}]',
    '50-["x"]', "5", "5-", "51", "6", "61-0[]", "3[]", "31[]", "3999[1,2]", "4{}", '4"x"', "7", "0", "00", "0[]",
    "0null", "0{", "0/unknown,", "0/" + "n" * 300 + ",", "0/\u0000,", "1", "1/unknown,", "1[]", '2/unknown,["x"]',
    *(f'2["{name}"]' for name in ("connect", "disconnect", "connect_error", "newListener", "disconnecting")),
    '2["subscribe",' + '{"room":"market",' * 1 + ",".join(f'"k{i}":{i}' for i in range(50000)) + "}]",
    '2["' + "n" * 500000 + '"]', '2["' + "\\u0041" * 100000 + '"]', "2 " * 1000, "\u2028" * 1000,
]


@attack
def payloads(target, rng):
    for body in ("4\x1e" * 100000, "\x1e" * 100000, "", "b", "b!!!!", "bA", "b" + "A" * 700001, "\x1e4", "4a\x1e",
                 "9", "2", "2probe", "0", "5", "6" + "\x1e6" * 200, "4\x1e1\x1e4", b"\xff\xfe", b"4\xc0\x80", b"\0",
                 b"4" * 1000001, "1" + "\x1e1" * 200):
        Polling(target).post(body)


@attack
def strange_packets(target, rng):
    for packet in rng.sample(PACKETS, 12):
        session = member(target, rng, rng.choice(list(TRANSPORTS.values())))
        session.send(packet)
        hang_up(session, rng)


@attack
def packets_before_connect(target, rng):
    for packet in rng.sample(PACKETS, 12):
        session = rng.choice(list(TRANSPORTS.values()))(target)
        session.send(packet)
        hang_up(session, rng)


@attack
def mutated_packets(target, rng):
    goods = ['42["subscribe",{"room":"market","id":"1"}]', '421["ping"]', '40{"token":"x"}',
             '421["authenticate",{"token":"x"}]',
             f'451-["x",{PLACEHOLDER}]']
    session = member(target, rng)
    for _ in range(50):
        session.ws.send(frame(TEXT, mutate(rng, rng.choice(goods).encode())))


@attack
def attachments_that_do_not_come(target, rng):
    for then in ('2["x"]', "1", "0", b"", b"x" * 900000):
        session = member(target, rng)
        session.send(f'510-["x",{PLACEHOLDER}]')
        session.send(then)
        session.send(b"x" * 900000)
        hang_up(session, rng)
    session = member(target, rng)
    session.send(b"nobody asked")
    hang_up(session, rng)


@attack
def connects(target, rng):
    say(target, rng, frame(TEXT, b"40") * 3000)
    say(target, rng, frame(TEXT, b"40/unknown,") * 5000)
    say(target, rng, frame(TEXT, b"40") + frame(TEXT, b"41") * 10)
    session = member(target, rng)
    session.send("0" + token.auth(token.valid("twice")))
    hang_up(session, rng)


@attack
def connects_unread(target, rng):
    session = Socket(target)
    flood = frame(TEXT, b"40/" + b"n" * 100 + b",") * 300
    try:
        for _ in range(100):
            session.ws.send(flood)
    finally:
        leave(session.ws, rng)


@attack
def tokens(target, rng):
    for wrong in token.wrong_ones(rng):
        session = Socket(target)
        session.send('0{"token":' + wrong + "}")
        hang_up(session, rng)


@attack
def token_flood(target, rng):
    head, body, _ = token.valid("x").split(".")
    say(target, rng, frame(TEXT, ('40' + token.auth(f"{head}.{body}.{'A' * 4000}")).encode()) * 200)


def asked(event: str, room, name, ack="") -> bytes:
    return frame(TEXT, f'42{ack}{json.dumps([event, {"room": room, "id": name}])}'.encode())


@attack
def rooms_without_end(target, rng):
    """Into a room and out again, ten thousand different ones, each with an ack."""
    session = member(target, rng)
    base = rng.randrange(10**12)
    for part in range(50):
        session.ws.send(b"".join(
            asked("subscribe", "market", str(base + part * 200 + i), 2 * i)
            + asked("unsubscribe", "market", str(base + part * 200 + i), 2 * i + 1) for i in range(200)))
    session.ws.sock.settimeout(2)
    leave(session.ws, rng)


@attack
def the_same_room(target, rng):
    session = member(target, rng)
    session.ws.send((asked("subscribe", "market", "same", 1) + asked("unsubscribe", "market", "same", 2)) * 3000)
    leave(session.ws, rng)


@attack
def rooms_over_the_limit(target, rng):
    session = member(target, rng)
    session.ws.send(b"".join(asked("subscribe", "creator", str(i), i) for i in range(300)))
    answers = [session.receive() for _ in range(300)]
    assert sum('"success":true' in answer for answer in answers) == 98
    hang_up(session, rng)


@attack
def names_of_rooms(target, rng):
    session = member(target, rng)
    ids = ["", " ", "x" * 129, "x" * 100000, "\u0000", "\n", "a,b", "a b", "\u00e9", "\U0001f600", "*", "..", None, 7,
           -1, 1.5, [], {}, True, "0x" + "A" * 40, "0x" + "g" * 40, "all", "\ud800", "__proto__"]
    for kind in ("market", "user", "global", "creator", "", "Market", "control", None, 7, {}, "m" * 9000):
        session.ws.send(b"".join(asked(rng.choice(("subscribe", "unsubscribe")), kind, name, i)
                                 for i, name in enumerate(ids)))
    for room in target.rooms:
        session.ws.send(asked("subscribe", "user", room))
    session.send('2999["ping"]')
    while not session.receive().startswith("3999["):
        pass
    hang_up(session, rng)


@attack
def events_of_the_server(target, rng):
    """Sent by a client they reach nobody."""
    session = member(target, rng)
    for name in ("market:trade", "connected", "error", "system:announcement", "message"):
        session.send(json.dumps([name, {"type": name, "data": {"n": -1}}]).join(("2", "")))
    hang_up(session, rng)


@attack
def come_and_go(target, rng):
    for _ in range(60):
        hang_up(rng.choice(list(TRANSPORTS.values()))(target), rng)
    for _ in range(20):
        hang_up(member(target, rng, rng.choice(list(TRANSPORTS.values()))), rng)
