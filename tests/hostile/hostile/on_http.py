"""Attacks on the request line, headers and bodies."""

import time

from peer.engine import Polling

from .attack import POLL, WS, attack, drink, leave, raw

GOOD = f"GET {POLL} HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer x\r\nOrigin: http://a\r\n\r\n".encode()
POST = f"POST {POLL}&sid=%s HTTP/1.1\r\nHost: h\r\n"
UPGRADE = (f"GET {WS} HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
           "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n").encode()
ODD = [b"\0", b"\r", b"\n", b"\r\n", b" ", b"\t", b":", b",", b"\xff", b"%", b"HTTP/9.9", b"chunked",
       b"Content-Length: 5\r\n", b"Content-Length: -1\r\n", b"Transfer-Encoding: chunked\r\n",
       b"Connection: close\r\n", b"EIO=3", b"sid=", b"&" * 50, b"?" * 50, b"\x1e"]


def mutate(rng, data: bytes, times=4) -> bytes:
    out = bytearray(data)
    for _ in range(rng.randrange(1, times + 1)):
        at, way = rng.randrange(len(out) + 1), rng.randrange(5)
        if way == 0 and at < len(out):
            out[at] ^= 1 << rng.randrange(8)
        elif way == 1:
            out[at:at] = rng.choice(ODD)
        elif way == 2:
            del out[at : at + rng.randrange(1, 20)]
        elif way == 3:
            out[at:at] = out[at : at + rng.randrange(1, 60)]
        else:
            del out[at:]
    return bytes(out)


@attack
def random_bytes(target, rng):
    for _ in range(10):
        leave(raw(target, rng.randbytes(rng.randrange(1, 5000)), timeout=0.1), rng)


@attack
def mutated_heads(target, rng):
    for _ in range(20):
        leave(raw(target, mutate(rng, rng.choice((GOOD, UPGRADE))), timeout=0.1), rng)


@attack
def mutated_posts(target, rng):
    session = Polling(target)
    body = b'40{"token":"x"}\x1e42["a",1]\x1ebAAAA\x1e3'
    head = (POST % session.sid + f"Content-Length: {len(body)}\r\n\r\n").encode()
    for _ in range(15):
        leave(raw(target, mutate(rng, head + body), timeout=0.1), rng)


@attack
def slowloris(target, rng):
    crowd = [raw(target, GOOD[:20], read=False) for _ in range(40)]
    for at in range(20, 32):
        for connection in crowd:
            try:
                connection.send(GOOD[at : at + 1])
            except OSError:
                continue
        time.sleep(0.1)
    for connection in crowd:
        drink(connection)
        connection.close()


@attack
def silent_crowd(target, rng):
    crowd = [raw(target, read=False) for _ in range(60)]
    time.sleep(0.5)
    for connection in crowd:
        leave(connection, rng)


@attack
def slow_body(target, rng):
    session = Polling(target)
    crowd = [raw(target, (POST % session.sid + "Content-Length: 900000\r\n\r\n").encode(), b"4" * 1000,
                 read=False) for _ in range(20)]
    for _ in range(10):
        time.sleep(0.1)
        for connection in crowd:
            connection.send(b"4" * 100)
    for connection in crowd:
        leave(connection, rng)


@attack
def too_many_headers(target, rng):
    lines = b"".join(b"X-%d: %s\r\n" % (i, b"y" * rng.randrange(40)) for i in range(5000))
    raw(target, GOOD[:-2] + lines + b"\r\n").close()
    raw(target, GOOD[:-2] + b"X: " + b"y" * 200000).close()
    raw(target, b"GET /" + b"a" * 300000 + b" HTTP/1.1\r\n\r\n").close()


@attack
def lengths_that_lie(target, rng):
    for length in ("99999999999999999999999", "18446744073709551615", "-1", "+5", "0x10", "1000001",
                   "5, 5", "5\r\nContent-Length: 6", "", " "):
        head = (POST % "x" + f"Content-Length: {length}\r\n\r\n").encode()
        leave(raw(target, head, b"abc", timeout=0.1), rng)


@attack
def chunks(target, rng):
    session = Polling(target)
    head = (POST % session.sid + "Transfer-Encoding: chunked\r\n\r\n").encode()
    bodies = [b"1\r\n4\r\n" * 20000, b"ffffffffffffffff\r\n", b"0" * 5000 + b"1\r\n4\r\n", b"-1\r\n",
              b"1;" + b"x" * 100000, b"0\r\n" + b"T: v\r\n" * 50000, b"5\r\nab", b"g\r\n", b"1\n4\n0\n\n",
              b"fffff\r\n" + b"4" * 0xFFFFF + b"\r\n0\r\n\r\n", b"0\r\n\r\n" * 2000]
    for body in bodies:
        leave(raw(target, head, body, timeout=0.1), rng)


@attack
def pipelined(target, rng):
    one = rng.choice((GOOD, b"GET /nowhere HTTP/1.1\r\nHost: h\r\n\r\n",
                      f"GET {POLL}&sid=unknown HTTP/1.1\r\nHost: h\r\n\r\n".encode(),
                      b"OPTIONS * HTTP/1.1\r\nHost: h\r\nOrigin: http://a\r\n\r\n"))
    leave(raw(target, one * rng.randrange(1, 3000)), rng)


@attack
def pipelined_unread(target, rng):
    """Asks and asks, and takes no answer."""
    connection = raw(target, read=False)
    one = b"GET /nowhere HTTP/1.1\r\nHost: h\r\n\r\n" * 500
    for _ in range(100):
        connection.send(one)
    connection.reset()


@attack
def bytes_behind_a_poll(target, rng):
    session = Polling(target)
    poll = f"GET {POLL}&sid={session.sid} HTTP/1.1\r\nHost: h\r\n\r\n".encode()
    leave(raw(target, poll + GOOD * 2000, timeout=0.3), rng)


@attack
def sessions_by_the_hundred(target, rng):
    """More than there is room for, none of them used."""
    for _ in range(250):
        raw(target, GOOD.replace(b"Authorization", b"X-Other"), read=False).close()


@attack
def strange_methods(target, rng):
    for method in ("PUT", "DELETE", "HEAD", "PATCH", "TRACE", "CONNECT", "PRI", "get", "M" * 3000):
        leave(raw(target, f"{method} {POLL} HTTP/1.1\r\nHost: h\r\n\r\n".encode(), timeout=0.1), rng)
