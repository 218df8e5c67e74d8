"""A token that ends while its client is connected: told before, renewed, or disconnected; and tokens known for a while."""
import time
from datetime import datetime, timezone

import pytest

from conftest import trade_data
from harness import publishing
from harness.clients import settle
from harness.raw import RawClient
from harness.tokens import mint
from harness.wait import until

ADDRESS = "0x52908400098527886E0F7030069857D2E4169EE7"
EXPIRED = {"message": "Token expired"}
RECOVER = {"recovery": True}
CLIENTS = [{"version": 4, "transports": ["websocket"]}, {"version": 4, "transports": ["polling"]}, {"version": 3},
           {"version": "python"}]
IDS = ["4 websocket", "4 polling", "3", "python"]


def soon(seconds: int) -> int:
    """At least so many seconds away, and less than one more."""
    return int(time.time()) + seconds + 1


def iso(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def wait_until(seconds: float) -> None:
    time.sleep(max(0.0, seconds - time.time()))


def expired(client) -> None:
    """The event, then a disconnect after which the client does not come back by itself."""
    disconnect = client.wait("disconnect")
    assert client.events()[-1] == ("error", EXPIRED)
    if "active" in disconnect:  # the Python client tells another reason, and nothing of its plans
        assert disconnect["reason"] == "io server disconnect"
        assert not disconnect["active"]


@pytest.mark.parametrize("options", CLIENTS, ids=IDS)
def test_a_client_is_told_and_then_disconnected(start_gateway, connect, options):
    gateway = start_gateway(TOKEN_EXPIRING=1000)
    exp = soon(1)
    client = connect(gateway, mint(exp=exp), reconnection=True, **options)
    told = client.wait_event("token:expiring")
    assert exp - 1.1 < time.time() < exp
    assert told["type"] == "token:expiring"
    assert told["data"] == {"expiresAt": iso(exp)}
    sent = datetime.strptime(told["timestamp"], "%Y-%m-%dT%H:%M:%S.%f%z").timestamp()
    assert exp - 1 <= sent < exp
    expired(client)
    assert time.time() >= exp
    assert [name for name, _ in client.events()] == ["connected", "token:expiring", "error"]
    until(lambda: gateway.metrics()["clients"] == 0, "the client is gone")
    assert gateway.metrics()["tokens_expired_total"] == 1


@pytest.mark.parametrize("options", CLIENTS, ids=IDS)
def test_a_renewed_token_goes_on(start_gateway, connect, redis, fresh, options):
    gateway = start_gateway(TOKEN_EXPIRING=1000)
    exp = soon(1)
    client = connect(gateway, mint("alice", ADDRESS, exp=exp), **options)
    client.subscribe("market", fresh.market)
    rooms = client.call("getRooms")
    client.wait_event("token:expiring")
    later = exp + 600
    assert client.call("authenticate", {"token": mint("alice", ADDRESS.lower(), exp=later)}) == {
        "success": True, "expiresAt": iso(later)}
    wait_until(exp + 0.5)
    assert client.call("getRooms") == rooms
    publishing.publish(redis, "market:trade", trade_data(fresh, 1))
    client.wait_event("market:trade")
    assert not client.all("disconnect") and not client.events("error")
    assert len(client.events("token:expiring")) == 1
    assert gateway.metrics()["token_renewals_total", "done"] == 1


def test_each_token_is_told_of_and_the_last_one_counts(start_gateway, connect):
    gateway = start_gateway(TOKEN_EXPIRING=1000)
    first, second = soon(2), soon(4)
    client = connect(gateway, mint(exp=first))
    client.wait_event("token:expiring")
    assert client.call("authenticate", {"token": mint(exp=second)})["success"]
    assert client.wait_event("token:expiring", 2)["data"] == {"expiresAt": iso(second)}
    assert first <= time.time() < second
    expired(client)


def test_a_token_without_end(gateway, connect):
    exp = soon(1)
    client = connect(gateway, mint(exp=exp))
    assert client.call("authenticate", {"token": mint(exp=None)}) == {"success": True}
    wait_until(exp + 0.5)
    settle(client)
    assert not client.all("disconnect")


REFUSALS = {
    "another user": lambda: {"token": mint("eve", ADDRESS)},
    "another address": lambda: {"token": mint("alice", ADDRESS[:-1] + "0")},
    "no address": lambda: {"token": mint("alice")},
    "expired": lambda: {"token": mint("alice", ADDRESS, exp=int(time.time()) - 1)},
    "wrong secret": lambda: {"token": mint("alice", ADDRESS, secret="another secret, of the same length..")},
    "rubbish": lambda: {"token": "rubbish"},
    "a number": lambda: {"token": 7},
    "nothing": lambda: {},
    "no object": lambda: "token",
    "null": lambda: None,
}


@pytest.mark.parametrize("argument", REFUSALS.values(), ids=REFUSALS.keys())
def test_a_wrong_token_is_refused(gateway, connect, argument):
    client = connect(gateway, mint("alice", ADDRESS))
    answer = client.call("authenticate", argument())
    assert answer.keys() == {"success", "message"} and answer["success"] is False
    settle(client)
    assert [name for name, _ in client.events()] == ["connected"]


def test_a_refusal_prolongs_nothing_and_shortens_nothing(gateway, connect):
    exp = soon(1)
    client = connect(gateway, mint("alice", exp=exp))
    until(lambda: client.call("authenticate", {"token": mint("eve")})["message"].startswith("Refused a moment ago"),
          "the second refusal within a second")
    settle(client)
    expired(client)
    assert time.time() >= exp


def test_without_an_ack_nothing_is_answered(gateway, connect):
    client = connect(gateway, mint())
    client.emit("authenticate", {"token": mint(exp=soon(600))})
    client.emit("authenticate", {"token": "rubbish"})
    client.emit("authenticate")
    settle(client)
    assert [name for name, _ in client.events()] == ["connected"]


def test_leeway_counts_at_the_end_too(start_gateway, connect):
    gateway = start_gateway(JWT_LEEWAY=2)
    exp = int(time.time())
    client = connect(gateway, mint(exp=exp))
    expired(client)
    assert time.time() >= exp + 2


def test_nobody_is_told_where_it_is_off(start_gateway, connect):
    gateway = start_gateway(TOKEN_EXPIRING=0)
    client = connect(gateway, mint(exp=soon(1)))
    expired(client)
    assert [name for name, _ in client.events()] == ["connected", "error"]


# --- Recovery ---


def test_a_recovered_client_ends_likewise_and_can_not_recover_from_that(start_gateway, connect, redis):
    gateway = start_gateway(TOKEN_EXPIRING=2000)
    exp = soon(4)
    client = connect(gateway, mint(exp=exp), auth=RECOVER, transports=["websocket"])
    client.drop()
    client.wait("disconnect")
    client.reconnect()
    assert client.wait("connect", 2)["recovered"]
    assert client.wait_event("token:expiring")["data"] == {"expiresAt": iso(exp)}
    assert len(client.all("event")[-1]["args"]) == 1  # an object behind which no id stands is no offset
    key = "guesslyfe:session:" + client.all("connect")[-1]["pid"]
    assert redis.command("GET", key)
    assert client.wait("disconnect", 2)["reason"] == "io server disconnect"
    assert client.events()[-1] == ("error", EXPIRED)
    until(lambda: redis.command("GET", key) is None, "the session is dropped")


def test_what_was_told_before_harms_no_recovery(start_gateway, connect, redis, fresh):
    gateway = start_gateway(TOKEN_EXPIRING=600000)
    token = mint(exp=soon(300))
    client = connect(gateway, token, auth=RECOVER, transports=["websocket"])
    client.wait_event("token:expiring")
    client.subscribe("market", fresh.market)
    client.drop()
    client.wait("disconnect")
    publishing.publish(redis, "market:trade", trade_data(fresh, 1))
    client.reconnect()
    assert client.wait("connect", 2)["recovered"]
    client.wait_event("token:expiring", 2)
    settle(client)
    assert [data["tradeId"] for data in client.data("market:trade")] == ["trade1"]


def test_a_token_that_ended_meanwhile_recovers_nothing(gateway, connect):
    exp = soon(1)
    client = connect(gateway, mint(exp=exp), auth=RECOVER, transports=["websocket"])
    client.drop()
    client.wait("disconnect")
    wait_until(exp)
    client.reconnect()
    assert client.wait("disconnect", 2)["reason"] == "io server disconnect"
    assert client.events()[-1] == ("error", {"message": "Authentication failed"})


# --- Many ---


def test_many_tokens_that_end_together(start_gateway):
    """In parts, between which the gateway goes on with everything else."""
    gateway = start_gateway(TOKEN_EXPIRING=0)
    exp = soon(5)
    crowd = [RawClient(gateway, mint(f"user{number}", exp=exp)) for number in range(300)]
    assert time.time() < exp
    for client in crowd:
        client.receive_until('42["connected"')
    for client in crowd:
        assert client.receive() == '42["error",{"message":"Token expired"}]'
        assert client.receive() == "41"
        client.close()
    assert exp <= time.time() < exp + 5
    until(lambda: gateway.metrics()["clients"] == 0, "all are gone")
    assert gateway.metrics()["tokens_expired_total"] == 300


# --- Tokens known for a while ---


def test_a_storm_of_one_token_is_verified_once(start_gateway):
    gateway = start_gateway()
    token = mint()
    for _ in range(100):
        raw = RawClient(gateway, token)
        assert raw.connected.startswith("40")
        raw.receive_until('42["connected"')
        raw.close()
    metrics = gateway.metrics()
    assert metrics["token_cache_lookups_total", "hit"] == 99
    assert metrics["token_cache_lookups_total", "miss"] == 1
    assert metrics["token_cache_tokens"] == 1


def test_a_storm_of_a_bad_token_is_refused_each_time(start_gateway):
    gateway = start_gateway()
    for _ in range(5):
        raw = RawClient(gateway, mint(exp=1))
        assert raw.receive() == '42["error",{"message":"Authentication failed"}]'
        raw.close()
    assert gateway.metrics()["token_cache_lookups_total", "miss"] == 5
    assert gateway.metrics()["token_cache_tokens"] == 0


def test_a_known_token_ends_all_the_same(start_gateway):
    gateway = start_gateway()
    exp = soon(1)
    token = mint(exp=exp)
    first = RawClient(gateway, token)
    first.receive_until('42["error",{"message":"Token expired"}]')
    first.close()
    second = RawClient(gateway, token)
    assert second.receive() == '42["error",{"message":"Authentication failed"}]'
    second.close()
    assert gateway.metrics()["token_cache_lookups_total", "hit"] == 1


def test_tokens_are_known_for_no_longer_than_set(start_gateway):
    gateway = start_gateway(TOKEN_CACHE_TTL=200)
    token = mint()
    RawClient(gateway, token).close()
    until(lambda: gateway.metrics()["token_cache_tokens"] == 0, "the token is forgotten")
    RawClient(gateway, token).close()
    assert gateway.metrics()["token_cache_lookups_total", "miss"] == 2


def test_no_token_is_known_where_that_is_off(start_gateway):
    gateway = start_gateway(TOKEN_CACHE=0)
    token = mint()
    for _ in range(3):
        RawClient(gateway, token).close()
    metrics = gateway.metrics()
    assert metrics.sum("token_cache_lookups_total") == 0
    assert metrics["token_cache_tokens"] == 0
