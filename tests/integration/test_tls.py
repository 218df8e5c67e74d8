"""TLS towards clients: official clients, certificates that are renewed, and strangers."""
import json
import signal
import socket
import ssl
import subprocess
from pathlib import Path

import pytest

from conftest import trade_data
from harness import publishing
from harness.certificates import Certificates
from harness.clients import settle
from harness.gateway import GATEWAY, SECRET, environment
from harness.raw import HANDSHAKE, Http, RawClient
from harness.tokens import mint
from harness.wait import DEADLINE, until

POLLING, WEBSOCKET, UPGRADE = ["polling"], ["websocket"], ["polling", "websocket"]


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def gateway(module_gateway, certificates):
    return module_gateway(**certificates.gateway_settings())


@pytest.fixture
def ca(certificates):
    return Path(certificates.path("ca.crt"))


@pytest.fixture
def own(tmp_path):
    """Certificates that a test may change."""
    return Certificates(tmp_path / "own")


class Visit:
    """A TLS connection of Python's; version: the newest that it speaks."""

    def __init__(self, gateway, ca, version=ssl.TLSVersion.TLSv1_3, protocols=(), session=None, context=None):
        self.context = context or ssl.create_default_context(cafile=str(ca))
        self.context.maximum_version = version
        if protocols:
            self.context.set_alpn_protocols(protocols)
        plain = socket.create_connection(("127.0.0.1", gateway.port), timeout=DEADLINE)
        try:
            self.socket = self.context.wrap_socket(plain, server_hostname="127.0.0.1", session=session)
        except ssl.SSLError:
            plain.close()
            raise
        self.certificate = self.socket.getpeercert(binary_form=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def ask(self) -> int:
        """A handshake of Engine.IO: its status. TLS 1.3 sends tickets only before the answer."""
        self.socket.sendall(f"GET {HANDSHAKE} HTTP/1.1\r\nHost: test\r\n\r\n".encode())
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += self.socket.recv(65536)
        return int(answer.split()[1])


def handshakes(gateway, result: str) -> float:
    return gateway.metrics()["tls_handshakes_total", result]


def reload(gateway, good: bool = True, workers: int = 1) -> str:
    """SIGHUP; what the log says of it."""
    before = len(gateway.log())
    gateway.process.send_signal(signal.SIGHUP)
    end = "msg=reloaded" if good else 'msg="not reloaded, nothing has changed"'
    until(lambda: gateway.log()[before:].count(end) == workers, "the gateway has reloaded")
    return gateway.log()[before:]


# --- Official clients


@pytest.mark.parametrize("version", [4, 3, "python"])
@pytest.mark.parametrize("transports", [POLLING, WEBSOCKET, UPGRADE], ids=["polling", "websocket", "upgrade"])
def test_official_clients(gateway, connect, ca, fresh, trade, version, transports):
    client = connect(gateway, version=version, transports=transports, ca=ca)
    if transports == UPGRADE and version != "python":
        client.wait("upgrade")
    assert client.subscribe("market", fresh.market)["success"]
    for number in range(20):
        trade(number)
    client.wait_event("market:trade", 20)
    assert [data["tradeId"] for data in client.data("market:trade")] == [f"trade{n}" for n in range(20)]
    settle(client)


def test_a_client_that_does_not_trust_it_stays_away(gateway, connect, certificates):
    client = connect(gateway, wait=False, ca=Path(certificates.path("other-ca.crt")))
    client.wait("connect_error")


def test_versions_and_protocols(gateway, ca):
    for version, name in [(ssl.TLSVersion.TLSv1_3, "TLSv1.3"), (ssl.TLSVersion.TLSv1_2, "TLSv1.2")]:
        with Visit(gateway, ca, version, ["h2", "http/1.1"]) as visit:
            assert (visit.socket.version(), visit.socket.selected_alpn_protocol()) == (name, "http/1.1")
            assert visit.ask() == 200
    with Visit(gateway, ca) as visit:
        assert visit.socket.selected_alpn_protocol() is None and visit.ask() == 200
    with pytest.raises(ssl.SSLError, match="(?i)no.application.protocol"):
        Visit(gateway, ca, protocols=["h2"])


def test_a_large_message_in_both_directions(gateway, ca, redis, fresh):
    raw = RawClient(gateway, mint(), sslopt={"ca_certs": ca})
    raw.send('420["subscribe",{"room":"market","id":"%s"}]' % fresh.market)
    assert raw.receive_until("430")
    publishing.publish(redis, "market:trade", trade_data(fresh, price="9" * 70))
    assert "9" * 70 in raw.receive_until("42")
    message = '421["nothing",""]'
    raw.send(message[:-2] + "x" * (1_000_000 - len(message)) + message[-2:])
    assert raw.receive_until("431")
    raw.close()


# --- Sessions of TLS


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_sessions_are_resumed_by_all_workers_and_after_a_reload(start_gateway, certificates, ca, version):
    gateway = start_gateway(WORKERS=2, **certificates.gateway_settings())
    with Visit(gateway, ca, version) as first:  # Python forgets the session of a connection that it closes
        assert first.ask() == 200 and not first.socket.session_reused
        for reloads in range(2):
            for _ in range(20):  # never all of them come to one of two workers
                with Visit(gateway, ca, version, session=first.socket.session, context=first.context) as visit:
                    assert visit.ask() == 200 and visit.socket.session_reused
            if reloads == 0:
                reload(gateway, workers=2)


def test_what_the_metrics_tell(start_gateway, certificates, ca):
    gateway = start_gateway(**certificates.gateway_settings())
    with Visit(gateway, ca) as first:
        first.ask()
        with Visit(gateway, ca, session=first.socket.session, context=first.context) as visit:
            visit.ask()
    assert (handshakes(gateway, "full"), handshakes(gateway, "resumed")) == (1, 1)
    days = (gateway.metrics()["tls_certificate_expires_seconds"] - gateway.metrics()["start_time_seconds"]) / 86400
    assert 1.9 < days < 2.1


# --- Renewing the certificate


def test_a_new_certificate_under_connected_clients(start_gateway, connect, own, fresh, trade):
    gateway, ca = start_gateway(**own.gateway_settings()), Path(own.path("ca.crt"))
    clients = [connect(gateway, version=version, transports=transports, ca=ca)
               for version in (4, "python") for transports in (POLLING, WEBSOCKET)]
    for client in clients:
        client.subscribe("market", fresh.market)
    with Visit(gateway, ca) as before:
        before.ask()
        own.renew("server")
        log = reload(gateway)
        assert 'msg="certificate read" file=' + own.path("server.crt") in log and "expires=20" in log
        with Visit(gateway, ca) as after:
            assert after.certificate != before.certificate and after.ask() == 200
        with Visit(gateway, ca, session=before.socket.session, context=before.context) as anew:
            assert anew.ask() == 200 and not anew.socket.session_reused
    trade(1)
    for client in [*clients, connect(gateway, ca=ca)]:
        settle(client)
        assert client.all("disconnect") == []
    for client in clients:
        client.wait_event("market:trade")


@pytest.mark.parametrize("spoil,why", [
    (lambda own: Path(own.path("server.key")).write_text("nonsense"), "nothing of the kind is in it; expected PEM"),
    (lambda own: Path(own.path("server.crt")).unlink(), "No such file or directory"),
    (lambda own: Path(own.path("server.key")).write_text(Path(own.path("client.key")).read_text()),
     "it does not belong to the certificate"),
], ids=["nonsense", "missing", "another's"])
def test_a_bad_new_certificate_changes_nothing(start_gateway, own, spoil, why):
    gateway, ca = start_gateway(**own.gateway_settings()), Path(own.path("ca.crt"))
    with Visit(gateway, ca) as before:
        pass
    spoil(own)
    log = reload(gateway, good=False)
    assert "level=error" in log and "TLS: cannot use the" in log and why in log
    with Visit(gateway, ca) as after:
        assert after.certificate == before.certificate and after.ask() == 200
    own.renew("server")
    reload(gateway)
    with Visit(gateway, ca) as renewed:
        assert renewed.certificate != before.certificate


def test_all_workers_renew_it(start_gateway, own):
    gateway, ca = start_gateway(WORKERS=2, **own.gateway_settings()), Path(own.path("ca.crt"))
    own.renew("server")
    reload(gateway, workers=2)
    seen = set()
    for _ in range(30):
        with Visit(gateway, ca) as visit:
            seen.add(visit.certificate)
    assert seen == {ssl.PEM_cert_to_DER_cert(Path(own.path("server.crt")).read_text())}


def test_other_files_by_the_settings_file(start_gateway, own, tmp_path):
    path = tmp_path / "gateway.conf"
    names = own.gateway_settings()
    path.write_text("".join(f"{name}={value}\n" for name, value in names.items()))
    gateway, ca = start_gateway(CONFIG_FILE=path), Path(own.path("ca.crt"))
    own.renew("second")
    path.write_text("".join(f"{name}={value.replace('server', 'second')}\n" for name, value in names.items()))
    assert "name=TLS_CERTIFICATE" in reload(gateway)
    with Visit(gateway, ca) as visit:
        assert visit.certificate == ssl.PEM_cert_to_DER_cert(Path(own.path("second.crt")).read_text())


# --- Wrong settings


@pytest.mark.parametrize("settings,why", [
    ({"TLS_KEY": None}, "only one of TLS_CERTIFICATE and TLS_KEY is set; expected both"),
    ({"TLS_CERTIFICATE": None}, "only one of TLS_CERTIFICATE and TLS_KEY is set; expected both"),
    ({"TLS_CERTIFICATE": "/nowhere.crt"}, "cannot use the certificate /nowhere.crt: No such file or directory"),
    ({"TLS_KEY": "/nowhere.key"}, "cannot use the private key /nowhere.key: No such file or directory"),
    ({"TLS_KEY": "client.key"}, "client.key: it does not belong to the certificate"),
])
@pytest.mark.parametrize("flags", [[], ["--check-config"]], ids=["start", "check"])
def test_wrong_files_are_told_at_once(certificates, settings, why, flags):
    settings = certificates.gateway_settings() | settings
    if settings["TLS_KEY"] == "client.key":
        settings["TLS_KEY"] = certificates.path("client.key")
    done = subprocess.run([GATEWAY, *flags], env=environment(JWT_SECRET=SECRET, PORT=0, OPS_PORT=0, **settings),
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20)
    assert done.returncode == 2
    assert why in done.stderr


# --- Strangers


@pytest.fixture
def bystander(gateway, connect, ca):
    client = connect(gateway, ca=ca)
    yield client
    settle(client)
    assert client.all("disconnect") == []


@pytest.mark.parametrize("said", [b"GET / HTTP/1.1\r\nHost: test\r\n\r\n", b"SSH-2.0-OpenSSH_9.2\r\n", b"\0" * 100,
                                  b"\x16\x03\x01\xff\xff" + b"x" * 100], ids=["http", "ssh", "zeros", "huge"])
def test_who_speaks_no_tls_is_closed(gateway, bystander, said):
    before = handshakes(gateway, "refused")
    with Http(gateway) as stranger:
        answer = stranger.send(said).wait_closed()
    assert len(answer) <= 7  # an alert of TLS, at most
    assert handshakes(gateway, "refused") == before + 1


def test_refusals_do_not_flood_the_log(gateway, bystander):
    before = gateway.log().count("tls handshake failed")
    for _ in range(100):
        with Http(gateway) as stranger:
            stranger.send("GET / HTTP/1.1\r\n\r\n").wait_closed()
    assert before < gateway.log().count("tls handshake failed") <= before + 50
    line = gateway.log()[gateway.log().rindex("tls handshake failed"):]
    assert 'why="http request" peer=127.0.0.1:' in line


@pytest.mark.parametrize("said", [b"", b"\x16", b"\x16\x03\x01\x00\xf0\x01\x00\x00\xec\x03\x03" + b"x" * 20],
                         ids=["silence", "a byte", "a beginning"])
def test_who_stalls_in_the_handshake_is_closed(start_gateway, certificates, connect, ca, said):
    gateway = start_gateway(HEADER_TIMEOUT=300, **certificates.gateway_settings())
    client = connect(gateway, ca=ca)
    with Http(gateway) as stranger:
        assert stranger.send(said).wait_closed() == b""
    assert handshakes(gateway, "abandoned") == 1
    settle(client)


def test_who_stalls_behind_the_handshake_is_closed(start_gateway, certificates, ca):
    gateway = start_gateway(HEADER_TIMEOUT=300, **certificates.gateway_settings())
    with Visit(gateway, ca) as visit:
        visit.socket.sendall(b"GET /")
        assert visit.socket.recv(100).startswith(b"HTTP/1.1 408 ")
    with Visit(gateway, ca) as visit:
        assert visit.socket.recv(100) == b""  # a close_notify: else Python complains


def wait_gone(gateway, before: float) -> None:
    """Until there are no more connections than before, but for those that the bystander may open."""
    until(lambda: gateway.metrics()["connections"] <= before + 2, "they are gone")


def test_who_leaves_at_any_moment_does_not_matter(gateway, bystander, ca):
    before = gateway.metrics()["connections"]
    for size in range(0, 300, 7):
        with Http(gateway) as stranger:
            hello = ssl.MemoryBIO()
            client = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), hello, server_hostname="test")
            with pytest.raises(ssl.SSLWantReadError):
                client.do_handshake()
            stranger.send(hello.read()[:size])
    wait_gone(gateway, before)


def test_a_slow_reader_is_disconnected(start_gateway, certificates, connect, ca, redis, fresh):
    gateway = start_gateway(CLIENT_STALL=500, **certificates.gateway_settings())
    client = connect(gateway, ca=ca, transports=WEBSOCKET)
    raw = RawClient(gateway, mint(), sslopt={"ca_certs": ca}, sockopt=[(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)])
    for reader in (client, raw):
        if reader is raw:
            raw.send('420["subscribe",{"room":"market","id":"%s"}]' % fresh.market)
            assert raw.receive_until("430")
        else:
            client.subscribe("market", fresh.market)
    fill(redis, fresh, 8)
    until(lambda: gateway.metrics()["connections_closed_total", "slow"] == 1, "the slow one is gone")
    client.wait_event("market:trade", 8)
    raw.close()


def fill(redis, fresh, count: int) -> None:
    """Events that are too much for the kernel's buffers."""
    for number in range(count):
        publishing.plain_event(redis, f"market:{fresh.market}", "market:trade",
                               trade_data(fresh, number, shares="9" * 900_000))


def test_a_slow_reader_that_reads_gets_everything(gateway, ca, redis, fresh):
    raw = RawClient(gateway, mint(), sslopt={"ca_certs": ca}, sockopt=[(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)])
    raw.send('420["subscribe",{"room":"market","id":"%s"}]' % fresh.market)
    assert raw.receive_until("430")
    fill(redis, fresh, 4)
    until(lambda: gateway.metrics()["queued_bytes"] > 1_000_000, "much is waiting for it")
    for number in range(4):
        trade = json.loads(raw.receive_until("42")[2:])[1]["data"]
        assert (trade["tradeId"], len(trade["shares"])) == (f"trade{number}", 900_000)
    raw.close()


def memory(gateway) -> int:
    if "libasan" in Path(f"/proc/{gateway.pid}/maps").read_text():
        pytest.skip("AddressSanitizer keeps what was freed; it looks for leaks itself")
    return int(Path(f"/proc/{gateway.pid}/statm").read_text().split()[1]) * 4096


def test_nothing_is_left_of_those_who_came_and_went(gateway, bystander, ca):
    context = ssl.create_default_context(cafile=ca)
    connections = gateway.metrics()["connections"]

    def come_and_go(times: int) -> int:
        for number in range(times):
            visit = Visit(gateway, ca, context=context)
            if number % 2:
                visit.ask()
            visit.socket.close()
        wait_gone(gateway, connections)
        return memory(gateway)

    before = come_and_go(200)
    after = come_and_go(600)
    assert after < before + 4_000_000  # the sessions of Engine.IO are still there, for a while
