"""Engine.IO 4: handshake, polling, payloads, messages."""

import base64
import re
import time

import pytest
from peer.engine import PATH, Polling, Socket
from peer.http import Connection, fetch
from peer.websocket import UPGRADE, WebSocket

HANDSHAKE = f"{PATH}&transport=polling"


# Handshake


def test_polling_handshake_tells_everything(engine):
    response = fetch(engine.address, "GET", HANDSHAKE)
    assert response.status == 200
    assert response.headers["content-type"].lower() == "text/plain; charset=utf-8"
    assert "no-store" in response.headers["cache-control"]
    assert "set-cookie" not in response.headers
    opened = Polling(engine).handshake
    assert opened == {
        "sid": opened["sid"],
        "upgrades": ["websocket"],
        "pingInterval": 25000,
        "pingTimeout": 20000,
        "maxPayload": 1000000,
    }
    assert re.fullmatch(r"[A-Za-z0-9_-]{20,}", opened["sid"])


def test_websocket_handshake_offers_no_upgrade(engine):
    opened = Socket(engine).handshake
    assert opened["upgrades"] == []
    assert set(opened) == {"sid", "upgrades", "pingInterval", "pingTimeout", "maxPayload"}


def test_sids_differ(engine):
    assert len({Polling(engine).sid for _ in range(20)}) == 20


@pytest.mark.parametrize(
    "target",
    [
        "/socket.io?EIO=4&transport=polling",
        "/socket.io/?transport=polling&EIO=4",
        f"{HANDSHAKE}&t=PxYz1&b64=1&user=a%20b&=&x",
    ],
)
def test_variants_of_the_address_are_taken(engine, target):
    assert fetch(engine.address, "GET", target).text.startswith("0{")


@pytest.mark.parametrize(
    "method, query, status, code",
    [
        ("GET", "EIO=4", 400, 0),
        ("GET", "EIO=4&transport=", 400, 0),
        ("GET", "EIO=4&transport=abc", 400, 0),
        ("GET", "EIO=4&transport=constructor", 400, 0),
        ("GET", "EIO=4&transport=polling&sid=unknown", 400, 1),
        ("POST", "EIO=4&transport=polling&sid=unknown", 400, 1),
        ("POST", "EIO=4&transport=polling", 400, 2),
        ("PUT", "EIO=4&transport=polling", 400, 2),
        ("GET", "EIO=4&transport=websocket", 400, 3),
        ("GET", "EIO=4&transport=polling&j=0", 400, 3),
        ("GET", "transport=polling", 400, 5),
        ("GET", "EIO=3&transport=polling", 400, 5),
        ("GET", "EIO=abc&transport=polling", 400, 5),
    ],
)
def test_refusals_have_a_code(engine, method, query, status, code):
    response = fetch(engine.address, method, f"/socket.io/?{query}", Origin="https://a.example")
    assert response.status == status
    assert response.headers["content-type"].startswith("application/json")
    assert response.json()["code"] == code
    assert response.json()["message"]
    assert response.headers["access-control-allow-origin"] == "https://a.example"


@pytest.mark.parametrize("query", ["transport=websocket", "EIO=3&transport=websocket", "EIO=4"])
def test_refused_websockets_end(engine, query):
    connection = Connection(engine.address)
    connection.request("GET", f"/socket.io/?{query}", **UPGRADE)
    assert connection.response().status == 400
    assert connection.at_end()


def test_another_path_is_not_found(engine):
    assert fetch(engine.address, "GET", "/socket.iox/?EIO=4&transport=polling").status == 404
    assert fetch(engine.address, "GET", "/").status == 404


def test_one_session_too_many_is_told_to_wait(start):
    server = start("--engine", "--max-sessions", "1")
    first = Socket(server)
    assert fetch(server.address, "GET", HANDSHAKE).status == 503
    first.ws.send_message("1")
    assert first.closed()
    assert Socket(server).handshake


# Polling


def test_post_is_answered_with_ok(engine):
    session = Polling(engine)
    response = session.post("4hello")
    assert (response.status, response.text) == (200, "ok")
    assert response.headers["content-type"].startswith("text/html")
    assert "no-store" in response.headers["cache-control"]
    assert session.poll().packets == ["4hello"]


def test_packets_of_a_payload_keep_their_order(engine):
    session = Polling(engine)
    session.post("4one\x1e4\x1ebAQIDBA==\x1e4zw\u00f6lf \U0001f600")
    assert session.poll().packets == ["4one", "4", "bAQIDBA==", "4zw\u00f6lf \U0001f600"]


def test_base64_may_be_broken_into_lines(engine):
    session = Polling(engine)
    data = bytes(range(200))
    session.post(b"b" + base64.encodebytes(data))
    assert session.receive() == data


def test_a_waiting_poll_is_answered_at_once(engine):
    session = Polling(engine)
    poll = session.start_poll()
    session.post("4hello")
    assert poll.response().packets == ["4hello"]


def test_a_poll_has_sixteen_packets_at_most(engine):
    session = Polling(engine)
    session.post("\x1e".join(f"4{i}" for i in range(50)))
    received = []
    while len(received) < 50:
        packets = session.poll().packets
        assert len(packets) <= 16
        received += packets
    assert received == [f"4{i}" for i in range(50)]


def test_a_poll_is_bounded_in_bytes(engine):
    session = Polling(engine)
    for i in range(12):
        session.post("4" + chr(65 + i) * 200_000)
    received = []
    while len(received) < 12:
        answer = session.poll()
        assert len(answer.body) <= 1_000_000
        received += answer.packets
    assert [packet[1] for packet in received] == [chr(65 + i) for i in range(12)]


def test_requests_may_share_a_connection_and_be_pipelined(engine):
    session = Polling(engine)
    connection = Connection(engine.address)
    for text in ("4a", "4b"):
        connection.request("POST", session.target, text)
        connection.request("GET", session.target)
    answers = [connection.response().text for _ in range(4)]
    assert answers == ["ok", "4a", "ok", "4b"]


def test_the_largest_payload_is_taken_and_a_larger_one_is_not(engine):
    session = Polling(engine)
    assert session.post("4" + "x" * 999_999).status == 200
    assert len(session.poll().text) == 1_000_000
    response = session.post("4" + "x" * 1_000_000, Origin="https://a.example")
    assert response.status == 413
    assert response.headers["access-control-allow-origin"] == "https://a.example"


@pytest.mark.parametrize(
    "payload",
    [
        b"abc",
        b"9",
        b"4ok\x1e",
        b"4ok\x1e\x1e4ok",
        b"",
        b"4\xff",
        b"4\xed\xa0\x80",
        b"bA",
        b"b@@@@",
        b"bAQID=BA=",
    ],
)
def test_a_malformed_payload_ends_the_session(engine, payload):
    session = Polling(engine)
    assert session.post(payload).status == 400
    assert session.poll().status == 400


@pytest.mark.parametrize("payload", ["2", "2probe"])
def test_a_ping_in_the_wrong_direction_ends_the_session(engine, payload):
    session = Polling(engine)
    session.post(payload)
    assert session.poll().status == 400


def test_what_stands_before_a_malformed_packet_counts_for_nothing_more(engine):
    session = Polling(engine)
    assert session.post("4good\x1eabc").status == 400
    assert session.post("4late").status == 400


def test_too_many_packets_in_a_payload_end_the_session(engine):
    session = Polling(engine)
    assert session.post("\x1e".join(["4"] * 1001)).status in (400, 413)
    assert session.poll().status == 400


def test_binary_content_ends_the_session(engine):
    session = Polling(engine)
    response = session.post(b"\x01\x02", Content_Type="application/octet-stream")
    assert response.status == 400
    assert session.poll().status == 400


def test_a_second_poll_ends_the_session(engine):
    session = Polling(engine)
    first = session.start_poll()
    assert session.post("3").status == 200  # the poll before it has arrived
    assert session.poll().status == 400
    assert first.response().packets == ["1"]
    assert session.poll().status == 400


def begin_post(session, length: int) -> Connection:
    """A POST of which the server has read the head, and not yet any of the body."""
    connection = Connection(session.address)
    connection.send(f"POST {session.target} HTTP/1.1\r\nHost: localhost\r\n"
                    f"Content-Length: {length}\r\nExpect: 100-continue\r\n\r\n".encode())
    assert connection.take_head()[0] == 100
    return connection


def test_a_second_post_ends_the_session(engine):
    session = Polling(engine)
    first = begin_post(session, 6)
    assert session.post("4hello").json()["code"] == 3
    first.send(b"4hello")
    assert first.response().json()["code"] == 1
    assert session.poll().status == 400


def test_a_second_post_ends_the_session_before_its_body_has_come(engine):
    session = Polling(engine)
    first = begin_post(session, 6)
    second = Connection(session.address)
    second.send(f"POST {session.target} HTTP/1.1\r\nHost: localhost\r\n"
                "Content-Length: 900000\r\n\r\n".encode())
    assert second.response().status == 400 and second.at_end()
    assert session.poll().status == 400
    first.close()


def test_a_post_that_failed_makes_room_for_another(engine):
    session = Polling(engine)
    first = Connection(session.address)
    first.send(f"POST {session.target} HTTP/1.1\r\nHost: localhost\r\n"
               "Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n".encode())
    assert first.take_head()[0] == 100
    first.send(b"no chunk\r\n")
    assert first.response().status == 400
    assert session.post("4hello").status == 200
    assert session.poll().packets == ["4hello"]


def test_one_post_after_another_in_pieces(engine):
    session = Polling(engine)
    for number in range(3):
        connection = begin_post(session, 2)
        connection.send(b"4")
        connection.send(str(number).encode())
        assert connection.response().text == "ok"
        assert session.poll().packets == [f"4{number}"]


def test_a_body_that_nobody_wants_is_not_waited_for(engine):
    for target in (f"{PATH}&transport=polling&sid=unknown", f"{PATH}&transport=polling"):
        connection = Connection(engine.address)
        connection.send(f"POST {target} HTTP/1.1\r\nHost: localhost\r\n"
                        "Content-Length: 900000\r\n\r\n".encode())
        assert connection.response().status == 400 and connection.at_end()


def test_a_poll_given_up_ends_the_session(engine):
    session = Polling(engine)
    poll = session.start_poll()
    assert session.post("3").status == 200
    poll.close()
    deadline = time.monotonic() + 5
    while session.post("3").status == 200:
        assert time.monotonic() < deadline
    assert session.poll().status == 400


def test_close_packet_ends_the_session(engine):
    session = Polling(engine)
    poll = session.start_poll()
    assert session.post("3").status == 200  # the poll before it has arrived
    assert session.post("1").status == 200
    assert poll.response().packets == ["6"]
    assert session.poll().json()["code"] == 1


def test_other_methods_are_refused_and_harm_nobody(engine):
    session = Polling(engine)
    assert fetch(engine.address, "PUT", session.target, "4x").status >= 400
    assert fetch(engine.address, "DELETE", session.target).status >= 400
    assert session.alive()


# Messages over WebSocket


@pytest.mark.parametrize("size", [0, 1, 124, 125, 126, 65534, 65535, 65536, 999_999])
def test_messages_of_every_length_come_back(engine, size):
    session = Socket(engine)
    session.send("x" * size)
    assert session.receive() == "x" * size
    session.send(b"\x00" * size)
    assert session.receive() == b"\x00" * size


@pytest.mark.parametrize("packet", ["abc", "", "9", "2", "2probe"])
def test_a_malformed_packet_ends_the_session(engine, packet):
    session = Socket(engine)
    session.ws.send_message(packet)
    assert session.closed()


def test_close_packet_ends_the_connection(engine):
    session = Socket(engine)
    session.ws.send_message("1")
    assert session.closed()


def test_a_message_may_come_in_the_segment_of_the_handshake(engine):
    connection = WebSocket.__new__(WebSocket)
    Connection.__init__(connection, engine.address)
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in UPGRADE.items()]
    head = [f"GET {PATH}&transport=websocket HTTP/1.1", "Host: localhost", *lines, "", ""]
    connection.send("\r\n".join(head).encode() + b"\x81\x83\x00\x00\x00\x004hi")
    assert connection.take_head()[0] == 101
    assert connection.receive()[0] == "0"
    assert connection.receive() == "4hi"
