"""Who lost the connection, or its gateway, comes back as who it was, and gets what it missed."""
import json

import pytest

from conftest import trade_data
from harness import publishing
from harness.clients import settle
from harness.raw import RawClient
from harness.tokens import mint
from harness.wait import until

ORIGIN = {"extraHeaders": {"Origin": "https://app.example.com"}}
RECOVER = {"recovery": True}


@pytest.fixture
def recoverable(connect):
    """recoverable(gateway, user, **options): an official client that can recover."""
    def open_client(gateway, user="alice", **options):
        return connect(gateway, mint(user), auth=RECOVER, **options)
    return open_client


def publish_trades(redis, fresh, numbers, **settings) -> list[str]:
    return publishing.publish_all(
        redis, [("market:trade", trade_data(fresh, number)) for number in numbers], **settings)


def trades_of(client) -> list[str]:
    return [data["tradeId"] for data in client.data("market:trade")]


def trades(numbers) -> list[str]:
    return [f"trade{number}" for number in numbers]


def lose(client) -> None:
    """The connection, as the network loses it."""
    times = len(client.all("disconnect"))
    client.drop()
    client.wait("disconnect", times + 1)


def come_back(client, gateway) -> bool:
    """Whether the client recovered; `connected` has come behind whatever it missed."""
    times = len(client.all("connect"))
    client.reconnect(gateway.url)
    connect = client.wait("connect", times + 1)
    client.wait_event("connected", times + 1)
    return connect["recovered"]


def since_last_connect(client) -> list[str]:
    """Names of what happened since."""
    names = [details["event"] if kind == "event" else kind for kind, details in client.happenings]
    return names[len(names) - names[::-1].index("connect"):]


def session_of(redis, client) -> bytes | None:
    return redis.command("GET", "guesslyfe:session:" + client.all("connect")[-1]["pid"])


def raw_past(raw: RawClient) -> dict:
    """What a client without a library keeps for its return, once `connected` has come."""
    offset = json.loads(raw.receive_until('42["connected"')[2:])[-1]
    return RECOVER | {"pid": json.loads(raw.connected[2:])["pid"], "offset": offset}


# --- Who can ---


@pytest.mark.parametrize("auth,origin,has_pid", [
    ({}, True, True), ({}, False, False), ({"recovery": True}, False, True), ({"recovery": True}, True, True),
    ({"recovery": False}, True, False), ({"recovery": "yes"}, True, False)], ids=str)
def test_browsers_can_recover_and_whoever_asks(gateway, auth, origin, has_pid):
    raw = RawClient(gateway, mint(), auth, suppress_origin=not origin)
    assert ("pid" in json.loads(raw.connected[2:])) == has_pid
    connected = json.loads(raw.receive()[2:])
    assert len(connected) == (3 if has_pid else 2)
    raw.close()


@pytest.mark.parametrize("settings", [{"RECOVERY_WINDOW": 0}, {"REDIS_PARTITIONS": 4}], ids=str)
def test_nobody_can_where_it_is_off(start_gateway, settings):
    raw = RawClient(start_gateway(**settings), mint(), RECOVER)
    assert json.loads(raw.connected[2:]).keys() == {"sid"}
    assert len(json.loads(raw.receive()[2:])) == 2
    raw.close()


@pytest.mark.parametrize("options", [{"auth": RECOVER}, ORIGIN], ids=["asked", "browser"])
def test_every_event_has_its_id(gateway, connect, redis, fresh, options):
    client = connect(gateway, mint("alice"), **options)
    client.subscribe("market", fresh.market)
    ids = publish_trades(redis, fresh, range(3))
    client.wait_event("market:trade", 3)
    events = client.all("event")
    assert [len(event["args"]) for event in events] == [2] * 4
    assert [event["args"][1] for event in events[1:]] == ids
    assert int(events[0]["args"][1]) < int(ids[0])


@pytest.mark.parametrize("options", [
    {"version": 4}, {"version": 3}, {"version": "python"}, {"version": 4, "auth": {"recovery": False}} | ORIGIN],
    ids=["4", "3", "python", "browser without"])
def test_others_see_one_argument(gateway, connect, fresh, trade, options):
    client = connect(gateway, mint("alice"), **options)
    client.subscribe("market", fresh.market)
    trade()
    client.wait_event("market:trade")
    assert [len(event["args"]) for event in client.all("event")] == [1, 1]


# --- What comes ---


@pytest.mark.parametrize("loss", ["connection", "other gateway", "gateway killed", "gateway stopped"])
@pytest.mark.parametrize("transport", ["websocket", "polling"])
def test_what_was_missed_comes_once_and_in_order(start_gateway, recoverable, redis, fresh, loss, transport):
    first, second = start_gateway(), start_gateway()
    client = recoverable(first, transports=[transport])
    rooms = client.events("connected")[0][1]["rooms"]
    client.subscribe("market", fresh.market)
    publish_trades(redis, fresh, range(3))
    client.wait_event("market:trade", 3)
    if loss.startswith("gateway"):
        first.kill() if loss == "gateway killed" else first.stop()
        client.wait("disconnect")
    elif transport == "polling":
        pytest.skip("the official client says goodbye where it ends polling")
    else:
        lose(client)
    publish_trades(redis, fresh, range(3, 6))
    assert come_back(client, first if loss == "connection" else second)
    before, after = client.all("connect")
    assert (after["sid"], after["pid"]) == (before["sid"], before["pid"])
    assert since_last_connect(client) == ["market:trade"] * 3 + ["connected"]
    assert set(client.events("connected")[1][1]["rooms"]) == {*rooms, f"market:{fresh.market}"}
    publish_trades(redis, fresh, range(6, 9))
    client.wait_event("market:trade", 9)
    settle(client)
    assert trades_of(client) == trades(range(9))


def test_connects_answer_then_what_was_missed_then_connected(gateway, redis, fresh):
    raw = RawClient(gateway, mint(), RECOVER)
    past = raw_past(raw)
    raw.send(f'421["subscribe",{{"room":"market","id":"{fresh.market}"}}]')
    raw.receive_until("431")
    raw.close()
    ids = publish_trades(redis, fresh, range(2))
    back = RawClient(gateway, mint(), past)
    assert back.connected == raw.connected
    packets = [json.loads(back.receive()[2:]) for _ in range(3)]
    assert [packet[0] for packet in packets] == ["market:trade", "market:trade", "connected"]
    assert [packet[2] for packet in packets[:2]] == ids
    back.close()


def test_a_second_loss_without_traffic(gateway, recoverable, redis, fresh):
    client = recoverable(gateway, transports=["websocket"])
    client.subscribe("market", fresh.market)
    lose(client)
    publish_trades(redis, fresh, range(2))
    for _ in range(3):
        assert come_back(client, gateway)
        lose(client)
    publish_trades(redis, fresh, range(2, 3))
    assert come_back(client, gateway)
    assert trades_of(client) == trades(range(3))


def test_a_loss_before_any_event(gateway, recoverable, redis, fresh):
    client = recoverable(gateway, fresh.user, transports=["websocket"])
    lose(client)
    example = publishing.examples()["notification"]["example"]
    publishing.publish(redis, "notification", example | {"userId": fresh.user})
    assert come_back(client, gateway)
    assert len(client.events("notification")) == 1


def test_a_room_that_was_left_stays_left(gateway, recoverable, fresh, trade):
    client = recoverable(gateway, transports=["websocket"])
    client.subscribe("market", fresh.market)
    client.unsubscribe("market", fresh.market)
    lose(client)
    trade()
    assert come_back(client, gateway)
    settle(client)
    assert trades_of(client) == []
    assert set(client.call("getRooms")) == {"user:alice", "global:all"}


def test_publishing_never_stops(start_gateway, recoverable, redis, fresh):
    """From gateway to gateway, while events come all the time."""
    gateways = [start_gateway(), start_gateway()]
    client = recoverable(gateways[0], transports=["websocket"])
    client.subscribe("market", fresh.market)
    stream = publishing.Stream(redis, lambda number: ("market:trade", trade_data(fresh, number)), 0.02)
    for n in range(1, 7):
        stream.wait_more(5)
        lose(client)
        stream.wait_more(5)
        assert come_back(client, gateways[n % 2])
    count = stream.end()
    client.wait_event("market:trade", count)
    settle(client)
    assert trades_of(client) == trades(range(count))


def test_a_room_is_kept_before_subscribe_is_acknowledged(gateway, recoverable, redis, fresh):
    client = recoverable(gateway)
    for n in range(20):
        client.subscribe("market", f"{fresh.market}-{n}")
        assert f"market:{fresh.market}-{n}\n" in session_of(redis, client).decode()
        client.unsubscribe("market", f"{fresh.market}-{n}")
        assert f"market:{fresh.market}-{n}\n" not in session_of(redis, client).decode()


def test_a_client_comes_back_by_itself(start_gateway, recoverable, redis, fresh):
    gateway = start_gateway()
    client = recoverable(gateway, reconnection=True, reconnectionDelay=50)
    client.subscribe("market", fresh.market)
    gateway.kill()
    client.wait("disconnect")
    publish_trades(redis, fresh, range(2))
    start_gateway(PORT=gateway.port)
    client.wait_event("connected", 2)
    assert client.all("connect")[1]["recovered"]
    assert trades_of(client) == trades(range(2))


# --- Who is new ---


def test_somebody_elses_pid_is_worth_nothing(gateway, recoverable, redis, fresh):
    client = recoverable(gateway, transports=["websocket"])
    client.subscribe("market", fresh.market)
    offset = client.all("event")[0]["args"][1]
    publish_trades(redis, fresh, range(2))
    known = client.all("connect")[0]
    eve = RawClient(gateway, mint("eve"), RECOVER | {"pid": known["pid"], "offset": offset})
    answer = json.loads(eve.connected[2:])
    assert answer["sid"] != known["sid"] and answer["pid"] != known["pid"]
    name, connected, _ = json.loads(eve.receive()[2:])
    assert (name, connected["userId"], connected["rooms"]) == ("connected", "eve", ["user:eve", "global:all"])
    eve.close()
    assert client.all("disconnect") == []
    lose(client)
    publish_trades(redis, fresh, range(2, 4))
    assert come_back(client, gateway)
    assert trades_of(client) == trades(range(4))


def test_a_bad_token_ends_it_whatever_the_pid(gateway):
    raw = RawClient(gateway, mint(), RECOVER)
    past = raw_past(raw)
    raw.close()
    bad = RawClient(gateway, mint(secret="another secret of at least 32 bytes"), past)
    assert "pid" not in json.loads(bad.connected[2:])
    assert [bad.receive(), bad.receive()] == ['42["error",{"message":"Authentication failed"}]', "41"]
    bad.close()


@pytest.mark.parametrize("change", [{"pid": "x" * 24}, {"pid": "x"}, {"pid": 7}, {"offset": None}, {"offset": "x"},
                                    {"offset": 7}, {"pid": "*" * 100_000}], ids=lambda change: str(change)[:20])
def test_what_is_no_past_makes_a_new_client(gateway, change):
    raw = RawClient(gateway, mint(), RECOVER)
    past = raw_past(raw)
    raw.close()
    back = RawClient(gateway, mint(), past | change)
    before, after = json.loads(raw.connected[2:]), json.loads(back.connected[2:])
    assert after["pid"] != before["pid"] and after["sid"] != before["sid"]
    assert back.receive().startswith('42["connected"')
    back.close()


def is_new(client, gateway, fresh) -> None:
    before = client.all("connect")[-1]
    assert not come_back(client, gateway)
    after = client.all("connect")[-1]
    assert after["sid"] != before["sid"] and after["pid"] != before["pid"]
    assert since_last_connect(client) == ["connected"]
    assert f"market:{fresh.market}" not in client.events("connected")[-1][1]["rooms"]


def test_goodbye_is_for_good(gateway, recoverable, redis, fresh):
    client = recoverable(gateway, transports=["websocket"])
    client.subscribe("market", fresh.market)
    client.disconnect()
    until(lambda: session_of(redis, client) is None, "the session is gone")
    is_new(client, gateway, fresh)


@pytest.mark.parametrize("command,value", [
    ("APPEND", "0 v user:bob\n"), ("APPEND", "0 v user:alice2\n"), ("APPEND", "0 v nothing:1\n"),
    ("APPEND", "rubbish\n0 v market:1\n"),
    ("SET", ""), ("SET", "rubbish"), ("SET", "\n\n\n"), ("SET", "a b c d e 1 1\n"), ("DEL", None)], ids=str)
def test_a_session_that_is_none_any_more(gateway, recoverable, redis, fresh, command, value):
    """What stands in Redis is checked as if a stranger had written it; every room is asked for again."""
    client = recoverable(gateway, transports=["websocket"])
    client.subscribe("market", fresh.market)
    lose(client)
    key = "guesslyfe:session:" + client.all("connect")[0]["pid"]
    until(lambda: redis.command("PTTL", key) <= 120_000, "the gateway has kept it for the last time")
    redis.command(command, key, *[value] * (value is not None))
    is_new(client, gateway, fresh)
    assert client.events("connected")[-1][1]["rooms"] == ["user:alice", "global:all"]


def test_after_the_window_it_is_over(start_gateway, recoverable, redis, fresh):
    gateway = start_gateway(RECOVERY_WINDOW=300)
    client = recoverable(gateway, transports=["websocket"])
    client.subscribe("market", fresh.market)
    lose(client)
    until(lambda: session_of(redis, client) is None, "the window is over")
    is_new(client, gateway, fresh)


def test_more_was_missed_than_the_log_holds(start_gateway, recoverable, redis, fresh):
    few = {"HISTORY_MARKET_LENGTH": 5}
    gateways = [start_gateway(**few), start_gateway(**few)]
    client = recoverable(gateways[0], transports=["websocket"])
    client.subscribe("market", fresh.market)
    lose(client)
    publish_trades(redis, fresh, range(6), **few)
    is_new(client, gateways[1], fresh)


def test_the_log_was_forgotten_meanwhile(start_gateway, recoverable, redis, fresh):
    short = {"HISTORY_MARKET_AGE": 1}
    gateways = [start_gateway(**short), start_gateway(**short)]
    client = recoverable(gateways[0], transports=["websocket"])
    client.subscribe("market", fresh.market)
    lose(client)
    publish_trades(redis, fresh, range(2), **short)
    until(lambda: not redis.command("EXISTS", f"guesslyfe:{{0}}:log:market:{fresh.market}"), "the log is gone")
    is_new(client, gateways[1], fresh)


# --- Two of one, and none ---


@pytest.mark.parametrize("where", ["same gateway", "other gateway"])
def test_a_connection_of_before_is_closed(start_gateway, fresh, redis, where):
    first = start_gateway()
    second = first if where == "same gateway" else start_gateway()
    zombie = RawClient(first, mint(), RECOVER)
    past = raw_past(zombie)
    zombie.send(f'421["subscribe",{{"room":"market","id":"{fresh.market}"}}]')
    zombie.receive_until("431")
    back = RawClient(second, mint(), past)
    assert back.connected == zombie.connected
    assert [packet for packet in zombie.rest() if packet != "2"] == []
    publish_trades(redis, fresh, range(1))
    back.receive_until('42["market:trade"')
    back.close()
    again = RawClient(first, mint(), past)
    assert again.connected == zombie.connected
    again.close()


def test_a_quiet_client_recovers_too(start_gateway, recoverable, redis, fresh):
    """Its session is kept again before it would be forgotten."""
    first, second = start_gateway(RECOVERY_WINDOW=2000), start_gateway(RECOVERY_WINDOW=2000)
    client = recoverable(first)
    client.subscribe("market", fresh.market)
    key = "guesslyfe:session:" + client.all("connect")[0]["pid"]
    for _ in range(3):
        left = redis.command("PTTL", key)
        until(lambda: redis.command("PTTL", key) < left - 500, "time has passed")
        until(lambda: redis.command("PTTL", key) > left - 500, "the session is kept again")
    first.kill()
    client.wait("disconnect")
    publish_trades(redis, fresh, range(1))
    assert come_back(client, second)
    assert trades_of(client) == trades(range(1))
