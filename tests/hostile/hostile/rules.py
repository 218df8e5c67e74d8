"""What one stranger may cost, each rule by itself and every time."""

import json
import socket

from peer.engine import TRANSPORTS, Polling, Socket
from peer.websocket import Closed

from .attack import member
from .on_socketio import PLACEHOLDER, asked
from .world import MAX_CONNECTIONS, Redis

RULES: list = []
PAYLOAD_MAX = 1 << 20  # bytes of an event on its channel
MAX_PAYLOAD = 1_000_000  # bytes of a client's message


def rule(function):
    RULES.append(function)
    return function


@rule
def attachments_count_as_one_message(world, rng):
    """Ten of a megabyte each would be eleven times what a client may send."""
    session = member(world, rng)
    session.send(f'52-["x",{PLACEHOLDER},{PLACEHOLDER.replace("0", "1")}]')
    session.send(b"x" * (MAX_PAYLOAD - 200))
    session.send(b"x" * 200)
    try:
        session.send('21["ping"]')
        answer = session.receive()
    except (Closed, OSError):
        return
    raise AssertionError(f"its connection was to be closed, and said {answer}")


@rule
def rooms_that_nobody_is_in_are_few(world, rng):
    """However fast a client goes through rooms, Redis and we keep a bounded number of them."""
    session = member(world, rng)
    for first in range(0, 5 * MAX_CONNECTIONS, 50):
        for number in range(first, first + 50):
            session.ws.send(asked("subscribe", "market", f"passing-{number}", 2 * number))
            assert '"success":true' in session.receive()
            session.ws.send(asked("unsubscribe", "market", f"passing-{number}", 2 * number + 1))
            assert '"success":true' in session.receive()
    redis = Redis(world.redis_port)
    redis.sock.sendall(b"PUBSUB CHANNELS *passing*\r\n")
    count = int(redis.file.readline()[1:])
    redis.close()
    session.ws.close()
    assert 0 < count <= MAX_CONNECTIONS + 10, f"{count} rooms are kept"


@rule
def the_largest_event_disconnects_nobody(world, rng):
    """With the smallest queue that the gateway lets anyone configure."""
    assert world.takes(CLIENT_QUEUE_BYTES=str(2 * PAYLOAD_MAX))
    assert not world.takes(CLIENT_QUEUE_BYTES=str(2 * PAYLOAD_MAX - 1))
    sessions = [member(world, rng, kind) for kind in TRANSPORTS.values()]
    for session in sessions:
        session.send('21["subscribe",{"room":"market","id":"large"}]')
        assert session.receive().startswith('31[{"success":true')
    payload = json.dumps({"type": "market:trade", "data": {"pad": ""}})
    payload = payload.replace('""', '"' + "x" * (PAYLOAD_MAX - len(payload)) + '"')
    redis = Redis(world.redis_port)
    message = b"0 0 market:trade market:large\n" + payload.encode()
    assert redis.publish([("guesslyfe:{0}:room:market:large", message)]) == [1]
    redis.close()
    for session in sessions:
        assert session.receive() == f'2["market:trade",{payload}]'
        session.send('22["ping"]')
        assert session.receive().startswith('32[{"pong"')
        if isinstance(session, Polling):
            session.post("1")
        else:
            session.ws.close()


@rule
def public_ids_open_nothing(world, rng):
    session = Socket(world)
    session.send("0{}")
    shown = json.loads(session.receive()[1:])["sid"]
    stranger = Polling.__new__(Polling)
    stranger.address = world.address
    stranger.target = f"/socket.io/?EIO=4&transport=polling&sid={shown}"
    assert stranger.poll().status == 400
    session.ws.sock.shutdown(socket.SHUT_RDWR)
    session.ws.close()


def check(world, rng) -> list[str]:
    """What was broken."""
    broken = []
    for one in RULES:
        try:
            one(world, rng)
        except Exception as problem:
            broken.append(f"{one.__name__}: {type(problem).__name__}: {problem}"[:500])
    return broken
