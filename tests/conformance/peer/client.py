"""What a Socket.IO client does first, over either transport."""

import json

PLACEHOLDER = '{"_placeholder":true,"num":%d}'


def connect(session, namespace: str = "", auth: str = "") -> str:
    """Its Socket.IO sid; the echo server's event "auth" has been read too."""
    prefix = f"{namespace}," if namespace else ""
    session.send(f"0{prefix}{auth}")
    answer = session.receive()
    assert answer.startswith(f"0{prefix}{{"), answer
    assert session.receive() == f'2{prefix}["auth",{auth or "{}"}]'
    opened = json.loads(answer[1 + len(prefix) :])
    assert set(opened) == {"sid"}
    return opened["sid"]


def assert_echoes(session, text: str = "still here") -> None:
    session.send(f'2["message","{text}"]')
    assert session.receive() == f'2["message-back","{text}"]'
