"""Engine.IO 4: from polling to WebSocket."""

import socket
import time

from peer.engine import INTERVAL, PATH, Polling
from peer.http import Connection, fetch
from peer.websocket import UPGRADE, WebSocket


def probe(session: Polling) -> WebSocket:
    ws = session.candidate()
    ws.send_message("2probe")
    assert ws.receive() == "3probe"
    return ws


def upgrade(session: Polling) -> WebSocket:
    ws = probe(session)
    ws.send_message("5")
    return ws


def test_messages_go_over_websocket_after_the_upgrade(engine):
    session = Polling(engine)
    ws = upgrade(session)
    ws.send_message("4hello")
    assert ws.receive() == "4hello"
    ws.send_message(b"\x01\x02")
    assert ws.receive() == b"\x01\x02"


def test_a_waiting_poll_ends_with_noop(engine):
    session = Polling(engine)
    poll = session.start_poll()
    ws = probe(session)
    assert poll.response().packets == ["6"]
    ws.send_message("5")
    ws.send_message("4x")
    assert ws.receive() == "4x"


def test_every_later_poll_ends_with_noop_too(engine):
    session = Polling(engine)
    ws = probe(session)
    for _ in range(3):
        before = time.monotonic()
        assert session.poll().packets == ["6"]
        assert time.monotonic() - before < 1
    ws.send_message("5")
    ws.send_message("4x")
    assert ws.receive() == "4x"


def test_nothing_is_lost_or_reordered(engine):
    """What is posted between probe and upgrade comes back by poll or by WebSocket, before the rest."""
    session = Polling(engine)
    session.post("4a")
    ws = probe(session)
    session.post("4b\x1e4c")
    received = [packet for packet in session.poll().packets if packet != "6"]
    session.post("4d\x1e4e")
    ws.send_message("5")
    for text in "fgh":
        ws.send_message("4" + text)
    while len(received) < 8:
        received.append(ws.receive())
    assert received == ["4" + text for text in "abcdefgh"]


def test_a_poll_that_waits_when_the_upgrade_completes_is_answered(engine):
    session = Polling(engine)
    ws = session.candidate()
    ws.send_message("2probe")
    assert ws.receive() == "3probe"
    poll = session.start_poll()
    ws.send_message("5")
    ws.send_message("4x")
    assert ws.receive() == "4x"
    assert poll.response().status in (200, 400)


def test_polls_are_refused_after_the_upgrade(engine):
    session = Polling(engine)
    ws = upgrade(session)
    ws.send_message("4x")
    assert ws.receive() == "4x"
    response = session.poll()
    assert (response.status, response.json()["code"]) == (400, 3)
    assert session.post("4y").status == 400
    ws.send_message("4z")
    assert ws.receive() == "4z"


def test_a_second_websocket_is_closed_and_the_session_stays(engine):
    session = Polling(engine)
    ws = upgrade(session)
    ws.send_message("4x")
    assert ws.receive() == "4x"
    second = Connection(engine.address)
    second.request("GET", f"{PATH}&transport=websocket&sid={session.sid}", **UPGRADE)
    while second.fill():
        pass
    ws.send_message("4y")
    assert ws.receive() == "4y"


def test_a_second_candidate_is_closed_and_the_first_goes_on(engine):
    session = Polling(engine)
    ws = probe(session)
    second = Connection(engine.address)
    second.request("GET", f"{PATH}&transport=websocket&sid={session.sid}", **UPGRADE)
    while second.fill():
        pass
    ws.send_message("5")
    ws.send_message("4y")
    assert ws.receive() == "4y"


def test_nonsense_on_the_candidate_closes_only_the_candidate(engine):
    for nonsense in ("4hello", "2", "2prob", "5", "abc", "", b"\x01"):
        session = Polling(engine)
        ws = session.candidate()
        ws.send_message(nonsense)
        ws.close_code()
        session.post("4still")
        assert session.receive() == "still"


def test_a_candidate_that_goes_away_leaves_polling_as_it_was(engine):
    session = Polling(engine)
    ws = probe(session)
    ws.reset()
    session.post("4a")
    assert session.receive() == "a"
    ws = upgrade(session)  # and another may try
    ws.send_message("4x")
    assert ws.receive() == "4x"


def test_a_candidate_that_never_upgrades_is_closed_in_time(start):
    server = start("--engine", "--ping-interval", "25000", "--upgrade-timeout", "300")
    session = Polling(server)
    ws = probe(session)
    before = time.monotonic()
    ws.close_code()
    assert 0.2 < time.monotonic() - before < 1
    session.post("4a")
    assert session.receive() == "a"


def test_a_silent_candidate_is_closed_in_time(start):
    server = start("--engine", "--ping-interval", "25000", "--upgrade-timeout", "300")
    session = Polling(server)
    ws = session.candidate()
    ws.close_code()
    assert session.alive()


def test_a_ping_by_poll_may_be_answered_by_websocket(quick):
    session = Polling(quick)
    assert session.poll().packets == ["2"]
    ws = upgrade(session)
    ws.send_message("3")
    assert ws.receive() == "2"  # the next one: the heart beats on
    ws.send_message("3")
    assert ws.receive() == "2"


def test_no_ping_comes_by_poll_while_upgrading(quick):
    """A client that has paused polling would not see it."""
    session = Polling(quick)
    ws = probe(session)
    until = time.monotonic() + 1.5 * INTERVAL
    while time.monotonic() < until:
        assert session.poll().packets == ["6"]
    ws.send_message("5")
    assert ws.receive() == "2"


def test_an_upgrade_does_not_put_the_ping_off(quick):
    session = Polling(quick)
    opened = time.monotonic()
    time.sleep(0.7 * INTERVAL)
    ws = upgrade(session)
    assert ws.receive() == "2"
    assert time.monotonic() - opened < 1.6 * INTERVAL


def test_an_upgrade_of_a_websocket_session_is_refused(engine):
    ws = WebSocket(engine.address, f"{PATH}&transport=websocket")
    sid = ws.receive().split('"sid":"')[1].split('"')[0]
    second = Connection(engine.address)
    second.request("GET", f"{PATH}&transport=websocket&sid={sid}", **UPGRADE)
    while second.fill():
        pass
    ws.send_message("4x")
    assert ws.receive() == "4x"


def test_an_upgrade_of_an_unknown_session_is_refused(engine):
    response = fetch(engine.address, "GET", f"{PATH}&transport=websocket&sid=nobody", **UPGRADE)
    assert response.status == 400


def test_a_reset_in_the_middle_of_an_upgrade_harms_nobody(engine):
    for _ in range(20):
        session = Polling(engine)
        connection = Connection(engine.address)
        connection.request("GET", f"{PATH}&transport=websocket&sid={session.sid}", **UPGRADE)
        connection.reset()
    assert Polling(engine).alive()


def test_a_close_packet_by_post_while_upgrading_ends_both(engine):
    session = Polling(engine)
    ws = probe(session)
    assert session.post("1").status == 200
    ws.close_code()
    assert session.poll().status == 400


def test_the_end_of_the_websocket_is_the_end_of_the_session(engine):
    session = Polling(engine)
    ws = upgrade(session)
    ws.send_message("4x")
    assert ws.receive() == "4x"
    ws.sock.shutdown(socket.SHUT_RDWR)
    deadline = time.monotonic() + 5
    while session.poll().json()["code"] != 1:
        assert time.monotonic() < deadline
