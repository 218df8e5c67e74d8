"""Socket.IO 5: who is connected to what, over both transports."""

import json
import re
import time

import pytest
from peer.client import PLACEHOLDER, assert_echoes, connect
from conftest import CALM
from peer.engine import PATH, Polling
from peer.http import fetch

# CONNECT


def test_connect_is_answered_with_an_id_of_its_own(fresh):
    sid = connect(fresh)
    assert re.fullmatch(r"[A-Za-z0-9_-]{20}", sid)
    assert sid != fresh.sid and fresh.sid not in sid


@pytest.mark.parametrize(
    "auth", ["{}", '{"token":"123"}', '{"a":{"__proto__":[1.10,0.65]},"b":"\u20ac"}']
)
def test_auth_arrives_as_it_was_written(fresh, auth):
    connect(fresh, auth=auth)


def test_each_namespace_has_its_own_socket(fresh):
    assert connect(fresh) != connect(fresh, "/custom", '{"token":"abc"}')
    fresh.send('2/custom,7["message-with-ack",1]')
    assert fresh.receive() == "3/custom,7[1]"
    fresh.send('27["message-with-ack",2]')
    assert fresh.receive() == "37[2]"


def test_namespace_without_the_comma(fresh):
    fresh.send("0/custom")
    assert fresh.receive().startswith('0/custom,{"sid":"')


def test_a_query_behind_the_namespace_is_left_out(fresh):
    fresh.send('0/custom?token=abc,{"a":1}')
    assert fresh.receive().startswith('0/custom,{"sid":"')
    assert fresh.receive() == '2/custom,["auth",{"a":1}]'


@pytest.mark.parametrize("name", ["/random", "/custom/", "/Custom", "/\u00e9"])
def test_an_unknown_namespace_is_refused_and_harms_nobody(client, name):
    client.send(f"0{name}")
    assert client.receive() == f'4{name},{{"message":"Invalid namespace"}}'
    assert_echoes(client)


def test_a_refused_client_may_try_again(fresh):
    fresh.send('0{"refuse":"not you"}')
    assert fresh.receive() == '4{"message":"not you","data":{"code":7}}'
    connect(fresh)
    assert_echoes(fresh)


def test_events_may_come_before_the_answer(fresh):
    fresh.send('0{"early":1}')
    assert fresh.receive() == '2["early"]'
    assert fresh.receive().startswith("0{")


def test_the_private_id_of_recovery_is_told(fresh):
    fresh.send('0{"pid":"abc_-"}')
    assert json.loads(fresh.receive()[1:])["pid"] == "abc_-"


def test_the_authorization_header_is_known(server, transport):
    session = transport(server, Authorization="Bearer abc.def.ghi")
    connect(session, auth='{"header":true}')
    assert session.receive() == '2["authorization","Bearer abc.def.ghi"]'
    session.send("1")
    connect(session, "", '{"header":1}')
    assert session.receive() == '2["authorization","Bearer abc.def.ghi"]'


@pytest.mark.parametrize(
    "first",
    [
        "",
        "abc",
        "1",
        '2["message",1]',
        "37[]",
        '4{"message":"x"}',
        '51-["message",{}]',
        '2/custom,["message"]',
        "1/custom,",
        "7",
        "0[]",
        "0null",
        "0 {",
        '0{"a":}',
        "0{}x",
        '0"x"',
        "01{}",
        "0/" + "n" * 1000,
    ],
)
def test_the_first_packet_has_to_be_a_good_connect(fresh, first):
    fresh.send(first)
    assert fresh.closed()


def test_bytes_are_no_connect(fresh):
    fresh.send(b"0")
    assert fresh.closed()


def test_a_second_connect_ends_the_session(client):
    client.send("0")
    assert client.closed()


def test_other_packets_wait_for_the_answer_to_connect(fresh):
    fresh.send('0{"later":true}')
    fresh.send('2["message",1]')
    assert fresh.closed()


def test_one_namespace_opens_no_other(client):
    client.send('2/custom,["message",1]')
    assert client.closed()


# Time to connect


def test_without_a_connect_the_session_ends(hasty, transport):
    before = time.monotonic()
    assert transport(hasty).closed()
    assert 0.3 < time.monotonic() - before < 1.5


def test_a_connect_that_is_never_answered_ends_too(hasty, transport):
    session = transport(hasty)
    session.send('0{"later":true}')
    assert session.closed()


def test_a_refused_connect_does_not_stop_the_clock(hasty, transport):
    session = transport(hasty)
    session.send("0/random")
    session.send('0{"refuse":"x"}')
    assert session.drained()


def test_a_session_whose_sockets_have_left_ends(hasty, transport):
    session = transport(hasty)
    connect(session)
    session.send("1")
    assert session.closed()


def open_sid(address) -> str | None:
    """The sid of a new polling session; None where there is no place."""
    response = fetch(address, "GET", f"{PATH}&transport=polling")
    return json.loads(response.text[1:])["sid"] if response.status == 200 else None


def test_places_that_nobody_connected_on_go_to_newcomers(start):
    server = start(*CALM, "--max-sessions", "2")
    connected = Polling(server)
    connect(connected)
    idler = open_sid(server.address)
    assert open_sid(server.address) is None, "the idler has not had its time yet"
    end = time.monotonic() + 5
    while (newcomer := open_sid(server.address)) is None:
        assert time.monotonic() < end, "the idler was never displaced"
    for sid, status in ((idler, 400), (newcomer, 200)):
        post = fetch(server.address, "POST", f"{PATH}&transport=polling&sid={sid}", body="40")
        assert post.status == status
    assert_echoes(connected)


def test_a_connected_client_may_be_silent(hasty, transport):
    session = transport(hasty)
    connect(session)
    time.sleep(0.8)  # twice the time to connect
    assert_echoes(session)


# DISCONNECT


def test_a_client_leaves_one_namespace_and_keeps_the_other(client):
    connect(client, "/custom")
    client.send("1/custom")
    assert_echoes(client)
    connect(client, "/custom")
    client.send('2/custom,["message",1]')
    assert client.receive() == '2/custom,["message-back",1]'


def test_a_client_may_leave_and_come_back(client):
    client.send("1")
    connect(client)
    assert_echoes(client)


def test_leaving_and_coming_back_in_one_payload(server):
    session = Polling(server)
    connect(session)
    session.post('41\x1e40\x1e42["message",1]')
    assert session.receive().startswith("0{")
    assert session.receive() == '2["auth",{}]'
    assert session.receive() == '2["message-back",1]'


def test_packets_after_leaving_end_the_session(client):
    client.send("1")
    client.send('2["message",1]')
    assert client.closed()


def test_a_client_sent_away_is_told(client):
    client.send('2["disconnect-me"]')
    assert client.receive() == "1"
    connect(client)  # it may come back if it must
    assert_echoes(client)


def test_what_was_on_its_way_to_a_socket_sent_away_is_nothing(client):
    connect(client, "/custom")
    client.send('2/custom,["disconnect-me"]')
    client.send('2/custom,["message",1]')
    client.send(f'51-/custom,["message",{PLACEHOLDER % 0}]')
    client.send(b"a")
    client.send("1/custom")
    assert client.receive() == "1/custom,"
    assert_echoes(client)


def test_a_client_is_sent_away_once(client):
    client.send('2["disconnect-twice",1]')
    assert client.receive() == "1"
    connect(client)


def test_ends_in_one_payload(server):
    session = Polling(server)
    connect(session)
    session.post('42["disconnect-me"]\x1e40\x1e42["disconnect-me"]\x1e40')
    received = [session.receive() for _ in range(6)]
    assert [packet[0] for packet in received] == ["1", "0", "2", "1", "0", "2"]


def test_sessions_of_sockets_sent_away_end(hasty, transport):
    session = transport(hasty)
    connect(session)
    session.send('2["disconnect-me"]')
    assert session.receive() == "1"
    assert session.closed()
