"""Once, in order, and only to whom it concerns; whatever else is on the Redis channels."""
import json

import pytest

from conftest import trade_data
from harness import publishing
from harness.clients import settle
from harness.tokens import mint
from harness.wait import until

EVENTS = publishing.examples()
MIXTURE = [{"version": 4, "transports": ["websocket"]}, {"version": 4, "transports": ["polling"]}, {"version": 4},
           {"version": 3, "transports": ["websocket"]}, {"version": "python", "transports": ["websocket"]},
           {"version": "python", "transports": ["polling"]}]


def trades_of(client) -> list[str]:
    return [data["tradeId"] for data in client.data("market:trade")]


def publish_trades(redis, fresh, markets: list[str], numbers: range) -> None:
    publishing.publish_all(redis, [
        ("market:trade", trade_data(fresh, number, marketId=markets[number % len(markets)]))
        for number in numbers])


def test_a_dozen_clients_in_different_rooms(gateway, connect, redis, fresh):
    """Client n is in the first n % 4 markets; each gets what is its, once, in the order of publishing."""
    markets = [f"{fresh.market}-{n}" for n in range(3)]
    clients = [connect(gateway, mint(f"user{n}"), **MIXTURE[n % len(MIXTURE)]) for n in range(12)]
    for n, client in enumerate(clients):
        for market in markets[:n % 4]:
            client.subscribe("market", market)
    publish_trades(redis, fresh, markets, range(30))
    for n, client in enumerate(clients):
        expected = [f"trade{number}" for number in range(30) if number % 3 < n % 4]
        client.wait_for(lambda: len(trades_of(client)) >= len(expected), f"{len(expected)} trades")
        settle(client)
        assert trades_of(client) == expected


def test_an_event_of_several_rooms_comes_once(gateway, connect, redis, fresh):
    both = connect(gateway, mint("alice", fresh.address))
    both.subscribe("market", fresh.market)
    outside = connect(gateway, mint("bob"))
    data = EVENTS["market:resolved"]["example"] | {"marketId": fresh.market}
    publishing.publish(redis, "market:resolved", data)
    publishing.publish(redis, "market:trade", trade_data(fresh))
    both.wait_event("market:trade")
    outside.wait_event("market:resolved")
    settle(both)
    settle(outside)
    assert [name for name, _ in both.events()] == ["connected", "market:resolved", "market:trade"]
    assert [name for name, _ in outside.events()] == ["connected", "market:resolved"]


def test_two_gateways_on_one_redis(gateway, start_gateway, connect, redis, fresh):
    gateways = [gateway, start_gateway()]
    clients = [connect(gateways[n % 2], mint(f"user{n}")) for n in range(4)]
    for client in clients:
        client.subscribe("market", fresh.market)
    publish_trades(redis, fresh, [fresh.market], range(20))
    for client in clients:
        client.wait_event("market:trade", 20)
        settle(client)
        assert trades_of(client) == [f"trade{number}" for number in range(20)]


def test_the_ack_of_subscribe_means_live(gateway, connect, fresh, trade):
    """Nothing published after the ack is missed, however often one comes and goes."""
    client = connect(gateway)
    for number in range(20):
        assert client.subscribe("market", fresh.market)["success"]
        trade(number)
        client.wait_event("market:trade", number + 1)
        assert client.unsubscribe("market", fresh.market)["success"]
    assert trades_of(client) == [f"trade{number}" for number in range(20)]


def test_plain_publish(gateway, connect, redis, fresh):
    client = connect(gateway)
    client.subscribe("market", fresh.market)
    message = publishing.payload("market:trade", trade_data(fresh))
    assert publishing.plain_publish(redis, f"market:{fresh.market}",
                                    f"0 0 market:trade market:{fresh.market}\n{message}") == 1
    assert client.wait_event("market:trade") == json.loads(message)


def test_plain_publishes_keep_their_order(gateway, connect, redis, fresh):
    clients = [connect(gateway, **options) for options in MIXTURE]
    for client in clients:
        client.subscribe("market", fresh.market)
    for number in range(500):
        publishing.plain_event(redis, f"market:{fresh.market}", "market:trade", trade_data(fresh, number))
    expected = [f"trade{number}" for number in range(500)]
    for client, options in zip(clients, MIXTURE):
        client.wait_event("market:trade", 500)
        got = trades_of(client)
        wrong = [pair for pair in zip(got, expected) if pair[0] != pair[1]]
        assert got == expected, f"{options}: {wrong[:5]}; happened {client.all('upgrade')}"


def test_nobody_in_a_room_means_no_subscription(gateway, connect, redis, fresh):
    channel = f"guesslyfe:{{0}}:room:market:{fresh.market}"
    assert redis.subscribers(channel) == 0
    client = connect(gateway)
    client.subscribe("market", fresh.market)
    assert redis.subscribers(channel) == 1
    client.unsubscribe("market", fresh.market)
    until(lambda: redis.subscribers(channel) == 0, "UNSUBSCRIBE after the last member left", 30)


def poison(room: str) -> dict[str, bytes]:
    good = publishing.payload("market:trade", {"marketId": room.partition(":")[2]})
    head = f"0 0 market:trade {room}\n".encode()
    return {
        "nothing": b"",
        "no header": b"hello",
        "no payload": head,
        "no line end": head.strip() + b" " + good.encode(),
        "a JavaScript adapter's message": b"\x93\xa6abcdef\x83\xa4type\x02",
        "an event outside the catalogue": f"0 0 market:deleted {room}\n{good}".encode(),
        "a reserved event": f"0 0 disconnect {room}\n{good}".encode(),
        "another room's": f"0 0 market:trade market:other\n{good}".encode(),
        "ids that are no numbers": f"x y market:trade {room}\n{good}".encode(),
        "an id over 64 bits": f"99999999999999999999999 0 market:trade {room}\n{good}".encode(),
        "broken JSON": head + b'{"type":"market:trade",',
        "two values": head + b"{}{}",
        "no object": head + b"42",
        "trailing comma": head + b'{"a":1,}',
        "not a number": head + b'{"a":NaN}',
        "bare control character": head + b'{"a":"\x01"}',
        "invalid UTF-8": head + b'{"a":"\xff\xfe"}',
        "a surrogate in UTF-8": head + b'{"a":"\xed\xa0\x80"}',
        "overlong UTF-8": head + b'{"a":"\xc0\xaf"}',
        "bottomless nesting": head + b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        "2 MB": head + json.dumps({"type": "market:trade", "data": "x" * 2_000_000}).encode(),
        "rooms without end": b"0 0 market:trade " + b",".join([room.encode()] * 5000) + b"\n" + good.encode(),
    }


@pytest.mark.parametrize("kind", poison("market:x").keys())
def test_poison_on_a_channel_is_dropped(gateway, connect, redis, fresh, kind):
    """One undecodable message ended the old system's process, or made every client close with a parse error."""
    clients = [connect(gateway, version=4, transports=["websocket"]), connect(gateway, version=3)]
    for client in clients:
        client.subscribe("market", fresh.market)
    room = f"market:{fresh.market}"
    publishing.plain_publish(redis, room, poison(room)[kind])
    publishing.plain_event(redis, room, "market:trade", trade_data(fresh, 1))
    for client in clients:
        client.wait_event("market:trade")
        settle(client)
        assert [event for event in client.events() if event[0] != "connected"] == [
            ("market:trade", client.events("market:trade")[0][1])]
        assert trades_of(client) == ["trade1"]
        assert client.all("disconnect") == []


def test_dropped_messages_are_told_in_the_log(gateway, connect, redis, fresh):
    """Some of them: a flood is counted, and does not become a flood of lines."""
    client = connect(gateway)
    client.subscribe("market", fresh.market)

    def another_is_told() -> bool:
        publishing.plain_publish(redis, f"market:{fresh.market}", b"rubbish")
        return any("dropped" in line and fresh.market in line for line in gateway.log().splitlines())

    until(another_is_told, "a log line about a dropped message, with its channel")
