"""SIGTERM: the clients are handed on to another gateway, evenly, and lose nothing."""
import json
import selectors
import signal
import time

import pytest
import websocket

from conftest import trade_data
from harness import publishing
from harness.clients import settle
from harness.raw import HANDSHAKE, Http, RawClient
from harness.tokens import mint
from harness.wait import until

LONG = 600_000  # nothing of a test waits for its end
RECOVER = {"recovery": True}
TRANSPORTS = [["websocket"], ["polling"], ["polling", "websocket"]]
ORIGIN = {"Origin": "https://app.example.com"}


def begin_drain(gateway) -> None:
    gateway.process.send_signal(signal.SIGTERM)
    gateway.wait_log("msg=draining")


def wait_end(gateway) -> None:
    assert gateway.process.wait(20) == 0, gateway.log()
    gateway.assert_clean()


def closing(gateway) -> None:
    """Until the delay is over."""
    gateway.wait_log('msg="closing sessions"')


def upgrade(http: Http):
    return http.request("GET", HANDSHAKE.replace("polling", "websocket"), ORIGIN | {
        "Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="})


# --- The delay


def test_at_first_all_goes_on_but_readiness(start_gateway, connect):
    gateway = start_gateway(DRAIN_DELAY=LONG)
    old = connect(gateway)
    begin_drain(gateway)
    assert gateway.readiness() == (503, {"status": "not ready", "why": "draining"})
    assert gateway.health()["status"] == "ok"
    metrics = gateway.metrics()
    assert (metrics["draining"], metrics["ready"]) == (1, 0)
    settle(connect(gateway))
    settle(old)
    assert old.all("disconnect") == []


@pytest.mark.parametrize("first,second", [("SIGTERM", "SIGTERM"), ("SIGTERM", "SIGINT"), ("SIGINT", None)])
def test_whoever_does_not_want_to_wait_need_not(start_gateway, connect, first, second):
    gateway = start_gateway(DRAIN_DELAY=LONG, DRAIN_WINDOW=LONG)
    client = connect(gateway)
    gateway.process.send_signal(getattr(signal, first))
    if second:
        gateway.wait_log("msg=draining")
        gateway.process.send_signal(getattr(signal, second))
    wait_end(gateway)
    assert client.wait("disconnect")["active"], "it comes back by itself"


# --- Handshakes


def test_newcomers_are_sent_elsewhere(start_gateway, connect):
    gateway = start_gateway(DRAIN_WINDOW=LONG)
    for _ in range(3):
        connect(gateway)
    with Http(gateway) as kept:
        kept.request("GET", HANDSHAKE.replace("4", "3"))
        begin_drain(gateway)
        closing(gateway)
        status, headers, body = kept.request("GET", HANDSHAKE, ORIGIN)
        refusal = {"code": 4, "message": "Server is shutting down"}
        assert (status, json.loads(body)) == (503, refusal)
        assert (headers["connection"], headers["retry-after"]) == ("close", "1")
        assert headers["access-control-allow-origin"] == ORIGIN["Origin"]
        assert headers["access-control-allow-credentials"] == "true"
        assert kept.wait_closed() == b""
    with Http(gateway) as http:
        status, headers, body = upgrade(http)
        assert (status, json.loads(body)) == (503, refusal)
        assert (headers["retry-after"], headers["access-control-allow-origin"]) == ("1", ORIGIN["Origin"])
        assert http.wait_closed() == b""
    assert gateway.metrics()["handshakes_turned_away_total", "drain"] == 2


# --- How sessions end


def test_a_websocket_ends_by_a_close_frame_alone(start_gateway):
    """A DISCONNECT or CONNECT_ERROR would keep the official client from coming back."""
    gateway = start_gateway()
    raw = RawClient(gateway, mint(), RECOVER)
    raw.receive_until('42["connected"')
    begin_drain(gateway)
    opcode, data = raw.socket.recv_data()
    assert (opcode, int.from_bytes(data[:2], "big")) == (websocket.ABNF.OPCODE_CLOSE, 1001)
    raw.close()
    wait_end(gateway)


@pytest.mark.parametrize("version", [4, 3, "python"])
@pytest.mark.parametrize("transports", TRANSPORTS, ids="+".join)
def test_official_clients_come_back_by_themselves(start_gateway, connect, version, transports):
    first, second = start_gateway(), start_gateway()
    options = {"reconnection": True} if version == "python" else {"reconnection": True, "reconnectionDelay": 50}
    client = connect(first, version=version, transports=transports, **options)
    client.aim(second.url)
    begin_drain(first)
    client.wait_event("connected", 2)
    settle(client)
    assert second.stats()["connectedClients"] == 1
    assert [event["message"] for _, event in client.events("connected")] == ["Connected to GuessLyfe real-time updates"] * 2
    assert client.events("error") == []
    client.disconnect()
    wait_end(first)


@pytest.mark.parametrize("transports", TRANSPORTS, ids="+".join)
def test_they_recover(start_gateway, connect, redis, fresh, transports):
    first, second = start_gateway(), start_gateway()
    client = connect(first, mint(fresh.user), auth=RECOVER, transports=transports, reconnection=True,
                     reconnectionDelay=50)
    client.subscribe("market", fresh.market)
    publishing.publish(redis, "market:trade", trade_data(fresh, 0))
    client.wait_event("market:trade")
    client.aim(second.url)
    begin_drain(first)
    client.wait("connect", 2)
    publishing.publish(redis, "market:trade", trade_data(fresh, 1))
    client.wait_event("market:trade", 2)
    settle(client)
    before, after = client.all("connect")
    assert after["recovered"] and (after["sid"], after["pid"]) == (before["sid"], before["pid"])
    assert [data["tradeId"] for data in client.data("market:trade")] == ["trade0", "trade1"]
    wait_end(first)


@pytest.mark.parametrize("transport", ["websocket", "polling"])
def test_the_session_is_written_when_it_ends(start_gateway, connect, redis, fresh, transport):
    """What stands in Redis then is of that moment, and not up to half a window older."""
    gateway = start_gateway()
    client = connect(gateway, mint(fresh.user), auth=RECOVER, transports=[transport])
    client.subscribe("market", fresh.market)
    key = "guesslyfe:session:" + client.all("connect")[0]["pid"]
    publishing.publish(redis, "market:trade", trade_data(fresh))
    client.wait_event("market:trade")
    last_id = client.all("event")[-1]["args"][1]
    assert redis.command("GET", key).split()[5].decode() != last_id
    begin_drain(gateway)
    wait_end(gateway)
    assert redis.command("GET", key).split()[5].decode() == last_id
    assert redis.command("PTTL", key) <= 120_000


def test_events_come_once_while_clients_are_handed_on(start_gateway, connect, redis, fresh):
    first, second = start_gateway(DRAIN_DELAY=200, DRAIN_WINDOW=2000), start_gateway()
    clients = [connect(first, mint(f"{fresh.user}-{n}"), auth=RECOVER, transports=TRANSPORTS[n % 3], reconnection=True,
                       reconnectionDelay=50) for n in range(12)]
    for client in clients:
        client.subscribe("market", fresh.market)
        client.aim(second.url)
    stream = publishing.Stream(redis, lambda number: ("market:trade", trade_data(fresh, number)), 0.01)
    stream.wait_more(20)
    begin_drain(first)
    wait_end(first)
    for client in clients:
        client.wait_event("connected", 2)
    stream.wait_more(20)
    count = stream.end()
    for client in clients:
        client.wait_event("market:trade", count)
        settle(client)
        assert [data["tradeId"] for data in client.data("market:trade")] == [f"trade{n}" for n in range(count)]
        assert client.all("connect")[1]["recovered"]
    assert second.metrics()["recoveries_total", "recovered"] == len(clients)
    assert f"msg=drained closed={len(clients)} left_by_themselves=0 cut=0 unwritten=0" in first.log()


# --- When


def times_of_ends(clients: list[RawClient]) -> list[float]:
    with selectors.DefaultSelector() as selector:
        for client in clients:
            selector.register(client.socket.sock, selectors.EVENT_READ, client)
        ends = []
        while len(ends) < len(clients):
            for key, _ in selector.select(20):
                if key.data.socket.recv_data()[0] == websocket.ABNF.OPCODE_CLOSE:
                    ends.append(time.monotonic())
                    selector.unregister(key.fileobj)
                    key.data.close()
        return ends


def test_the_pace_is_even(start_gateway):
    """Roughly, for a busy machine may stand still for a while; ops/pace_test.c is exact."""
    window, count = 4.0, 80
    gateway = start_gateway(DRAIN_WINDOW=int(window * 1000))
    clients = [RawClient(gateway, mint(f"user{n}")) for n in range(count)]
    for client in clients:
        client.receive_until('42["connected"')
    start = time.monotonic()
    begin_drain(gateway)
    ends = times_of_ends(clients)
    tenths = [sum(1 for end in ends if tenth <= (end - start) / window * 10 < tenth + 1) for tenth in range(10)]
    assert ends[-1] - ends[0] > window / 2, tenths
    assert max(tenths) <= count / 2, tenths
    wait_end(gateway)
    assert gateway.log().count('msg="closing sessions"') >= 2


def test_it_ends_with_the_last_client(start_gateway, connect):
    gateway = start_gateway(DRAIN_WINDOW=LONG)
    clients = [connect(gateway) for _ in range(3)]
    begin_drain(gateway)
    closing(gateway)
    until(lambda: gateway.metrics()["sessions_closed_total", "drain"] == 1, "the first is handed on at once")
    assert gateway.stats()["connectedClients"] == 2
    assert gateway.metrics()["draining"] == 1
    for client in clients:
        client.disconnect()
    wait_end(gateway)
    assert "msg=drained closed=1 left_by_themselves=2 cut=0 unwritten=0" in gateway.log()


def test_without_clients_it_ends_at_once(start_gateway):
    gateway = start_gateway(DRAIN_WINDOW=LONG)
    begin_drain(gateway)
    wait_end(gateway)


def test_it_does_not_wait_long_for_redis(start_gateway, connect, redis):
    gateway = start_gateway()
    client = connect(gateway, auth=RECOVER)
    redis.pause()
    try:
        begin_drain(gateway)
        client.wait("disconnect")
        wait_end(gateway)
    finally:
        redis.resume()
    assert "unwritten=0" not in gateway.log()


def test_a_client_that_never_polls_is_not_waited_for_long(start_gateway):
    gateway = start_gateway()
    with Http(gateway) as http:
        assert http.request("GET", HANDSHAKE)[0] == 200
        begin_drain(gateway)
        wait_end(gateway)
    assert "msg=drained closed=1 left_by_themselves=0 cut=1" in gateway.log()
