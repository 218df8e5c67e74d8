"""
Redis away, back, or silent: clients stay, and what is published meanwhile arrives. Redis back and empty: nobody knows
what was missed, so clients are disconnected and come back as new ones.
"""
import json
import queue

import pytest

from conftest import trade_data
from harness import publishing
from harness.clients import settle
from harness.tokens import mint
from harness.wait import until


def arrives_again(redis, client, fresh, channel_users: int = 1) -> None:
    """The gateway has subscribed again, and an event published now reaches the client."""
    channel = f"guesslyfe:{{0}}:room:market:{fresh.market}"
    until(lambda: redis.subscribers(channel) == channel_users, "the gateway has subscribed again")
    publishing.publish(redis, "market:trade", trade_data(fresh, 77))
    client.wait_event("market:trade")
    settle(client)
    assert [data["tradeId"] for data in client.data("market:trade")] == ["trade77"]


@pytest.fixture
def client(gateway, connect, fresh):
    """In the fresh market; it must not be disconnected by anything that leaves Redis its data."""
    member = connect(gateway, mint("alice", fresh.address))
    member.subscribe("market", fresh.market)
    yield member
    assert member.all("disconnect") == []


@pytest.fixture(autouse=True)
def redis_comes_back(redis):
    yield
    if redis.process is None:
        redis.start()
    redis.resume()


def test_a_restart_of_redis(redis, client, fresh):
    redis.stop()
    settle(client)
    redis.start()
    arrives_again(redis, client, fresh)


@pytest.mark.parametrize("recovery", [False, True], ids=["no recovery", "recovery"])
def test_redis_has_lost_its_data(redis, gateway, connect, fresh, recovery):
    client = connect(gateway, mint("alice", fresh.address), reconnection=True, auth={"recovery": recovery})
    client.subscribe("market", fresh.market)
    redis.stop()
    settle(client)
    redis.start(fresh=True)
    assert client.wait("disconnect", seconds=30) == {"reason": "transport close", "active": True}
    client.wait_event("connected", 2, seconds=30)
    assert client.all("connect")[1].get("recovered") in (None, False)
    assert set(client.call("getRooms")) == {f"user:{fresh.address}", "global:all"}
    client.subscribe("market", fresh.market)
    arrives_again(redis, client, fresh)
    assert len(client.all("disconnect")) == 1


def cut(redis, _gateway=None) -> None:
    redis.command("CLIENT", "KILL", "TYPE", "pubsub")
    redis.command("CLIENT", "KILL", "TYPE", "normal")


def restart(redis, _gateway) -> None:
    redis.stop()
    redis.start()


def hang(redis, gateway) -> None:
    redis.pause()
    gateway.wait_redis("down", 60)
    redis.resume()
    gateway.wait_redis("up")


def stored(redis, markets) -> list[str]:
    """The trades of some markets, in the order in which Redis took them."""
    entries = [entry.partition(b"\n") for market in markets
               for entry in redis.command("LRANGE", f"guesslyfe:{{0}}:log:market:{market}", 0, -1)]
    return [json.loads(payload)["data"]["tradeId"]
            for head, _, payload in sorted(entries, key=lambda entry: int(entry[0].split()[0]))]


@pytest.mark.parametrize("trouble", [cut, restart, hang], ids=lambda trouble: trouble.__name__)
def test_nothing_is_missed_while_publishing_never_stops(redis, gateway, connect, fresh, trouble):
    """Events of three rooms, and some of two of them: each once, and in order."""
    markets = [f"{fresh.market}-{n}" for n in range(3)]
    clients = [connect(gateway, mint("alice", fresh.address), **options) for options in (
        {"auth": {"recovery": True}}, {"transports": ["polling"]}, {"version": "python", "transports": ["websocket"]})]
    for client in clients:
        for market in markets:
            client.subscribe("market", market)
    stream = publishing.Stream(redis, lambda number: ("market:trade", trade_data(
        fresh, number, marketId=markets[number % 3], trader=fresh.address if number % 2 else "somebody")), 0.05)
    for _ in range(2):
        stream.wait_more(20)
        trouble(redis, gateway)
    stream.wait_more(20)
    count = stream.end()
    expected = stored(redis, markets)
    assert sorted(expected) == sorted(f"trade{n}" for n in range(count))
    for client in clients:
        client.wait_event("market:trade", count, seconds=60)
        settle(client)
        assert [data["tradeId"] for data in client.data("market:trade")] == expected
        assert client.all("disconnect") == []


def test_a_client_recovers_as_soon_as_redis_is_back(redis, gateway, connect, fresh):
    client = connect(gateway, mint("alice", fresh.address), auth={"recovery": True}, transports=["websocket"])
    client.subscribe("market", fresh.market)
    client.drop()
    client.wait("disconnect")
    publishing.publish(redis, "market:trade", trade_data(fresh, 76))
    redis.stop()
    gateway.wait_redis("down")
    client.reconnect()
    redis.start()
    assert client.wait("connect", 2, seconds=30)["recovered"]
    client.wait_event("connected", 2)
    assert [data["tradeId"] for data in client.data("market:trade")] == ["trade76"]


def test_the_connection_is_killed(redis, client, fresh):
    cut(redis)
    arrives_again(redis, client, fresh)


def test_health_tells_of_redis(redis, gateway, client):
    redis.stop()
    gateway.wait_redis("down")
    redis.start()
    gateway.wait_redis("up")


def test_subscribe_while_redis_is_away(redis, client, fresh):
    """It is answered when Redis is back, or refused after a while; the ack of a success is never a lie."""
    redis.stop()
    market = fresh.market + "-later"
    answer = client.begin("subscribe", {"room": "market", "id": market})
    with pytest.raises(queue.Empty):
        answer.get(timeout=0.5)
    redis.start()
    if not answer.get(timeout=30)["answer"][0]["success"]:
        until(lambda: client.subscribe("market", market)["success"], "subscribe succeeds again")
    publishing.publish(redis, "market:trade", trade_data(fresh, marketId=market))
    client.wait_event("market:trade")


def test_leaving_while_redis_is_away(redis, client, fresh):
    redis.stop()
    assert client.unsubscribe("market", fresh.market)["success"]
    redis.start()
    other = fresh.market + "-other"
    until(lambda: client.subscribe("market", other)["success"], "subscribe succeeds again")
    publishing.publish(redis, "market:trade", trade_data(fresh, 1, trader="somebody"))
    publishing.publish(redis, "market:trade", trade_data(fresh, 2, marketId=other, trader="somebody"))
    client.wait_event("market:trade")
    settle(client)
    assert [data["tradeId"] for data in client.data("market:trade")] == ["trade2"]


def test_a_redis_that_hangs(redis, gateway, client, fresh):
    """It keeps its connections and says nothing. Clients are served, health tells, and all is well after."""
    redis.pause()
    settle(client)
    gateway.wait_redis("down", 60)
    settle(client)
    redis.resume()
    gateway.wait_redis("up")
    arrives_again(redis, client, fresh)


def test_clients_may_come_while_redis_is_away(redis, gateway, connect, fresh):
    redis.stop()
    late = connect(gateway, mint("late"), wait=False, reconnection=True)
    redis.start()
    late.wait_event("connected", seconds=30)
    late.subscribe("market", fresh.market)
    arrives_again(redis, late, fresh)


def test_a_gateway_starts_without_redis(redis, start_gateway, connect, fresh):
    redis.stop()
    gateway = start_gateway(ready=False)
    gateway.wait_redis("down")
    redis.start()
    gateway.wait_ready()
    client = connect(gateway)
    client.subscribe("market", fresh.market)
    arrives_again(redis, client, fresh)
