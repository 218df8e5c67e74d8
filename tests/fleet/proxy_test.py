"""The proxy of the fleet's proofs gives each request to the next server, and does nothing else to it."""
import os
import socket
import sys
import tempfile
import threading
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "faults"), str(HERE.parent / "integration"), str(HERE.parent / "conformance")]
sys.dont_write_bytecode = True
if len(sys.argv) > 1:
    os.environ["BUILD_DIR"] = sys.argv[1]

from fleet.proxies import Ours  # noqa: E402
from harness.wait import free_port, until  # noqa: E402
from peer.http import Connection  # noqa: E402


class Server:
    """Answers every request with its name, the method and the body; `act` may do something else with a connection."""

    def __init__(self, name: str, act=None, port: int = 0):
        self.name, self.act, self.heads, self.connections = name, act, [], []
        self.listener = socket.create_server(("127.0.0.1", port))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.connections.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        stream = connection.makefile("rwb")
        while head := self._head(stream):
            self.heads.append(head)
            length = next((int(line.split(":")[1]) for line in head if line.lower().startswith("content-length")), 0)
            body = stream.read(length)
            if self.act:
                self.act(connection, stream)
                return
            said = f"{self.name} {head[0].split(' ')[0]} ".encode() + body
            stream.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(said), said))
            stream.flush()

    @staticmethod
    def _head(stream) -> list[str]:
        lines = []
        while (line := stream.readline().decode().rstrip("\r\n")) or not lines:
            if not line:
                return []
            lines.append(line)
        return lines

    def close(self) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for connection in self.connections:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


def ask(client: Connection, method: str = "GET", body=None, **headers) -> str:
    client.request(method, "/", body, **headers)
    response = client.response()
    return response.text if response.status == 200 else str(response.status)


class Scene:
    def __init__(self, *servers: Server):
        self.servers = servers
        self.directory = tempfile.TemporaryDirectory(prefix="guesslyfe-fleet-proxy-")

    def __enter__(self):
        self.proxy = Ours(Path(self.directory.name), [server.port for server in self.servers])
        return self

    def come(self) -> Connection:
        return Connection(("127.0.0.1", self.proxy.port))

    def __exit__(self, *_):
        self.proxy.stop()
        for server in self.servers:
            server.close()
        self.directory.cleanup()


def hang_up(connection, stream) -> None:
    connection.shutdown(socket.SHUT_RDWR)


def tunnel(connection, stream) -> None:
    """Sends back what comes, in capitals, until `bye`."""
    stream.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nhello")
    stream.flush()
    while data := connection.recv(65536):
        connection.sendall(data.upper())
        if data.endswith(b"bye"):
            connection.shutdown(socket.SHUT_RDWR)
            return


def test_requests_of_one_connection_go_round():
    with Scene(Server("a"), Server("b"), Server("c")) as scene:
        client = scene.come()
        assert [ask(client)[0] for _ in range(6)] == list("abcabc")
        assert [len(server.connections) for server in scene.servers] == [1, 1, 1]  # kept


def test_bodies_pass_in_pieces_and_empty():
    with Scene(Server("a")) as scene:
        client = scene.come()
        big = "x" * 300_000
        assert ask(client, "POST", big) == "a POST " + big
        assert ask(client, "POST", "") == "a POST "
        for byte in b"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\nhi":
            client.send(bytes([byte]))
        assert client.response().text == "a POST hi"


def test_a_client_that_wants_to_close_is_closed():
    with Scene(Server("a")) as scene:
        client = scene.come()
        assert ask(client, Connection="close") == "a GET " and client.at_end()
        assert not any("close" in line for line in scene.servers[0].heads[0])


def test_a_server_that_refuses_is_passed_over_and_found_again():
    port = free_port()
    with Scene(Server("a")) as scene:
        scene.proxy.point([port, scene.servers[0].port])
        client = scene.come()
        assert {ask(client, "POST", "x") for _ in range(20)} == {"a POST x"}
        assert 0 < scene.proxy.counts().tried_again < 20
        late = Server("late", port=port)
        until(lambda: ask(client).startswith("late"), "the server that came back is found")
        late.close()


def test_without_any_server_it_says_so():
    with Scene(Server("a")) as scene:
        scene.proxy.point([free_port(), free_port()])
        assert ask(scene.come()) == "502"
        scene.proxy.point([])
        assert ask(scene.come()) == "502"


def test_only_a_get_is_asked_for_again():
    with Scene(Server("a", hang_up), Server("b")) as scene:
        client = scene.come()
        assert [ask(client) for _ in range(4)] == ["b GET "] * 4
        answers = {ask(scene.come(), "POST", "x") for _ in range(4)}
        assert answers == {"502", "b POST x"}


def test_a_websocket_is_a_tunnel_until_either_side_ends_it():
    with Scene(Server("a", tunnel)) as scene:
        client = scene.come()
        client.request("GET", "/", Upgrade="websocket", Connection="Upgrade")
        assert client.take_head()[0] == 101 and client.take(5) == b"hello"
        big = b"y" * 3_000_000
        sender = threading.Thread(target=client.send, args=(big,))
        sender.start()
        assert client.take(len(big)) == big.upper()
        sender.join()
        client.send(b"bye")
        assert client.take(3) == b"BYE" and client.at_end()
        assert scene.proxy.counts().tunnels[scene.servers[0].port] == 1


def test_a_client_that_leaves_takes_its_request_along():
    left = threading.Event()

    def wait(connection, stream) -> None:
        if not connection.recv(1):
            left.set()

    with Scene(Server("a", wait)) as scene:
        client = scene.come()
        client.request("GET", "/")
        until(lambda: scene.servers[0].heads, "the request arrives")
        client.close()
        assert left.wait(5)


def test_nonsense_is_refused():
    with Scene(Server("a")) as scene:
        client = scene.come()
        client.send(b"what?\r\n\r\n")
        assert client.response().status == 400 and client.at_end()


if __name__ == "__main__":
    for name, test in sorted(globals().items()):
        if name.startswith("test_"):
            test()
            print("ok", name)
