"""Cross-origin rules: who is echoed, who is refused, on answers of every kind."""
import pytest
import websocket

from harness.raw import HANDSHAKE, Http, RawClient
from harness.tokens import mint

GOOD, OTHER = "https://app.example.com", "https://evil.example.com"


@pytest.fixture(scope="module")
def strict(redis, module_gateway):
    return module_gateway(CORS_ALLOWED_ORIGINS=f"{GOOD}, http://localhost:5173")


def ask(gateway, method: str, target: str, origin: str | None, **headers):
    with Http(gateway) as http:
        origin_header = {"Origin": origin} if origin else {}
        return http.request(method, target, origin_header | headers)


def allows(headers: dict, origin: str) -> bool:
    return (headers.get("access-control-allow-origin") == origin
            and headers.get("access-control-allow-credentials") == "true")


@pytest.mark.parametrize("origin", [GOOD, "http://localhost:5173"])
def test_an_origin_on_the_list_is_echoed(strict, origin):
    status, headers, _ = ask(strict, "GET", HANDSHAKE, origin)
    assert status == 200 and allows(headers, origin)
    assert "origin" in headers.get("vary", "").lower()


@pytest.mark.parametrize("origin", [OTHER, GOOD + ".evil.com", GOOD + ":8443", "http://app.example.com", "null"])
def test_an_origin_off_the_list_is_not(strict, origin):
    _, headers, _ = ask(strict, "GET", HANDSHAKE, origin)
    assert "access-control-allow-origin" not in headers


def test_with_a_star_the_origin_itself_is_echoed(gateway):
    """Browsers refuse * with credentials."""
    status, headers, _ = ask(gateway, "GET", HANDSHAKE, OTHER)
    assert status == 200 and allows(headers, OTHER)


def test_without_origin_nothing_is_said(strict):
    status, headers, _ = ask(strict, "GET", HANDSHAKE, None)
    assert status == 200 and "access-control-allow-origin" not in headers


def test_preflight(strict):
    wish = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,content-type"}
    status, headers, body = ask(strict, "OPTIONS", HANDSHAKE, GOOD, **wish)
    assert status in (200, 204) and body == b"" and allows(headers, GOOD)
    assert "POST" in headers["access-control-allow-methods"]
    assert {"authorization", "content-type"} <= set(
        name.strip().lower() for name in headers["access-control-allow-headers"].split(","))


def test_preflight_of_a_stranger(strict):
    _, headers, _ = ask(strict, "OPTIONS", HANDSHAKE, OTHER, **{"Access-Control-Request-Method": "POST"})
    assert "access-control-allow-origin" not in headers


@pytest.mark.parametrize("target,status", [
    ("/socket.io/?EIO=3&transport=polling", 400),
    ("/socket.io/?EIO=4&transport=pigeon", 400),
    ("/socket.io/?EIO=4&transport=polling&sid=unknown", 400),
    ("/elsewhere", 404),
])
def test_refusals_carry_the_headers_too(strict, target, status):
    """Without them a browser shows only "xhr poll error"."""
    got, headers, _ = ask(strict, "GET", target, GOOD)
    assert got == status and allows(headers, GOOD)


def test_a_websocket_of_a_stranger_is_refused(strict):
    with pytest.raises(websocket.WebSocketBadStatusException):
        RawClient(strict, mint(), origin=OTHER)


@pytest.mark.parametrize("options", [{"origin": GOOD}, {"suppress_origin": True}], ids=["on the list", "no browser"])
def test_a_websocket_of_a_friend_is_taken(strict, options):
    raw = RawClient(strict, mint(), **options)
    assert raw.receive_until('42["connected"')
    raw.close()
