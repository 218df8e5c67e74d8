"""subscribe with since or last: what was in the room before, and without a gap what comes then."""
import pytest

from conftest import trade_data
from harness import publishing
from harness.clients import settle
from harness.tokens import mint

VERSIONS = [{"version": 4}, {"version": 4, "auth": {"recovery": True}}, {"version": "python"}]
KINDS = ["javascript", "javascript that can recover", "python"]


@pytest.fixture(params=VERSIONS, ids=KINDS)
def client(request, gateway, connect):
    return connect(gateway, mint("alice"), **request.param)


def publish_trades(redis, fresh, numbers, **settings) -> list[str]:
    return publishing.publish_all(
        redis, [("market:trade", trade_data(fresh, number)) for number in numbers], **settings)


def subscribe(client, fresh, **past) -> dict:
    return client.call("subscribe", {"room": "market", "id": fresh.market, **past})


def trades_of(events) -> list[str]:
    return [event["payload"]["data"]["tradeId"] for event in events]


def trades(numbers) -> list[str]:
    return [f"trade{number}" for number in numbers]


def test_what_came_since(client, redis, fresh):
    ids = publish_trades(redis, fresh, range(10))
    answer = subscribe(client, fresh, since=ids[3])
    assert answer["success"] and answer["complete"] and answer["room"] == f"market:{fresh.market}"
    assert [event["id"] for event in answer["events"]] == ids[4:]
    assert {event["event"] for event in answer["events"]} == {"market:trade"}
    assert trades_of(answer["events"]) == trades(range(4, 10))
    settle(client)
    assert client.events("market:trade") == []


def test_the_last_ones(client, redis, fresh):
    ids = publish_trades(redis, fresh, range(10))
    answer = subscribe(client, fresh, last=4)
    assert [event["id"] for event in answer["events"]] == ids[6:]
    assert answer["complete"]


def test_a_payload_is_the_one_that_was_sent(gateway, connect, fresh, trade, client):
    watcher = connect(gateway, mint("bob"))
    watcher.subscribe("market", fresh.market)
    trade()
    assert subscribe(client, fresh, last=1)["events"][0]["payload"] == watcher.wait_event("market:trade")


def test_nothing_asked_for_nothing_told(client, fresh, trade):
    trade()
    assert subscribe(client, fresh).keys() == {"success", "room", "message"}


def test_since_too_long_ago(client, redis, fresh):
    """A market's log holds a hundred events."""
    ids = publish_trades(redis, fresh, range(110))
    for _ in range(2):
        answer = subscribe(client, fresh, since=ids[4])
        assert not answer["complete"]
        assert [event["id"] for event in answer["events"]] == ids[10:]
    assert subscribe(client, fresh, since=ids[10])["complete"]


def test_an_answer_has_so_many_events_at_most(start_gateway, connect, redis, fresh):
    client = connect(start_gateway(MAX_HISTORY=3))
    ids = publish_trades(redis, fresh, range(5))
    answer = subscribe(client, fresh, since=ids[0])
    assert [event["id"] for event in answer["events"]] == ids[2:] and not answer["complete"]
    answer = subscribe(client, fresh, since=ids[1])
    assert [event["id"] for event in answer["events"]] == ids[2:] and answer["complete"]
    assert len(subscribe(client, fresh, last=100)["events"]) == 3


def test_an_answer_has_a_mebibyte_at_most(gateway, connect, redis, fresh):
    client = connect(gateway, mint(fresh.user))
    example = publishing.examples()["notification"]["example"]
    big = example | {"userId": fresh.user, "data": {"text": "x" * 400_000}}
    ids = publishing.publish_all(redis, [("notification", big)] * 3)
    client.wait_event("notification", 3)
    answer = client.call("subscribe", {"room": "user", "id": fresh.user, "since": str(int(ids[0]) - 1)})
    assert [event["id"] for event in answer["events"]] == ids[1:] and not answer["complete"]


@pytest.mark.parametrize("past", [
    {"since": ""}, {"since": "x"}, {"since": 5}, {"since": None}, {"since": "-1"}, {"since": "9" * 30}, {"since": []},
    {"last": 0}, {"last": -1}, {"last": "5"}, {"last": 1.5}, {"last": None}, {"last": {}},
    {"since": "5", "last": 5}], ids=str)
def test_what_is_no_wish_is_refused(gateway, connect, fresh, past):
    client = connect(gateway)
    answer = subscribe(client, fresh, **past)
    assert answer["success"] is False and answer["room"] == f"market:{fresh.market}" and answer["message"]
    assert set(client.call("getRooms")) == {"user:alice", "global:all"}


def test_nobody_reads_somebody_elses_past(gateway, connect, redis, fresh):
    example = publishing.examples()["notification"]["example"]
    publishing.publish(redis, "notification", example | {"userId": fresh.user})
    answer = connect(gateway, mint("eve")).call("subscribe", {"room": "user", "id": fresh.user, "last": 5})
    assert answer["success"] is False and "events" not in answer


def test_live_events_follow_without_gap_or_overlap(client, redis, fresh):
    """While events come all the time; each round begins where the one before ended."""
    ids = publish_trades(redis, fresh, range(1))
    stream = publishing.Stream(redis, lambda number: ("market:trade", trade_data(fresh, number + 1)), 0.01)
    told, since = trades(range(1)), ids[0]
    for _ in range(10):
        live = len(client.events("market:trade"))
        answer = subscribe(client, fresh, since=since)
        assert answer["complete"]
        client.wait_event("market:trade", live + 5)
        client.unsubscribe("market", fresh.market)
        settle(client)
        told += trades_of(answer["events"])
        told += [data["tradeId"] for data in client.data("market:trade")[live:]]
        assert told == trades(range(len(told)))
        stream.wait_more(3)
        since = id_of(redis, fresh, told[-1])
    stream.end()


def id_of(redis, fresh, trade: str) -> str:
    """As it stands in the room's log."""
    log = redis.command("LRANGE", f"guesslyfe:{{0}}:log:market:{fresh.market}", 0, -1)
    return next(entry.split()[0].decode() for entry in log if f'"{trade}"'.encode() in entry)
