"""What should never be on a channel of ours, published there."""

import time

from .attack import attack
from .world import Redis

BODY = b'{"type":"market:trade","timestamp":"t","data":{"n":-1}}'


def poisons(room: bytes) -> list[bytes]:
    head = b"0 0 market:trade " + room + b"\n"
    return [
        b"", b"\n", b"0", b"0 0", b"0 0 market:trade", b"0 0 market:trade " + room, b"0 0 market:trade\n" + BODY,
        b"0  market:trade " + room + b"\n" + BODY, b"x 0 market:trade " + room + b"\n" + BODY,
        b"-1 0 market:trade " + room + b"\n" + BODY, b"0 0 market:trade " + room + b" more\n" + BODY,
        b"99999999999999999999999 0 market:trade " + room + b"\n" + BODY, b"0 0 no:such " + room + b"\n" + BODY,
        b"0 0 connected " + room + b"\n" + BODY, b"0 0 error " + room + b"\n" + BODY,
        b"0 0 " + b"e" * 100000 + b" " + room + b"\n" + BODY, b"0 0 market:trade market:elsewhere\n" + BODY,
        b"0 0 market:trade ,\n" + BODY, b"0 0 market:trade " + room + b",\n" + BODY,
        b"0 0 market:trade " + b",".join([room] * 50) + b"\n" + BODY, b"0 0 market:trade \xff\n" + BODY,
        head, head + b"null", head + b"[]", head + b"7", head + b'"x"', head + b"{", head + BODY + b"}",
        head + b'{"a":"\xff\xfe"}', head + b'{"a":"\xed\xa0\x80"}', head + b'{"a":"\x1e"}', head + b"\x1e" + BODY,
        head + b'{"a":"\0"}', head + b"\0" * 1000, head + b'{"a":' + b"[" * 50000 + b"]" * 50000 + b"}",
        head + b'{"a":"' + b"x" * 1100000 + b'"}', head + b"{" + b'"a":1,' * 100000 + b"}", head + b"{'a':1}",
        head + b'{"a":NaN}', head + b'{"a":01}', head + b"\xef\xbb\xbf" + BODY, head + BODY + b"\n" + head + BODY,
        BODY, b"\x94\x00\xc1", bytes(range(256)),
    ]


@attack
def poison(target, rng):
    redis = Redis(target.redis_port)
    try:
        for room in target.rooms:
            redis.publish([("guesslyfe:{0}:room:" + room, p) for p in poisons(room.encode())])
            time.sleep(0.05)  # what Redis drops because nobody keeps up is another story
        for channel in ("guesslyfe:", "guesslyfe:{0}:room:", "guesslyfe:{1}:room:market:1", "", "x" * 1000,
                        "socket.io#/#", "guesslyfe:control", "guesslyfe:to:x", "\u0000"):
            redis.publish([(channel, p) for p in poisons(b"market:1")[:10]])
    finally:
        redis.close()
