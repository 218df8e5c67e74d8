"""The list of attacks, and those who run them: processes of their own, so that the witnesses' time is theirs."""

import multiprocessing
import random
import threading
import time
from dataclasses import dataclass

from peer.engine import PATH, Polling, Socket
from peer.http import Connection
from peer.websocket import Closed

from . import token

THREADS = 4
ATTACKS: list = []
CROWDS = {"sessions_by_the_hundred"}  # leave no room for the others for a while
# A stranger's mishaps: refused, cut off, out of time, or turned away with another status.
EXPECTED = (OSError, EOFError, AssertionError, Closed, ValueError, KeyError)

WS = f"{PATH}&transport=websocket"
POLL = f"{PATH}&transport=polling"


def attack(function):
    """Registers it: takes (target, rng), tries one thing or a few, and cleans up or does not."""
    ATTACKS.append(function)
    return function


@dataclass
class Target:
    """What an attacker knows of the world."""

    address: tuple[str, int]
    redis_port: int
    rooms: list[str]  # that the witnesses are in
    sids: list[str]  # public ids of the witnesses


def raw(target, *pieces: bytes, timeout=0.5, read=True) -> Connection:
    connection = Connection(target.address)
    connection.sock.settimeout(timeout)
    for piece in pieces:
        connection.send(piece)
    if read:
        drink(connection)
    return connection


def drink(connection, limit=1 << 20) -> int:
    """Reads what comes within the connection's patience."""
    taken = 0
    try:
        while taken < limit and (piece := connection.sock.recv(65536)):
            taken += len(piece)
    except OSError:
        return taken
    return taken


def leave(connection, rng) -> None:
    """Politely, abruptly, or by half."""
    way = rng.randrange(3)
    if way == 0:
        connection.reset()
        return
    if way == 1:
        try:
            connection.sock.shutdown(1)
            drink(connection, 65536)
        except OSError:
            pass
    connection.close()


def member(target, rng, transport=Socket):
    """A session with a valid token, its greeting read."""
    session = transport(target)
    session.send("0" + token.auth(token.valid(f"stranger-{rng.randrange(10**9)}")))
    assert session.receive().startswith("0{")
    assert session.receive().startswith("2[")
    return session


def hang_up(session, rng) -> None:
    if isinstance(session, Polling):
        if rng.random() < 0.5:
            session.post("1")
    else:
        leave(session.ws, rng)


def work(target, seed: int, end: float, counts) -> None:
    rng = random.Random(seed)
    order: list = []
    while time.monotonic() < end:
        if not order:
            order = rng.sample(ATTACKS, len(ATTACKS))
            order.sort(key=lambda attack: attack.__name__ not in CROWDS)  # taken from the end
        chosen = order.pop()
        try:
            chosen(target, rng)
        except EXPECTED as mishap:
            if is_full(mishap):
                order.insert(0, chosen)
                time.sleep(0.1)
                continue
        counts[chosen.__name__] = counts.get(chosen.__name__, 0) + 1


def is_full(mishap: Exception) -> bool:
    """No room for a session: what was meant to happen in it did not."""
    return isinstance(mishap, AssertionError) and "Too many connections" in str(mishap)


def process(target, seed: int, seconds: float, queue) -> None:
    end = time.monotonic() + seconds
    counts: list[dict] = [{} for _ in range(THREADS)]
    threads = [threading.Thread(target=work, args=(target, seed * 1000 + i, end, counts[i]))
               for i in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    queue.put(counts)


def run(target, seed: int, seconds: float, processes: int) -> dict[str, int]:
    """Returns when all are gone: how often each attack was made."""
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    crowd = [context.Process(target=process, args=(target, seed + i, seconds, queue))
             for i in range(processes)]
    for one in crowd:
        one.start()
    total: dict[str, int] = {}
    for _ in crowd:
        for counts in queue.get(timeout=seconds + 120):
            for name, count in counts.items():
                total[name] = total.get(name, 0) + count
    for one in crowd:
        one.join()
    return total
