"""SIGHUP: the settings file and the files with secrets are read again, and nobody is disconnected."""
import signal

import pytest

from harness.clients import settle
from harness.gateway import SECRET
from harness.raw import HANDSHAKE, Http, RawClient
from harness.tokens import mint
from harness.wait import until

OTHER_SECRET = "another secret for tests, of 32 bytes or more"
WEBSOCKET = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
             "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}


class Settings:
    """A settings file, the secret file that it names, and the gateway that has read them."""

    def __init__(self, directory, start):
        self.path, self.secret_path, self.start = directory / "gateway.conf", directory / "secret", start
        self.outcomes = 0
        self.secret(SECRET)

    def secret(self, secret: str) -> None:
        self.secret_path.write_text(secret + "\n")

    def write(self, **settings) -> None:
        lines = [f"{name}='{value}'\n" for name, value in settings.items()]
        self.path.write_text("# settings\n\n" + f"JWT_SECRET_FILE={self.secret_path}\n" + "".join(lines))

    def gateway(self, **environment):
        missing = {"JWT_SECRET": None, "DRAIN_DELAY": None, "DRAIN_WINDOW": None}
        self.running = self.start(**({"CONFIG_FILE": self.path} | missing | environment))
        return self.running

    def reload(self, good: bool = True) -> str:
        """What the log says of it."""
        before = len(self.running.log())
        self.running.process.send_signal(signal.SIGHUP)
        end = "msg=reloaded" if good else 'msg="not reloaded, nothing has changed"'
        until(lambda: end in self.running.log()[before:], "the gateway has reloaded its settings")
        return self.running.log()[before:]


@pytest.fixture
def settings(tmp_path, start_gateway):
    made = Settings(tmp_path, start_gateway)
    made.write(DRAIN_DELAY=0, DRAIN_WINDOW=0)
    yield made


def write(settings, **more) -> None:
    settings.write(**({"DRAIN_DELAY": 0, "DRAIN_WINDOW": 0} | more))


def accepted(connect, gateway, secret: str) -> bool:
    client = connect(gateway, mint(secret=secret), wait=False)
    client.wait("event")
    return client.events()[0][0] == "connected"


def allowed(gateway, origin: str) -> tuple[int, str | None]:
    """How a WebSocket handshake of such a page ends, and what the page may read of another answer."""
    with Http(gateway) as http:
        status = http.request("GET", HANDSHAKE.replace("polling", "websocket"), WEBSOCKET | {"Origin": origin})[0]
    with Http(gateway) as http:
        return status, http.request("GET", HANDSHAKE, {"Origin": origin})[1].get("access-control-allow-origin")


def handshakes(gateway, count: int) -> list[int]:
    statuses = []
    for _ in range(count):
        with Http(gateway) as http:
            statuses.append(http.request("GET", HANDSHAKE)[0])
    return statuses


# --- What changes


def test_a_new_secret(settings, connect):
    gateway = settings.gateway()
    old = connect(gateway, mint(secret=SECRET))
    assert not accepted(connect, gateway, OTHER_SECRET)
    settings.secret(OTHER_SECRET)
    log = settings.reload()
    assert 'msg="setting changed" name=JWT_SECRET from=*** to=***' in log
    assert "msg=reloaded changed=1 need_restart=0" in log
    assert accepted(connect, gateway, OTHER_SECRET)
    assert not accepted(connect, gateway, SECRET)
    settle(old)
    assert old.all("disconnect") == []
    assert SECRET not in gateway.log() and OTHER_SECRET not in gateway.log()


def test_a_new_issuer_and_audience(settings, connect):
    gateway = settings.gateway()
    connect(gateway, mint(iss="a", aud="x"))
    write(settings, JWT_ISSUER="b", JWT_AUDIENCE="y")
    settings.reload()
    connect(gateway, mint(iss="b", aud=["x", "y"]))
    connect(gateway, mint(iss="a", aud="y"), wait=False).wait_event("error")
    connect(gateway, mint(iss="b", aud="x"), wait=False).wait_event("error")
    write(settings)
    settings.reload()
    connect(gateway, mint())


def test_other_origins(settings):
    write(settings, CORS_ALLOWED_ORIGINS="https://old.example.com")
    gateway = settings.gateway()
    assert allowed(gateway, "https://old.example.com") == (101, "https://old.example.com")
    assert allowed(gateway, "https://new.example.com") == (403, None)
    write(settings, CORS_ALLOWED_ORIGINS="https://new.example.com, https://newer.example.com")
    log = settings.reload()
    assert 'from=https://old.example.com to="https://new.example.com, https://newer.example.com"' in log
    assert allowed(gateway, "https://old.example.com") == (403, None)
    assert allowed(gateway, "https://newer.example.com") == (101, "https://newer.example.com")


def test_limits(settings, connect, fresh):
    write(settings, MAX_CONNECTIONS=1, MAX_ROOMS=3)
    gateway = settings.gateway()
    client = connect(gateway)
    assert client.subscribe("market", fresh.market)["success"]
    assert not client.subscribe("market", fresh.market + "-2")["success"]
    assert handshakes(gateway, 1) == [503]
    write(settings, MAX_CONNECTIONS=3, MAX_ROOMS=4)
    settings.reload()
    assert client.subscribe("market", fresh.market + "-2")["success"]
    assert handshakes(gateway, 3) == [200, 200, 503]
    write(settings, MAX_CONNECTIONS=1)
    settings.reload()
    settle(client)


def test_the_rate_of_handshakes(settings):
    gateway = settings.gateway()
    assert handshakes(gateway, 20) == [200] * 20
    write(settings, HANDSHAKE_RATE=1, HANDSHAKE_BURST=1)
    settings.reload()
    assert 503 in handshakes(gateway, 100)
    write(settings, HANDSHAKE_RATE=0)
    settings.reload()
    assert handshakes(gateway, 20) == [200] * 20


def test_the_log_level(settings, connect):
    gateway = settings.gateway()
    connect(gateway)
    assert "level=debug" not in gateway.log()
    write(settings, LOG_LEVEL="debug")
    assert 'name=LOG_LEVEL from=info to=debug' in settings.reload()
    connect(gateway)
    gateway.wait_log("level=debug")
    write(settings, LOG_LEVEL="error")
    assert 'name=LOG_LEVEL from=debug to=error' in settings.reload()
    before = len(gateway.log())
    connect(gateway)
    assert "level=debug" not in gateway.log()[before:]


def test_how_long_stopping_takes(settings, connect):
    settings.write(DRAIN_DELAY=600_000, DRAIN_WINDOW=600_000)
    gateway = settings.gateway()
    client = connect(gateway)
    write(settings)
    settings.reload()
    gateway.process.send_signal(signal.SIGTERM)
    client.wait("disconnect")
    assert gateway.process.wait(20) == 0
    assert "msg=draining sessions=1 clients=1 delay_ms=0 window_ms=0" in gateway.log()


# --- What does not


def test_what_needs_a_restart_is_told_each_time(settings):
    gateway = settings.gateway()
    write(settings, PING_INTERVAL=30000, MAX_ROOMS=50)
    log = settings.reload()
    assert 'level=warn msg="setting needs a restart" name=PING_INTERVAL is=25000 wanted=30000' in log
    assert "msg=reloaded changed=1 need_restart=1" in log
    assert "msg=reloaded changed=0 need_restart=1" in settings.reload()
    raw = RawClient(gateway, mint())
    assert raw.handshake["pingInterval"] == 25000
    raw.close()
    write(settings)
    assert "msg=reloaded changed=1 need_restart=0" in settings.reload()


def test_the_environment_goes_before_the_file(settings, connect):
    gateway = settings.gateway(JWT_ISSUER="environment")
    write(settings, JWT_ISSUER="file", MAX_ROOMS=50)
    log = settings.reload()
    assert "JWT_ISSUER" not in log and "msg=reloaded changed=1 need_restart=0" in log
    connect(gateway, mint(iss="environment"))


@pytest.mark.parametrize("text,why", [
    ("MAX_RMS=5\n", "settings file, line 4: unknown setting MAX_RMS; did you mean MAX_ROOMS?"),
    ("MAX_ROOMS=many\n", "MAX_ROOMS (from the settings file, line 4): "),
    ("nonsense\n", "settings file, line 4: expected NAME=value"),
    ("OPS_PORT=3000\nPORT=3000\n", "PORT and OPS_PORT are the same"),
    ("DEVELOPMENT=true\nJWT_SECRET=short\n", "JWT_SECRET has 5 bytes"),
], ids=["unknown", "wrong", "garbage", "together", "not yet"])
def test_a_wrong_file_changes_nothing(settings, connect, text, why):
    write(settings, PORT=0, OPS_PORT=0)
    gateway = settings.gateway(PORT=None, OPS_PORT=None)
    client = connect(gateway)
    good = settings.path.read_text()
    settings.path.write_text(f"JWT_SECRET_FILE={settings.secret_path}\nMAX_CONNECTIONS=1\nLOG_LEVEL=debug\n" + text)
    log = settings.reload(good=False)
    assert "level=error" in log and why in log.replace('\\"', '"')
    assert "setting changed" not in log and "level=debug" not in log
    assert handshakes(gateway, 2) == [200, 200]
    settle(client)
    assert accepted(connect, gateway, SECRET)
    settings.path.write_text(good)
    assert "msg=reloaded changed=0 need_restart=0" in settings.reload()


def test_a_missing_file_changes_nothing(settings, connect):
    gateway = settings.gateway()
    settings.path.rename(settings.path.with_suffix(".old"))
    assert "cannot read the settings file" in settings.reload(good=False)
    settings.path.with_suffix(".old").rename(settings.path)
    settings.secret_path.rename(settings.secret_path.with_suffix(".old"))
    assert "JWT_SECRET_FILE (from the settings file, line 3): cannot read" in settings.reload(good=False)
    assert accepted(connect, gateway, SECRET)


# --- Otherwise


def test_without_a_settings_file_secrets_are_read_again(settings, connect):
    gateway = settings.gateway(CONFIG_FILE=None, JWT_SECRET_FILE=settings.secret_path, DRAIN_DELAY=0, DRAIN_WINDOW=0)
    settings.secret(OTHER_SECRET)
    settings.reload()
    assert accepted(connect, gateway, OTHER_SECRET)


def test_again_and_again(settings, connect):
    gateway = settings.gateway()
    client = connect(gateway)
    for number in range(20):
        write(settings, JWT_AUDIENCE=f"audience {number}", CORS_ALLOWED_ORIGINS=f"https://{number}.example.com")
        assert "msg=reloaded changed=2" in settings.reload()
        connect(gateway, mint(aud=f"audience {number}"), extraHeaders={"Origin": f"https://{number}.example.com"})
    settle(client)


def test_also_while_it_drains(settings, connect):
    settings.write(DRAIN_DELAY=600_000)
    gateway = settings.gateway()
    gateway.process.send_signal(signal.SIGTERM)
    gateway.wait_log("msg=draining")
    settings.secret(OTHER_SECRET)
    settings.reload()
    assert accepted(connect, gateway, OTHER_SECRET)
