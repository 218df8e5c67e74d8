"""Awaiting conditions, and ports to listen on."""
import socket
import time

# Generous: a deadline is only reached by a failing test, and sanitizers and busy machines are slow.
DEADLINE = 15.0


def until(condition, what: str, seconds: float = DEADLINE):
    """Polls until condition() is true, and returns its value; for what gives no signal by itself."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:g} s: {what}")
        time.sleep(0.01)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
