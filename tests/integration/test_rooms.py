"""subscribe, unsubscribe, getRooms and ping: exact answers, and what is refused."""
import time

import pytest

from harness import publishing
from harness.clients import settle
from harness.raw import RawClient
from harness.tokens import mint
from harness.wait import until

MIXED = "0x52908400098527886E0F7030069857D2E4169EE7"
OTHER = "0x8617E340B3D01FA5F11F306F4090FD50E238070D"


def rooms_of(client) -> set[str]:
    rooms = client.call("getRooms")
    assert len(set(rooms)) == len(rooms)
    return set(rooms)


@pytest.mark.parametrize("room", ["market", "creator"])
@pytest.mark.parametrize("version", [3, 4, "python"])
def test_subscribe_and_unsubscribe(gateway, connect, fresh, room, version):
    client = connect(gateway, version=version)
    name = f"{room}:{fresh.market}"
    assert client.subscribe(room, fresh.market) == {
        "success": True, "room": name, "message": f"Subscribed to {name}"}
    assert rooms_of(client) == {"user:alice", "global:all", name}
    assert client.unsubscribe(room, fresh.market) == {
        "success": True, "room": name, "message": f"Unsubscribed from {name}"}
    assert rooms_of(client) == {"user:alice", "global:all"}


def test_an_id_may_be_a_whole_number(gateway, connect):
    assert connect(gateway).subscribe("market", 7)["room"] == "market:7"


def test_subscribing_twice_is_subscribing_once(gateway, connect, fresh, trade):
    client = connect(gateway)
    assert client.subscribe("market", fresh.market) == client.subscribe("market", fresh.market)
    assert rooms_of(client) == {"user:alice", "global:all", f"market:{fresh.market}"}
    trade()
    client.wait_event("market:trade")
    settle(client)
    assert len(client.events("market:trade")) == 1


def test_unsubscribed_means_silence(gateway, connect, fresh, trade):
    watcher, client = connect(gateway), connect(gateway)
    for each in (watcher, client):
        each.subscribe("market", fresh.market)
    client.unsubscribe("market", fresh.market)
    trade()
    watcher.wait_event("market:trade")
    settle(client)
    assert client.events("market:trade") == []


def test_ping(gateway, connect):
    answer = connect(gateway).call("ping")
    assert answer.keys() == {"pong", "timestamp"} and answer["pong"] is True
    assert isinstance(answer["timestamp"], int)
    assert abs(answer["timestamp"] - time.time() * 1000) < 5000


def test_events_without_ack_are_taken_too(gateway, connect, fresh):
    client = connect(gateway)
    for event in ("getRooms", "ping"):
        client.emit(event)
    client.emit("subscribe", {"room": "market", "id": fresh.market})
    until(lambda: f"market:{fresh.market}" in rooms_of(client), "the client is in the room")


@pytest.mark.parametrize("room,id", [
    ("planet", "1"), ("Market", "1"), ("market:1", "1"),
    ("market", ""), ("market", "a b"), ("market", "a,b"), ("market", "a\nb"), ("market", "\x00"),
    ("market", "ü"), ("market", "x" * 129), ("global", "some"),
])
def test_refused_rooms(gateway, connect, room, id):
    client = connect(gateway)
    before = rooms_of(client)
    answer = client.subscribe(room, id)
    assert answer["success"] is False and answer["message"], answer
    assert answer["room"] == f"{room}:{id}"
    assert rooms_of(client) == before


@pytest.mark.parametrize("id", [OTHER, OTHER.lower(), "alice2", "bob"])
def test_nobody_enters_someone_elses_user_room(gateway, connect, id):
    client = connect(gateway, mint("alice", MIXED))
    assert client.subscribe("user", id)["success"] is False
    assert rooms_of(client) == {f"user:{MIXED.lower()}", "global:all"}


@pytest.mark.parametrize("spelling", [MIXED, MIXED.lower(), "0x" + MIXED[2:].upper()])
def test_an_address_is_one_room_in_any_letter_case(gateway, connect, redis, spelling):
    client = connect(gateway, mint("alice", spelling))
    assert client.wait_event("connected")["rooms"][0] == f"user:{MIXED.lower()}"
    assert client.subscribe("user", MIXED)["success"] is True
    assert client.subscribe("creator", spelling)["room"] == f"creator:{MIXED.lower()}"
    data = publishing.examples()["dividend:available"]["example"] | {"holder": MIXED}
    publishing.publish(redis, "dividend:available", data)
    assert client.wait_event("dividend:available")["data"]["holder"] == MIXED


def test_the_room_after_the_hundredth_is_refused(gateway, connect, fresh):
    client = connect(gateway)
    free = 100 - len(rooms_of(client))
    answers = [client.begin("subscribe", {"room": "market", "id": f"{fresh.market}-{n}"}) for n in range(free)]
    assert all(answer.get(timeout=15)["answer"][0]["success"] for answer in answers)
    assert client.subscribe("market", "one too many")["success"] is False
    refusal = client.subscribe("market", f"{fresh.market}-101")
    assert refusal["success"] is False and refusal["room"] == f"market:{fresh.market}-101"
    assert client.subscribe("market", f"{fresh.market}-0")["success"] is True, "it is in there already"
    client.unsubscribe("market", f"{fresh.market}-0")
    assert client.subscribe("market", f"{fresh.market}-101")["success"] is True


@pytest.mark.parametrize("event", ["nothing", "market:trade", "connected", "__proto__", "toString", ""])
def test_unknown_events(gateway, connect, event):
    client = connect(gateway)
    answer = client.call(event, {"a": 1})
    assert answer["success"] is False and answer["message"]
    client.emit(event, 1, 2, 3)
    settle(client)


@pytest.mark.parametrize("args", [
    [], [None], ["market"], [7], [[]], [{}], [{"room": "market"}], [{"id": "1"}],
    [{"room": 1, "id": "1"}], [{"room": "", "id": "1"}], [{"room": "market", "id": 1.5}], [{"room": "market", "id": None}],
    [{"room": {"toString": "market"}, "id": []}], [{"room": "market", "id": "1"}, "more"],
], ids=str)
@pytest.mark.parametrize("event", ["subscribe", "unsubscribe"])
def test_arguments_of_the_wrong_shape(gateway, connect, event, args):
    client = connect(gateway)
    answer = client.call(event, *args)
    if len(args) < 2:
        assert answer["success"] is False and answer["message"]
    client.emit(event, *args)
    settle(client)


def test_binary_arguments_change_nothing(gateway, connect):
    client = connect(gateway, version="python")
    assert client.call("subscribe", {"room": "market", "id": b"1"})["success"] is False
    settle(client)


@pytest.mark.parametrize("event", ["nothing", "subscribe"])
def test_very_many_arguments(gateway, event):
    """One such message ended the old system's process."""
    raw = RawClient(gateway, mint())
    raw.send(f'421["{event}"{",1" * 300_000}]')
    assert '"success":false' in raw.receive_until("431")
    raw.send('422["ping"]')
    assert '"pong":true' in raw.receive_until("432")
    raw.close()


def notify(redis, user: str) -> None:
    example = publishing.examples()["notification"]["example"]
    publishing.publish(redis, "notification", example | {"userId": user})


@pytest.mark.parametrize("address", [None, OTHER])
def test_a_notification_finds_its_user_by_sub(gateway, connect, redis, fresh, address):
    client, other = connect(gateway, mint(fresh.user, address)), connect(gateway, mint("eve", address and MIXED))
    notify(redis, fresh.user)
    assert client.wait_event("notification")["data"]["userId"] == fresh.user
    settle(other)
    assert other.events("notification") == []
    assert (f"user:{fresh.user}" in rooms_of(client)) == (address is None)


def test_a_notification_finds_its_user_by_address(gateway, connect, redis, fresh):
    client = connect(gateway, mint(fresh.user, OTHER.lower()))
    notify(redis, OTHER)
    client.wait_event("notification")
    settle(client)
    assert len(client.events("notification")) == 1
