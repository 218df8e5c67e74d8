"""Every event arrives as it was published, at every official client over every transport."""
import json

import pytest

from conftest import trade_data
from harness import publishing
from harness.clients import settle
from harness.raw import RawClient
from harness.tokens import mint

EVENTS = publishing.examples()
ADDRESS = "0x8617e340b3d01fa5f11f306f4090fd50e238070d"
BOTH = ["polling", "websocket"]
CLIENTS = {
    "js4-polling": {"version": 4, "transports": ["polling"]},
    "js4-websocket": {"version": 4, "transports": ["websocket"]},
    "js4-upgrade": {"version": 4, "transports": BOTH},
    "js3-polling": {"version": 3, "transports": ["polling"]},
    "js3-websocket": {"version": 3, "transports": ["websocket"]},
    "js3-upgrade": {"version": 3, "transports": BOTH},
    "python-polling": {"version": "python", "transports": ["polling"]},
    "python-websocket": {"version": "python", "transports": ["websocket"]},
    "python-upgrade": {"version": "python", "transports": BOTH},
}


@pytest.fixture(params=CLIENTS.values(), ids=CLIENTS.keys())
def member(request, gateway, connect):
    """Each client in turn, as the user with ADDRESS."""
    client = connect(gateway, mint("alice", ADDRESS), **request.param)
    if request.param["version"] != "python" and request.param["transports"] == BOTH:
        assert client.wait("upgrade")["transport"] == "websocket"
    return client


def enter_rooms_of(client, event: dict, data: dict) -> None:
    for room in event["rooms"]:
        kind, _, id = room.partition(":")
        if kind in ("market", "creator"):
            assert client.subscribe(kind, data[id.strip("{}")])["success"]


def test_every_event_arrives_as_published(redis, member, fresh):
    for name, event in EVENTS.items():
        data = event["example"] | {key: ADDRESS for key in ("trader", "holder", "userId") if key in event["fields"]}
        enter_rooms_of(member, event, data)
        publishing.publish(redis, name, data)
        message = member.wait_event(name)
        assert message.keys() == {"type", "timestamp", "data"}
        assert message["type"] == name
        assert message["data"] == data
    settle(member)
    assert [name for name, _ in member.events()] == ["connected", *EVENTS]


def test_optional_fields_may_be_missing(gateway, connect, redis):
    client = connect(gateway, mint("alice", ADDRESS))
    for name, event in EVENTS.items():
        optional = [key for key, field in event["fields"].items() if field.get("optional")]
        data = {key: value for key, value in event["example"].items() if key not in optional}
        data |= {key: ADDRESS for key in ("trader", "holder", "userId") if key in data}
        enter_rooms_of(client, event, data)
        publishing.publish(redis, name, data)
        assert client.wait_event(name)["data"] == data


def test_timestamp_is_utc_with_milliseconds(gateway, connect, fresh, trade):
    client = connect(gateway)
    client.subscribe("market", fresh.market)
    trade()
    message = client.wait_event("market:trade")
    assert len(message["timestamp"]) == len("2025-01-31T12:00:00.000Z") and message["timestamp"].endswith("Z")


TEXTS = ["Größe 中文 हिन्दी", "😀 👩‍👩‍👧 \U0010ffff", "\u2028\u2029 \u00a0\ufeff", "\x01\x1f \x7f \x1e 'quotes\" \\ /",
         "a\u0000b", "<script>&amp;", "5:hello 42[\"x\"]"]


@pytest.mark.parametrize("raw", [True, False], ids=["as UTF-8", "as escapes"])
def test_any_text_comes_through(redis, member, fresh, raw):
    member.subscribe("market", fresh.market)
    data = EVENTS["market:resolved"]["example"] | {"marketId": fresh.market, "question": "\n".join(TEXTS)}
    publishing.publish(redis, "market:resolved", json.dumps(data, ensure_ascii=not raw))
    assert member.wait_event("market:resolved")["data"] == data


def test_messages_of_100_kilobytes(redis, member, fresh):
    member.subscribe("market", fresh.market)
    data = EVENTS["market:resolved"]["example"] | {"marketId": fresh.market}
    questions = [letter * (100_000 // len(letter.encode())) for letter in "aé😀"]
    for question in questions:
        publishing.publish(redis, "market:resolved", data | {"question": question})
    member.wait_event("market:resolved", len(questions))
    assert [received["question"] for received in member.data("market:resolved")] == questions


def test_numbers_and_keys_are_not_touched(redis, gateway):
    """Forwarded as text: no integer is rounded, no key is special, nothing is written anew."""
    raw = RawClient(gateway, mint("alice", ADDRESS))
    inner = ('{"big":123456789012345678901234567890,"negative":-9223372036854775809,"exact":0.65,"tiny":1e-400,'
             '"__proto__":{"admin":true},"constructor":{"prototype":1},"spaces" : [ 1 , 2 ],"e":"\\u00e9\\/"}')
    data = ('{"notificationId":"n1","userId":"alice","type":"custom","title":"t","message":"m",'
            f'"data":{inner},"read":false,"timestamp":"2025-01-31T12:00:00.000Z"}}')
    publishing.publish(redis, "notification", data)
    packet = raw.receive_until('42["notification"')
    assert f'"data":{inner}' in packet
    raw.close()


def test_proto_keys_arrive_in_javascript(redis, gateway, connect):
    client = connect(gateway, mint("alice", ADDRESS))
    data = EVENTS["notification"]["example"] | {"userId": "alice", "data": {"__proto__": {"admin": True}}}
    publishing.publish(redis, "notification", data)
    assert client.wait_event("notification")["data"] == data


def test_clients_before_recovery_get_one_argument(redis, gateway, connect, fresh, trade):
    """A Python handler of one argument breaks on a second."""
    for version in (3, "python"):
        client = connect(gateway, version=version)
        client.subscribe("market", fresh.market)
        trade()
        client.wait_event("market:trade")
        assert all(len(event["args"]) == 1 for event in client.all("event"))


def test_a_client_that_comes_back_later_is_served(gateway, connect, fresh, trade):
    client = connect(gateway)
    client.disconnect()
    client.reconnect()
    client.wait_event("connected", 2)
    client.subscribe("market", fresh.market)
    trade(1)
    client.wait_event("market:trade")
    assert client.data("market:trade") == [trade_data(fresh, 1)]
