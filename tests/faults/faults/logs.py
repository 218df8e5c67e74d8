"""What Redis' logs hold: the measure of what is due."""
import json

import redis

from faults.checker import Event
from faults.events import key_of

PREFIX = "guesslyfe:{0}:log:"


def parse(entry: bytes) -> Event:
    header, _, payload = entry.partition(b"\n")
    id, _, name, rooms = header.decode().split(" ")
    return Event(key_of(name, json.loads(payload)["data"]), int(id), tuple(rooms.split(",")))


def read(client: redis.Redis, rooms: list[str]) -> dict[str, list[Event]]:
    """Room → its events, oldest first."""
    with client.pipeline(transaction=True) as pipeline:
        for room in rooms:
            pipeline.lrange(PREFIX + room, 0, -1)
        return {room: [parse(entry) for entry in entries] for room, entries in zip(rooms, pipeline.execute())}


def trimmed(log: list[Event], cap: int, published: list[Event], since: int) -> list[Event]:
    """Of a room's published events those that fell off its log's old end; none before `since`, when it was emptied."""
    if len(log) < cap:
        return []
    return [event for event in published if since < event.id < log[0].id]
