"""Redis away, back, empty, or silent: clients stay, and what is published after its return arrives."""
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
    """In the fresh market; it must not be disconnected by anything that happens to Redis."""
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


@pytest.mark.parametrize("fresh_data", [False, True], ids=["data kept", "data lost"])
def test_a_restart_of_redis(redis, client, fresh, fresh_data):
    redis.stop()
    settle(client)
    redis.start(fresh=fresh_data)
    arrives_again(redis, client, fresh)


def test_the_connection_is_killed(redis, client, fresh):
    redis.command("CLIENT", "KILL", "TYPE", "pubsub")
    redis.command("CLIENT", "KILL", "TYPE", "normal")
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
