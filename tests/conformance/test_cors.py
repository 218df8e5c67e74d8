"""Which pages may use the server: the headers that a browser asks for, on every answer."""

import pytest
from peer.engine import PATH, Polling
from peer.http import Connection, fetch
from peer.websocket import UPGRADE, WebSocket

POLLING = f"{PATH}&transport=polling"
WEBSOCKET = f"{PATH}&transport=websocket"
OURS = "https://app.example"


@pytest.fixture(scope="module")
def picky(start):
    return start(
        "--engine", "--ping-interval", "25000", "--cors", f"{OURS},https://two.example:8443"
    )


def assert_allows(response, origin):
    assert response.headers["access-control-allow-origin"] == origin
    assert response.headers["access-control-allow-credentials"] == "true"
    assert "origin" in response.headers["vary"].lower()


@pytest.mark.parametrize("origin", [OURS, "https://two.example:8443"])
def test_a_listed_origin_is_echoed(picky, origin):
    assert_allows(fetch(picky.address, "GET", POLLING, Origin=origin), origin)


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "http://app.example",
        "https://app.example.evil",
        "null",
        "https://two.example",
    ],
)
def test_another_origin_is_not(picky, origin):
    response = fetch(picky.address, "GET", POLLING, Origin=origin)
    assert "access-control-allow-origin" not in response.headers


def test_any_origin_is_echoed_for_a_star(engine):
    """Browsers refuse the star itself where credentials are allowed."""
    assert_allows(
        fetch(engine.address, "GET", POLLING, Origin="https://x.example"), "https://x.example"
    )


@pytest.mark.parametrize(
    "method, target, status",
    [
        ("GET", f"{POLLING}&sid=unknown", 400),
        ("GET", "/nothing", 404),
        ("POST", POLLING, 400),
    ],
)
def test_errors_have_the_headers_too(picky, method, target, status):
    response = fetch(picky.address, method, target, Origin=OURS)
    assert response.status == status
    assert_allows(response, OURS)


def test_a_body_too_large_has_them_too(picky):
    session = Polling(picky)
    response = session.post("4" * 1_000_001, Origin=OURS)
    assert response.status == 413
    assert_allows(response, OURS)


def test_a_head_that_is_no_http_is_refused(picky):
    connection = Connection(picky.address)
    connection.send(b"hello\r\n\r\n")
    assert connection.response().status == 400
    assert connection.at_end()


def test_a_preflight_allows_what_clients_send(picky):
    response = fetch(
        picky.address,
        "OPTIONS",
        POLLING,
        Origin=OURS,
        Access_Control_Request_Method="POST",
        Access_Control_Request_Headers="content-type,authorization",
    )
    assert response.status in (200, 204)
    assert_allows(response, OURS)
    allowed = response.headers["access-control-allow-headers"].lower()
    assert "content-type" in allowed and "authorization" in allowed
    methods = response.headers["access-control-allow-methods"]
    assert "GET" in methods and "POST" in methods
    assert int(response.headers["access-control-max-age"]) > 0


def test_a_websocket_of_another_origin_is_refused(picky):
    response = fetch(picky.address, "GET", WEBSOCKET, Origin="https://evil.example", **UPGRADE)
    assert response.status == 403
    assert response.json()["code"] == 4


def test_websockets_of_ours_and_of_no_browser_are_taken(picky):
    assert WebSocket(picky.address, WEBSOCKET, Origin=OURS).receive()[0] == "0"
    assert WebSocket(picky.address, WEBSOCKET).receive()[0] == "0"
