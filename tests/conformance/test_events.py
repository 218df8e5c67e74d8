"""Socket.IO 5: events, acks and attachments, over both transports."""

import time

import pytest
from peer.client import PLACEHOLDER, assert_echoes, connect
from peer.engine import Polling, Socket


@pytest.mark.parametrize(
    "args",
    [
        ',1,"2",{"3":[true]}',
        "",
        ",null",
        ',"\u20ac \U0001f600 \\ud83d\\ude00 \\u001e"',
        ",123456789012345678901234567890,0.65,1e400,-0",
        ',{"__proto__":{"a":1},"constructor":2,"a":1,"a":2}',
        ',{"_placeholder":true,"num":0}',
        ',"' + "x" * 100_000 + '"',
    ],
)
def test_arguments_come_back_as_they_were_written(client, args):
    client.send(f'2["message"{args}]')
    assert client.receive() == f'2["message-back"{args}]'


def test_names_may_be_escaped(client):
    client.send('2["m\\u0065ssage",1]')
    assert client.receive() == '2["message-back",1]'


@pytest.mark.parametrize(
    "name", ['"unknown"', '""', "12", '"error"', '"__proto__"', '"\\ud800"', '"msg\\u0000"']
)
def test_an_unknown_event_is_nothing(client, name):
    client.send(f"2[{name},1]")
    client.send(f"29[{name},1]")
    assert_echoes(client)


@pytest.mark.parametrize("id", ["0", "456", "007", "999999999999999"])
def test_an_ack_has_the_id_of_its_event(client, id):
    client.send(f'2{id}["message-with-ack",1,"2",{{"3":[false]}}]')
    assert client.receive() == f'3{int(id)}[1,"2",{{"3":[false]}}]'


def test_an_ack_without_arguments(client):
    client.send('21["message-with-ack"]')
    assert client.receive() == "31[]"


def test_acks_that_nobody_asked_for_are_nothing(client):
    client.send('37["x"]')
    client.send(f"61-7[{PLACEHOLDER % 0}]")
    client.send(b"bytes")
    assert_echoes(client)


def test_three_hundred_thousand_arguments_are_an_event(client):
    args = ",1" * 300_000
    client.send(f'2["message"{args}]')
    assert client.receive() == f'2["message-back"{args}]'


def test_a_client_that_does_not_read_is_dropped(client, server, transport):
    """What waits for one client is bounded; a million events are more than that."""
    client.send('2["burst",1000000]')
    assert client.drained()
    connect(transport(server))


def test_a_thousand_events_keep_their_order(client):
    client.send('2["burst",1000]')
    assert [client.receive() for _ in range(1000)] == [f'2["burst",{i}]' for i in range(1000)]


@pytest.mark.parametrize(
    "packet",
    [
        "",
        "abc",
        "7",
        "2",
        "2{}",
        "2[]",
        "2[null]",
        '2[{"toString":"x"}]',
        "2[[]]",
        "2[true]",
        '2"x"',
        '2["message"',
        '2["message",]',
        '2["message"]]',
        '2abc["message",1]',
        '2-1["message"]',
        '21000000000000000["message"]',
        '2["connect"]',
        '2["connect_error"]',
        '2["disconnect"]',
        '2["disconnecting"]',
        '2["newListener"]',
        '2["removeListener"]',
        '2["\\u0063onnect"]',
        "3[]",
        "37",
        "37{}",
        '4{"message":"x"}',
        "1{}",
        "11",
        "2" + "[" * 100 + "]" * 100,
        '2["message",NaN]',
        "2['message']",
        '2["message" 1]',
        "2/unknown,[1]",
    ],
)
def test_a_malformed_packet_ends_the_session(client, packet):
    client.send(packet)
    assert client.closed()


def test_a_separator_in_json_ends_the_session(server):
    """Over polling it could not be answered."""
    session = Socket(server)
    connect(session)
    session.send('2["message","\x1e"]')
    assert session.closed()


# Attachments


@pytest.mark.parametrize(
    "parts", [[b"\x01\x02\x03", b"\x04\x05\x06"], [b""], [bytes(range(256)) * 300] * 3, [b"x"] * 10]
)
def test_attachments_come_back_behind_their_event(client, parts):
    args = ",".join(PLACEHOLDER % i for i in range(len(parts)))
    client.send_all([f'5{len(parts)}-["message",{args}]', *parts])
    received = [client.receive() for _ in range(1 + len(parts))]
    assert received == [f'5{len(parts)}-["message-back",{args}]', *parts]


def test_attachments_come_back_in_an_ack(client):
    args = f'{{"deep":[{PLACEHOLDER % 1}]}},{PLACEHOLDER % 0}'
    client.send_all([f'52-789["message-with-ack",{args}]', b"a", b"b"])
    assert [client.receive() for _ in range(3)] == [f"62-789[{args}]", b"a", b"b"]


def test_attachments_in_another_namespace(fresh):
    connect(fresh, "/custom")
    fresh.send_all([f'51-/custom,["message",{PLACEHOLDER % 0}]', b"a"])
    assert fresh.receive() == f'51-/custom,["message-back",{PLACEHOLDER % 0}]'
    assert fresh.receive() == b"a"


def test_one_post_may_hold_an_event_and_its_attachments(server):
    session = Polling(server)
    connect(session)
    session.post(f'451-["message",{PLACEHOLDER % 0}]\x1ebAQID\x1e42["message",2]')
    assert session.receive() == f'51-["message-back",{PLACEHOLDER % 0}]'
    assert session.receive() == b"\x01\x02\x03"
    assert session.receive() == '2["message-back",2]'


def test_no_attachments_are_a_complete_packet(client):
    client.send('50-["message",1]')
    assert client.receive() == '2["message-back",1]'


@pytest.mark.parametrize(
    "count", ["11", "99999", "99999999999999999999999", "", "x", "-1", "1.5", "1e1"]
)
def test_a_wrong_number_of_attachments_is_refused_at_once(client, count):
    client.send(f'5{count}-["message"]')
    assert client.closed()


@pytest.mark.parametrize(
    "num", ["1", "-1", '"0"', "0.5", "null", '"splice"', "[0]", "{}", "1e0", "18446744073709551616"]
)
def test_a_placeholder_refers_to_an_attachment(client, num):
    client.send(f'51-["message",{{"_placeholder":true,"num":{num}}}]')
    assert client.closed()


def test_a_placeholder_has_a_number(client):
    client.send('51-["message",[{"_placeholder":true}]]')
    assert client.closed()


def test_text_between_attachments_ends_the_session(client):
    client.send_all(['52-["message",1]', b"a", '2["message",2]'])
    assert client.closed()


def test_bytes_without_a_packet_end_the_session(client):
    client.send(b"a")
    assert client.closed()


def test_bytes_too_many_end_the_session(client):
    client.send_all(['51-["message",1]', b"a", b"b"])
    assert client.receive() == '51-["message-back",1]'
    assert client.receive() == b"a"
    assert client.closed()


def test_attachments_that_never_come_end_the_session(client):
    before = time.monotonic()
    client.send_all(['52-["message",1]', b"a"])
    assert client.closed()
    assert 0.3 < time.monotonic() - before < 2


def test_attachments_are_bounded_together(client):
    client.send_all(['52-["message",1]', b"a" * 600_000, b"b" * 600_000])
    assert client.closed()


# From polling to WebSocket


def test_events_survive_an_upgrade_in_order(server):
    session = Polling(server)
    connect(session)
    session.post('42["burst",300]')
    received = [packet[1:] for packet in session.poll().packets]
    ws = session.candidate()
    ws.send_message("2probe")
    assert ws.receive() == "3probe"
    received += [packet[1:] for packet in session.poll().packets if packet != "6"]
    session.post('42["message","posted"]')
    ws.send_message("5")
    ws.send_message('42["message","sent"]')
    while len(received) < 302:
        received.append(ws.receive()[1:])
    events = [f'2["burst",{i}]' for i in range(300)]
    assert received == [*events, '2["message-back","posted"]', '2["message-back","sent"]']


def test_attachments_survive_an_upgrade(server):
    session = Polling(server)
    connect(session)
    ws = session.candidate()
    ws.send_message("2probe")
    assert ws.receive() == "3probe"
    session.post(f'452-["message",{PLACEHOLDER % 0},{PLACEHOLDER % 1}]\x1ebAQID')
    ws.send_message("5")
    ws.send_message(b"\x04")
    assert ws.receive() == f'452-["message-back",{PLACEHOLDER % 0},{PLACEHOLDER % 1}]'
    assert ws.receive() == b"\x01\x02\x03"
    assert ws.receive() == b"\x04"
