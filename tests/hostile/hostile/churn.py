"""Clients that come, subscribe and go: afterwards the gateway is as it was."""

import threading

from peer.engine import Polling, Socket

from . import token
from .world import until

THREADS = 4
SETTLE_SECONDS = 20


class Upgraded(Socket):
    def __init__(self, world):
        polling = Polling(world)
        self.ws = polling.candidate()
        self.ws.send_message("2probe")
        assert self.ws.receive() == "3probe"
        self.ws.send_message("5")


def come_and_go(world, number: int) -> None:
    session = (Socket, Polling, Upgraded)[number % 3](world)
    session.send("0" + token.auth(token.valid(f"guest-{number}")))
    assert session.receive().startswith("0{")
    assert session.receive().startswith('2["connected"')
    session.send('21["subscribe",{"room":"market","id":"%d"}]' % number)
    assert session.receive().startswith('31[{"success":true')
    if isinstance(session, Polling):
        session.post("1")
    elif number % 2:
        session.ws.reset()
    else:
        session.ws.send_message("1")
        session.ws.close()


def many(world, first: int, count: int) -> None:
    problems: list[Exception] = []

    def work(numbers) -> None:
        try:
            for number in numbers:
                if problems:
                    return
                come_and_go(world, number)
        except Exception as problem:
            problems.append(problem)

    threads = [threading.Thread(target=work, args=(range(first + i, first + count, THREADS),))
               for i in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if problems:
        raise problems[0]


def at_rest(world, descriptors: int) -> bool:
    stats = world.stats()
    return (stats["connectedClients"] == stats["roomCount"] == world.health()["sessions"] == 0
            and world.descriptors() <= descriptors)


def churn(world, cycles: int) -> str | None:
    """What is not as it was after a tenth of the cycles. Allocators keep what they had once."""
    descriptors = world.descriptors()
    many(world, 0, cycles // 10)
    until(lambda: at_rest(world, descriptors), SETTLE_SECONDS, "all are gone after a tenth")
    memory = world.memory()
    many(world, cycles // 10, cycles - cycles // 10)
    until(lambda: at_rest(world, descriptors), SETTLE_SECONDS, "all are gone at the end")
    grown = world.memory() - memory
    # The sanitizer's own books grow: its leak check at the end tells more.
    allowed = (64 if world.sanitized() else 2) << 20
    print(f"churn: {cycles} cycles, memory {memory >> 10} → {world.memory() >> 10} KiB, "
          f"descriptors {descriptors} → {world.descriptors()}")
    return f"memory grew by {grown >> 10} KiB over {cycles} cycles" if grown > allowed else None
