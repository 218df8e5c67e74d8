"""The proxy does to connections what it is told, and nothing else."""
import socket
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.dont_write_bytecode = True

from faults.proxies import Proxies  # noqa: E402


class Echo:
    """Answers what it gets, and remembers it."""

    def __init__(self):
        self.server = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.address, self.heard = self.server.getsockname(), bytearray()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            connection, _ = self.server.accept()
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection) -> None:
        try:
            while data := connection.recv(65536):
                self.heard += data
                connection.sendall(data)
        except OSError:
            pass


def come(route) -> socket.socket:
    return socket.create_connection((route.host, route.port), timeout=2)


def says(client, data: bytes = b"hello") -> bytes:
    client.sendall(data)
    answer = b""
    while len(answer) < len(data):
        answer += client.recv(65536) or b"?"
    return answer


def silent(client, seconds: float = 0.2) -> bool:
    client.settimeout(seconds)
    try:
        client.recv(1)
        return False
    except TimeoutError:
        return True
    finally:
        client.settimeout(2)


def ended(client) -> str:
    try:
        return "fin" if client.recv(1) == b"" else "data"
    except ConnectionResetError:
        return "rst"


def test_passes_on(proxies, echo):
    route = proxies.open("pass", [echo.address])
    clients = [come(route) for _ in range(50)]
    assert all(says(client) == b"hello" for client in clients)
    block = bytes(1 << 20)
    sender = threading.Thread(target=clients[0].sendall, args=(block,))
    sender.start()
    got = 0
    while got < len(block):
        got += len(clients[0].recv(1 << 16))
    sender.join()
    assert route.count() == 50
    clients[0].close()


def test_cuts(proxies, echo):
    route = proxies.open("cut", [echo.address])
    for how in ("rst", "fin"):
        client = come(route)
        assert says(client) == b"hello" and route.cut(how) == 1 and ended(client) == how
    crowd = [come(route) for _ in range(40)]
    assert all(says(client) == b"hello" for client in crowd) and route.cut(share=0.5) == 20 and route.count() == 20


def test_stalls_and_goes_on(proxies, echo):
    route = proxies.open("stall", [echo.address])
    old = come(route)
    says(old)
    route.stall()
    old.sendall(b"a")
    new = come(route)
    new.sendall(b"b")
    assert silent(old) and silent(new)
    route.heal()
    assert old.recv(1) == b"a" and new.recv(1) == b"b"


def test_swallows_and_cuts_when_it_heals(proxies, echo):
    route = proxies.open("swallow", [echo.address])
    client = come(route)
    says(client)
    route.swallow()
    client.sendall(b"lost")
    assert silent(client) and b"lost" not in echo.heard
    route.heal()
    assert ended(client) == "rst"
    assert says(come(route)) == b"hello"


def test_delays_in_order(proxies, echo):
    route = proxies.open("delay", [echo.address])
    client = come(route)
    says(client)
    route.delay(100)
    began = time.monotonic()
    assert says(client, b"1") == b"1" and time.monotonic() - began > 0.19
    client.sendall(b"2")
    time.sleep(0.02)
    route.heal()
    client.sendall(b"3")
    assert client.recv(1) + client.recv(1) == b"23"


def test_refuses(proxies, echo):
    route = proxies.open("refuse", [echo.address])
    route.refuse()
    try:
        assert ended(come(route)) == "rst"
    except ConnectionResetError:
        pass
    route.heal()
    assert says(come(route)) == b"hello"


def test_takes_a_target_that_answers(proxies, echo):
    route = proxies.open("balance", [("127.0.0.1", 1), echo.address])
    assert all(says(come(route)) == b"hello" for _ in range(10))
    route.targets([("127.0.0.1", 1)])
    assert ended(come(route)) == "rst"


def test_traps_spring_once_at_their_step(proxies, echo):
    route = proxies.open("trap", [echo.address])
    for step, arrives in (("before", b""), ("middle", b"01234"), ("sent", b"0123456789"), ("reply", b"0123456789")):
        client = come(route)
        says(client)
        echo.heard.clear()
        route.trap(step)
        client.sendall(b"0123456789")
        assert ended(client) == "rst", step
        time.sleep(0.05)
        assert (bytes(echo.heard), route.trapped()) == (arrives, True), step
        assert says(come(route)) == b"hello"


if __name__ == "__main__":
    for name, test in sorted(globals().copy().items()):
        if name.startswith("test_"):
            ours = Proxies()
            try:
                test(ours, Echo())
            finally:
                ours.stop()
            print("ok", name)
