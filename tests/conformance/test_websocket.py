"""RFC 6455 as a stranger might speak it. Over Engine.IO's echo: text messages begin with 4."""

import pytest
from peer.engine import PATH, Socket
from peer.http import Connection, fetch
from peer.websocket import (
    ACCEPT,
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    UPGRADE,
    WebSocket,
    frame,
)

TARGET = f"{PATH}&transport=websocket"


@pytest.fixture
def ws(engine):
    return Socket(engine).ws


# The opening handshake


def test_accepts_without_protocol_or_extension(engine):
    ws = WebSocket(
        engine.address,
        TARGET,
        Connection="keep-alive, Upgrade",
        Upgrade="WebSocket",
        Sec_WebSocket_Protocol="chat, superchat",
        Sec_WebSocket_Extensions="permessage-deflate; client_max_window_bits",
    )
    assert ws.headers["sec-websocket-accept"] == ACCEPT
    assert "sec-websocket-protocol" not in ws.headers
    assert "sec-websocket-extensions" not in ws.headers


def test_another_version_is_told_ours(engine):
    response = fetch(engine.address, "GET", TARGET, **(UPGRADE | {"Sec_WebSocket_Version": "8"}))
    assert response.status == 426
    assert response.headers["sec-websocket-version"] == "13"


@pytest.mark.parametrize("key", ["", "short", "dGhlIHNhbXBsZSBub25jZQ", "!" * 24, "A" * 64])
def test_a_bad_key_is_refused(engine, key):
    response = fetch(engine.address, "GET", TARGET, **(UPGRADE | {"Sec_WebSocket_Key": key}))
    assert response.status == 400


def test_a_missing_key_is_refused(engine):
    headers = {name: value for name, value in UPGRADE.items() if name != "Sec_WebSocket_Key"}
    assert fetch(engine.address, "GET", TARGET, **headers).status == 400


# Messages and fragments


def test_fragments_are_one_message(ws):
    ws.send_frame(TEXT, b"4he", fin=False)
    ws.send_frame(CONTINUATION, b"", fin=False)
    ws.send_frame(CONTINUATION, b"llo")
    assert ws.receive() == "4hello"


def test_control_frames_may_stand_between_fragments(ws):
    ws.send_frame(TEXT, b"4he", fin=False)
    ws.send_frame(PING, b"now")
    assert ws.receive_frame() == (PONG, b"now")
    ws.send_frame(PONG)
    ws.send_frame(CONTINUATION, b"llo")
    assert ws.receive() == "4hello"


def test_a_character_may_be_cut_by_fragments(ws):
    text = "4\u20ac\U0001f600".encode()
    for i in range(len(text)):
        ws.send_frame(TEXT if i == 0 else CONTINUATION, text[i : i + 1], fin=i == len(text) - 1)
    assert ws.receive() == text.decode()


def test_one_byte_at_a_time(ws):
    for byte in frame(TEXT, b"4" + b"x" * 126) + frame(BINARY, b"\x00\x01"):
        ws.send(bytes([byte]))
    assert ws.receive() == "4" + "x" * 126
    assert ws.receive() == b"\x00\x01"


def test_many_messages_in_one_segment(ws):
    ws.send(b"".join(frame(TEXT, b"4%d" % i) for i in range(500)))
    assert [ws.receive() for _ in range(500)] == [f"4{i}" for i in range(500)]


def test_ping_is_answered_with_its_payload(ws):
    for payload in (b"", b"x", b"y" * 125):
        ws.send_frame(PING, payload)
        assert ws.receive_frame() == (PONG, payload)


def test_an_unasked_pong_is_nothing(ws):
    ws.send_frame(PONG, b"x")
    ws.send_message("4x")
    assert ws.receive() == "4x"


# What ends a connection

BAD_FRAMES = {
    "rsv1": frame(TEXT, b"4x", rsv=4),
    "rsv2": frame(TEXT, b"4x", rsv=2),
    "rsv3": frame(TEXT, b"4x", rsv=1),
    "unmasked": frame(TEXT, b"4x", masked=False),
    "reserved data opcode": frame(3, b"4x"),
    "reserved control opcode": frame(11, b""),
    "fragmented ping": frame(PING, b"", fin=False),
    "fragmented close": frame(CLOSE, b"", fin=False),
    "long ping": frame(PING, b"x" * 126),
    "length in 2 bytes too many": frame(TEXT, b"4x", length=2),
    "length in 8 bytes too many": frame(TEXT, b"4x", length=8),
    "length beyond 63 bits": b"\x81\xff" + b"\xff" * 8 + b"\x00" * 4,
    "continuation of nothing": frame(CONTINUATION, b"4x"),
    "message within a message": frame(TEXT, b"4x", fin=False) + frame(TEXT, b"4y"),
    "close with half a code": frame(CLOSE, b"\x03"),
    "close with code 999": frame(CLOSE, b"\x03\xe7"),
    "close with code 1005": frame(CLOSE, b"\x03\xed"),
    "close with code 1006": frame(CLOSE, b"\x03\xee"),
    "close with code 5000": frame(CLOSE, b"\x13\x88"),
}


@pytest.mark.parametrize("name", BAD_FRAMES)
def test_a_broken_frame_is_a_protocol_error(ws, name):
    ws.send(BAD_FRAMES[name])
    assert ws.close_code() == 1002
    assert ws.at_end()


@pytest.mark.parametrize(
    "text", [b"4\xff", b"4\xc0\xaf", b"4\xed\xa0\x80", b"4\xf4\x90\x80\x80", b"4\xe2\x82"]
)
def test_text_that_is_not_utf8_is_invalid_data(ws, text):
    ws.send_frame(TEXT, text)
    assert ws.close_code() == 1007


def test_text_that_is_not_utf8_over_fragments_is_invalid_data(ws):
    ws.send_frame(TEXT, b"4\xe2", fin=False)
    ws.send_frame(CONTINUATION, b"\x28\xa1")
    assert ws.close_code() == 1007


def test_a_close_reason_that_is_not_utf8_is_invalid_data(ws):
    ws.send_frame(CLOSE, b"\x03\xe8\xff")
    assert ws.close_code() in (1002, 1007)


def test_a_frame_too_big_is_refused_by_its_header(ws):
    ws.send(frame(BINARY, b"\x00" * 1_000_002)[:14])
    assert ws.close_code() == 1009


def test_fragments_too_big_together_are_refused(ws):
    ws.send_frame(BINARY, b"\x00" * 600_000, fin=False)
    ws.send(frame(CONTINUATION, b"\x00" * 600_000)[:14])
    assert ws.close_code() == 1009


def test_close_is_answered_with_its_code(ws):
    ws.send_frame(CLOSE, (1000).to_bytes(2, "big") + b"bye")
    assert ws.close_code() == 1000
    assert ws.at_end()


def test_close_without_a_code_is_answered(ws):
    ws.send_frame(CLOSE)
    assert ws.close_code() in (None, 1000)
    assert ws.at_end()


def test_nothing_is_taken_after_a_close(ws):
    ws.send(frame(CLOSE, (1000).to_bytes(2, "big")) + frame(TEXT, b"4late"))
    assert ws.receive_frame()[0] == CLOSE
    assert ws.at_end()


def test_a_reset_connection_harms_nobody(engine):
    for _ in range(20):
        session = Socket(engine)
        session.send("x" * 100_000)
        session.ws.reset()
    assert Socket(engine).handshake


def test_half_a_frame_and_the_end_harms_nobody(engine):
    ws = Socket(engine).ws
    ws.send(frame(TEXT, b"4hello")[:-2])
    ws.close()
    assert Socket(engine).handshake


def test_a_long_head_is_refused(engine):
    connection = Connection(engine.address)
    connection.send(b"GET / HTTP/1.1\r\nHost: x\r\nOrigin: https://a.example\r\nX: " + b"x" * 20000)
    response = connection.response()
    assert response.status == 431
