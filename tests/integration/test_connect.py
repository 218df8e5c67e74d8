"""Who gets in, and what they are told: tokens, `connected`, `error` and the disconnect after it."""
import time

import pytest

from harness.clients import settle
from harness.raw import RawClient
from harness.tokens import encode, mint

ADDRESS = "0x52908400098527886E0F7030069857D2E4169EE7"
REQUIRED = {"message": "Authentication required"}
FAILED = {"message": "Authentication failed"}


def now() -> int:
    return int(time.time())


def test_connected_tells_user_and_rooms(gateway, connect):
    client = connect(gateway, mint("alice", ADDRESS))
    assert client.events()[0] == ("connected", {
        "message": "Connected to GuessLyfe real-time updates",
        "userId": "alice",
        "rooms": [f"user:{ADDRESS.lower()}", "global:all"],
    })
    assert sorted(client.call("getRooms")) == ["global:all", f"user:{ADDRESS.lower()}"]


def test_without_address_the_sub_names_the_user_room(gateway, connect):
    client = connect(gateway, mint("bob"))
    assert client.wait_event("connected")["rooms"] == ["user:bob", "global:all"]


@pytest.mark.parametrize("transport", ["polling", "websocket"])
def test_token_in_the_authorization_header(gateway, connect, transport):
    headers = {"Authorization": "Bearer " + mint("carol")}
    client = connect(gateway, None, transports=[transport], extraHeaders=headers)
    assert client.wait_event("connected")["userId"] == "carol"


def test_auth_token_goes_before_the_header(gateway, connect):
    headers = {"Authorization": "Bearer " + mint("header")}
    client = connect(gateway, mint("packet"), extraHeaders=headers)
    assert client.wait_event("connected")["userId"] == "packet"


def test_a_bad_auth_token_is_not_saved_by_the_header(gateway, connect):
    headers = {"Authorization": "Bearer " + mint("header")}
    refused(connect(gateway, "rubbish", extraHeaders=headers, wait=False), FAILED)


def refused(client, error: dict) -> None:
    """The event, then a disconnect after which the client does not come back by itself."""
    disconnect = client.wait("disconnect")
    assert client.events() == [("error", error)]
    assert disconnect["reason"] == "io server disconnect"
    assert not disconnect["active"]


@pytest.mark.parametrize("transports", [["polling"], ["websocket"], ["polling", "websocket"]])
@pytest.mark.parametrize("version", [3, 4])
def test_no_token(gateway, connect, transports, version):
    client = connect(gateway, None, wait=False, transports=transports, version=version, reconnection=True)
    disconnect = client.wait("disconnect")
    assert client.events() == [("error", REQUIRED)]
    assert disconnect["reason"] == "io server disconnect"


def test_the_query_string_is_no_place_for_a_token(gateway, connect):
    token = mint("dave")
    query = {"token": token, "auth": token, "Authorization": "Bearer " + token}
    refused(connect(gateway, None, wait=False, query=query, reconnection=True), REQUIRED)


CLAIMS = {"sub": "mallory"}
BAD_TOKENS = {
    "no token at all": lambda: "rubbish",
    "two parts": lambda: ".".join(mint().split(".")[:2]),
    "wrong secret": lambda: mint(secret="another secret, of the same length.."),
    "changed claims": lambda: ".".join([mint().split(".")[0], encode(b'{"sub":"root"}'), mint().split(".")[2]]),
    "expired": lambda: mint(exp=now() - 1),
    "expired long ago": lambda: mint(exp=1),
    "not yet valid": lambda: mint(nbf=now() + 60),
    "exp of the wrong type": lambda: mint(exp="tomorrow"),
    "alg none": lambda: mint(header={"alg": "none", "typ": "JWT"}),
    "alg RS256": lambda: mint(header={"alg": "RS256", "typ": "JWT"}),
    "alg HS512": lambda: mint(header={"alg": "HS512", "typ": "JWT"}),
    "alg missing": lambda: mint(header={"typ": "JWT"}),
    "no sub": lambda: mint(sub=None),
    "empty sub": lambda: mint(sub=""),
    "sub is a number": lambda: mint(sub=7),
}


@pytest.mark.parametrize("token", BAD_TOKENS.values(), ids=BAD_TOKENS.keys())
def test_bad_token(gateway, connect, token):
    refused(connect(gateway, token(), wait=False, reconnection=True), FAILED)


@pytest.mark.parametrize("token", [7, True, ["a"], {"a": 1}, ""])
def test_token_of_another_type(gateway, connect, token):
    client = connect(gateway, None, wait=False, auth={"token": token})
    assert client.wait("disconnect")["reason"] == "io server disconnect"
    (name, error), = client.events()
    assert name == "error" and error in (REQUIRED, FAILED)


def test_issuer_and_audience(start_gateway, connect):
    gateway = start_gateway(JWT_ISSUER="issuer", JWT_AUDIENCE="audience")
    connect(gateway, mint(iss="issuer", aud="audience"))
    connect(gateway, mint(iss="issuer", aud=["another", "audience"]))
    for claims in ({}, {"iss": "issuer"}, {"aud": "audience"}, {"iss": "other", "aud": "audience"},
                   {"iss": "issuer", "aud": "other"}, {"iss": "issuer", "aud": ["other"]}):
        refused(connect(gateway, mint(**claims), wait=False), FAILED)


def test_a_refused_client_can_do_nothing_and_not_stay(start_gateway):
    gateway = start_gateway(CONNECT_TIMEOUT=500)
    raw = RawClient(gateway, token=None)
    assert raw.receive() == '42["error",{"message":"Authentication required"}]'
    raw.send('421["subscribe",{"room":"market","id":"1"}]')
    assert raw.rest() in (["41"], ["41", "1"])


def test_another_namespace_does_not_exist(gateway, node):
    client = node.open(gateway.url + "/admin", 4, {"auth": {"token": mint()}, "reconnection": False})
    assert client.wait("connect_error")["message"] == "Invalid namespace"
    client.disconnect()


def test_a_new_token_after_a_refusal(gateway, connect):
    client = connect(gateway, mint(exp=1), wait=False)
    client.wait("disconnect")
    client.disconnect()
    settle(connect(gateway, mint()))
