"""More handshakes a second than a gateway takes: those over the rate are told to come again."""
import json

import pytest

from harness.clients import settle
from harness.raw import HANDSHAKE, Http
from harness.wait import until

ORIGIN = {"Origin": "https://app.example.com"}
WEBSOCKET = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
             "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}
SLOW = {"HANDSHAKE_RATE": 1, "HANDSHAKE_BURST": 3}


def handshake(gateway, transport="polling") -> tuple[int, dict, bytes]:
    headers = ORIGIN | (WEBSOCKET if transport == "websocket" else {})
    with Http(gateway) as http:
        return http.request("GET", HANDSHAKE.replace("polling", transport), headers)


def first_refusal(gateway, transport="polling"):
    """The machine may be slow, and a place grows every second: the burst is used up in the end."""
    for taken in range(1000):
        answer = handshake(gateway, transport)
        if answer[0] == 503:
            return taken, *answer
    raise AssertionError("nobody was refused")


@pytest.mark.parametrize("transport,accepted", [("polling", 200), ("websocket", 101)])
def test_who_is_too_much_is_told_so(start_gateway, transport, accepted):
    gateway = start_gateway(**SLOW)
    assert [handshake(gateway, transport)[0] for _ in range(3)] == [accepted] * 3
    _, _, headers, body = first_refusal(gateway, transport)
    assert json.loads(body) == {"code": 4, "message": "Too many handshakes"}
    assert headers["retry-after"] == "1"
    assert headers["access-control-allow-origin"] == ORIGIN["Origin"]
    assert headers["access-control-allow-credentials"] == "true"
    assert headers["cache-control"] == "no-store"
    metrics = gateway.metrics()
    assert metrics["handshakes_turned_away_total", "rate"] == metrics["sessions_refused_total"] == 1
    assert metrics["handshakes_turned_away_total", "full"] == 0


def test_an_official_client_gets_in_when_there_is_room(start_gateway, connect):
    gateway = start_gateway(**SLOW)
    taken = first_refusal(gateway)[0]
    assert taken >= 3
    client = connect(gateway, wait=False, reconnection=True, reconnectionDelay=200, reconnectionDelayMax=500)
    client.wait_event("connected")


def test_who_is_in_notices_nothing(start_gateway, connect):
    gateway = start_gateway(**SLOW)
    polling = connect(gateway, transports=["polling"])
    upgraded = connect(gateway)
    first_refusal(gateway)
    for client in (polling, upgraded):
        settle(client)
    until(lambda: gateway.metrics()["sessions", "websocket"] == 1, "an upgrade is no handshake")


def test_the_burst_is_the_rate_unless_it_is_set(start_gateway):
    gateway = start_gateway(HANDSHAKE_RATE=20)
    assert [handshake(gateway)[0] for _ in range(20)] == [200] * 20


def test_without_a_rate_nobody_is_refused(start_gateway):
    gateway = start_gateway(HANDSHAKE_RATE=0, HANDSHAKE_BURST=1)
    assert [handshake(gateway)[0] for _ in range(50)] == [200] * 50


@pytest.mark.parametrize("transport", ["polling", "websocket"])
def test_one_connection_too_many_may_come_again_as_well(start_gateway, connect, transport):
    gateway = start_gateway(MAX_CONNECTIONS=1)
    connect(gateway)
    status, headers, body = handshake(gateway, transport)
    assert (status, json.loads(body)) == (503, {"code": 4, "message": "Too many connections"})
    assert (headers["retry-after"], headers["access-control-allow-origin"]) == ("1", ORIGIN["Origin"])
    assert gateway.metrics()["handshakes_turned_away_total", "full"] == 1
