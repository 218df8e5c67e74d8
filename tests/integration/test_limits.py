"""What strangers may do to the gateway, and that nobody else notices."""
import json
import os
import socket

import pytest
import websocket

from conftest import trade_data
from harness import publishing
from harness.clients import settle
from harness.raw import HANDSHAKE, Http, RawClient
from harness.tokens import mint
from harness.wait import until

ORIGIN = {"Origin": "https://app.example.com"}


@pytest.fixture
def bystander(gateway, connect):
    """A client that nothing of a test must touch."""
    client = connect(gateway)
    yield client
    settle(client)
    assert client.all("disconnect") == []
    assert [name for name, _ in client.events()] == ["connected"]


def open_session(gateway) -> tuple[Http, str]:
    http = Http(gateway)
    status, _, body = http.request("GET", HANDSHAKE)
    assert status == 200
    return http, f"{HANDSHAKE}&sid=" + json.loads(body[1:])["sid"]


def test_one_client_more_than_allowed(start_gateway, connect):
    gateway = start_gateway(MAX_CONNECTIONS=3)
    clients = [connect(gateway, transports=["websocket"]) for _ in range(3)]
    with Http(gateway) as http:
        status, headers, _ = http.request("GET", HANDSHAKE, ORIGIN)
    assert status == 503
    assert headers["access-control-allow-origin"] == ORIGIN["Origin"]
    with pytest.raises(websocket.WebSocketBadStatusException, match="503"):
        RawClient(gateway, mint())
    clients[0].disconnect()
    until(lambda: gateway.stats()["connectedClients"] == 2, "one has left")
    connect(gateway)


def test_the_operations_port_answers_when_all_places_are_taken(start_gateway, connect):
    gateway = start_gateway(MAX_CONNECTIONS=1)
    connect(gateway)
    assert gateway.stats()["connectedClients"] == 1


def test_a_post_over_the_limit(gateway, bystander):
    http, session = open_session(gateway)
    with http:
        status, headers, _ = http.send(
            f"POST {session} HTTP/1.1\r\nHost: t\r\nOrigin: {ORIGIN['Origin']}\r\nContent-Length: 1000001\r\n\r\n"
        ).response()
        assert status == 413
        assert headers["access-control-allow-origin"] == ORIGIN["Origin"]


def test_a_websocket_message_over_the_limit(gateway, bystander):
    raw = RawClient(gateway, mint())
    try:
        raw.send("42" + json.dumps(["ping", "x" * 1_000_001]))
    except OSError:
        pass
    assert all(packet.startswith('42["connected"') for packet in raw.rest())


def test_a_message_at_the_limit_is_taken(gateway):
    raw = RawClient(gateway, mint())
    message = '421["nothing",""]'
    raw.send(message[:-2] + "x" * (1_000_000 - len(message) - 1) + message[-2:])
    assert raw.receive_until("431")
    raw.close()


@pytest.mark.parametrize("garbage", [
    os.urandom(10_000), b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500), b"\r\n" * 5000,
    b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"GET /" + b"a" * 100_000, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"POST /socket.io/ HTTP/1.1\r\nHost: t\r\nContent-Length: -1\r\n\r\n",
    b"POST /socket.io/ HTTP/1.1\r\nHost: t\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    b"POST /socket.io/ HTTP/1.1\r\nHost: t\r\nContent-Length: 99999999999999999999\r\n\r\n",
    b"POST /socket.io/ HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: t\r\nX: \x00\r\n\r\n", b"GET / HTTP/1.1\r\n folded: x\r\n\r\n",
], ids=range(13))
def test_garbage_ends_its_connection_alone(gateway, bystander, garbage):
    with Http(gateway) as http:
        try:
            http.send(garbage)
            http.socket.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        said = http.wait_closed()
    assert said == b"" or said.startswith((b"HTTP/1.1 4", b"HTTP/1.1 5", b"HTTP/1.0 4")), said[:100]


@pytest.mark.parametrize("headers", [{f"X-{n}": "x" for n in range(5000)}, {"X": "x" * 100_000}],
                         ids=["many", "long"])
def test_headers_without_end(gateway, bystander, headers):
    with Http(gateway) as http:
        try:
            status, _, _ = http.request("GET", HANDSHAKE, headers)
        except ConnectionError:
            return
        assert status in (400, 431)


def test_a_request_that_never_ends_is_closed(start_gateway):
    """Slowloris: a byte now and then does not prolong the time for the head."""
    gateway = start_gateway(HEADER_TIMEOUT=500)
    with Http(gateway) as http:
        http.send("GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\n")
        http.socket.settimeout(0.05)
        for _ in range(400):
            try:
                http.send("x: y\r\n")
                if http.socket.recv(1000) == b"":
                    break
            except TimeoutError:
                continue
            except OSError:
                break
        else:
            pytest.fail("still open after 20 s")


def test_a_body_that_never_ends_is_closed(start_gateway):
    gateway = start_gateway(BODY_TIMEOUT=500)
    http, session = open_session(gateway)
    with http:
        http.send(f"POST {session} HTTP/1.1\r\nHost: t\r\nContent-Length: 100\r\n\r\n4")
        http.wait_closed()


def test_a_connection_without_a_request_is_closed(start_gateway):
    gateway = start_gateway(IDLE_TIMEOUT=500, HEADER_TIMEOUT=500)
    with Http(gateway) as http:
        assert http.wait_closed() == b""


def test_a_client_that_never_connects_is_closed(start_gateway):
    """It has the transport, and never sends its CONNECT."""
    gateway = start_gateway(CONNECT_TIMEOUT=500)
    url = f"ws://127.0.0.1:{gateway.port}/socket.io/?EIO=4&transport=websocket"
    raw = websocket.create_connection(url, timeout=15)
    raw.recv()
    try:
        while raw.recv() not in ("", "1"):
            pass
    except (websocket.WebSocketConnectionClosedException, ConnectionError):
        pass
    raw.shutdown()


def test_a_client_that_answers_no_ping_is_closed(start_gateway):
    gateway = start_gateway(PING_INTERVAL=300, PING_TIMEOUT=300)
    raw = RawClient(gateway, mint())
    assert raw.handshake["pingInterval"] == 300 and raw.handshake["pingTimeout"] == 300
    until(lambda: gateway.stats()["connectedClients"] == 0, "the silent client is gone")
    raw.close()


def test_a_slow_client_is_disconnected_and_harms_nobody(start_gateway, connect, redis, fresh):
    gateway = start_gateway(CLIENT_QUEUE_BYTES=2_097_152)
    quick = connect(gateway, transports=["websocket"])
    quick.subscribe("market", fresh.market)
    slow = RawClient(gateway, mint("slow"), sockopt=[(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)])
    slow.send(f'421["subscribe",{{"room":"market","id":"{fresh.market}"}}]')
    slow.receive_until("431")
    assert gateway.stats()["connectedClients"] == 2
    data = trade_data(fresh) | {"filler": "x" * 50_000}
    published = 0
    while gateway.stats()["connectedClients"] == 2:
        assert published < 2000, "nobody was disconnected"
        publishing.plain_event(redis, f"market:{fresh.market}", "market:trade", data)
        published += 1
    quick.wait_event("market:trade", published)
    settle(quick)
    assert len(quick.events("market:trade")) == published
    slow.close()


def test_hundreds_of_connections_that_come_and_go(gateway, bystander):
    for number in range(300):
        http = Http(gateway)
        http.send("GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: t\r\n\r\n"[: 20 + number % 45])
        http.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        http.socket.close()
    settle(bystander)
