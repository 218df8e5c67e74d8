"""Engine.IO 4: pings at their interval, and what happens without a pong."""

import time

from peer.engine import INTERVAL, PATIENCE, SLACK, Polling, Socket
from peer.websocket import CLOSE, PING, PONG, TEXT


def test_pings_come_at_their_interval_and_pongs_keep_the_session(quick):
    ws = Socket(quick).ws
    for _ in range(3):
        before = time.monotonic()
        assert ws.receive() == "2"
        assert INTERVAL - 0.1 < time.monotonic() - before < INTERVAL + SLACK
        ws.send_message("3")


def test_without_a_pong_the_connection_ends(quick):
    session = Socket(quick)
    before = time.monotonic()
    assert session.ws.receive() == "2"
    session.ws.close_code()
    assert PATIENCE < time.monotonic() - before < INTERVAL + PATIENCE + SLACK


def test_a_busy_session_is_pinged_too(quick):
    ws = Socket(quick).ws
    deadline = time.monotonic() + 2
    while True:
        ws.send_message("4x")
        if ws.receive() == "2":
            break
        assert time.monotonic() < deadline


def test_other_packets_are_no_pong(quick):
    ws = Socket(quick).ws
    before = time.monotonic()
    while ws.receive() != "2":
        pass
    for _ in range(3):
        ws.send_message("4x")
        assert ws.receive() == "4x"
    ws.close_code()
    assert time.monotonic() - before < INTERVAL + PATIENCE + SLACK


def test_pongs_of_websocket_are_no_pongs(quick):
    ws = Socket(quick).ws
    before = time.monotonic()
    while True:
        opcode, payload = ws.receive_frame()
        if opcode == TEXT and payload == b"2":
            ws.send_frame(PONG, b"2")
            ws.send_frame(PING, b"3")
        elif opcode == CLOSE:
            break
    assert time.monotonic() - before < INTERVAL + PATIENCE + SLACK


def test_a_ping_answers_the_waiting_poll(quick):
    session = Polling(quick)
    for _ in range(3):
        assert session.poll().packets == ["2"]
        assert session.post("3").status == 200


def test_without_a_pong_polling_ends(quick):
    session = Polling(quick)
    assert session.poll().packets == ["2"]
    assert session.poll().text in ("1", '{"code":1,"message":"Session ID unknown"}')
    assert session.poll().status == 400


def test_a_client_that_never_polls_is_dropped(quick):
    session = Polling(quick)
    deadline = time.monotonic() + 5
    while session.post("4").status == 200:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert session.poll().json()["code"] == 1
