import itertools
from types import SimpleNamespace

import pytest

from harness import publishing
from harness.clients import NodeDriver, PythonClient
from harness.gateway import GATEWAY, Gateway
from harness.redis_server import RedisServer
from harness.tokens import mint

numbers = itertools.count(1)


def pytest_addoption(parser):
    parser.addoption("--part", metavar="I/N", help="only every Nth file, from the Ith on: parts may run side by side")


def pytest_collection_modifyitems(config, items):
    if not (part := config.getoption("--part")):
        return
    index, count = (int(number) for number in part.split("/"))
    files = sorted({item.path for item in items})
    chosen = set(files[index - 1::count])
    config.hook.pytest_deselected(items=[item for item in items if item.path not in chosen])
    items[:] = [item for item in items if item.path in chosen]


def pytest_sessionstart():
    if not GATEWAY.exists():
        pytest.exit(f"{GATEWAY} is not built", 3)


@pytest.fixture(scope="module")
def redis(tmp_path_factory):
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    yield server
    server.stop()


def _factory(redis, tmp_path_factory):
    started = []

    def start(*, ready: bool = True, **settings) -> Gateway:
        settings.setdefault("redis", redis)
        log = tmp_path_factory.mktemp("gateway") / "log"
        started.append(Gateway(settings.pop("redis"), log, **settings))
        return started[-1].wait_ready() if ready else started[-1]

    return start, started


def _stop_all(gateways) -> None:
    failures = []
    for gateway in gateways:
        try:
            gateway.stop()
        except AssertionError as failure:
            failures.append(str(failure))
    assert not failures, "\n".join(failures)


@pytest.fixture(scope="module")
def module_gateway(redis, tmp_path_factory):
    """Like start_gateway, for a gateway that all tests of a file share."""
    start, started = _factory(redis, tmp_path_factory)
    yield start
    _stop_all(started)


@pytest.fixture(scope="module")
def gateway(module_gateway):
    """One with the defaults, for all tests of a file."""
    return module_gateway()


@pytest.fixture
def start_gateway(redis, tmp_path_factory):
    """start_gateway(PING_INTERVAL=300, …): one with settings of its own, for one test."""
    start, started = _factory(redis, tmp_path_factory)
    yield start
    _stop_all(started)


@pytest.fixture(scope="session")
def node():
    driver = NodeDriver()
    yield driver
    driver.close()


@pytest.fixture
def connect(node):
    """
    connect(gateway, token=…, version=4, transports=[…], wait=True, ca=…, **options): an official client; all are
    disconnected after the test. version is 3 or 4 (JavaScript) or "python"; ca is the file of the CA to trust.
    """
    clients = []

    def open_client(gateway, token=..., *, version=4, wait=True, **options):
        token = mint() if token is ... else token
        if token is not None:
            options["auth"] = {"token": token} | options.get("auth", {})
        if version == "python":
            client = PythonClient(gateway.url, options)
        else:
            options.setdefault("reconnection", False)
            client = node.open(gateway.url, version, options)
        clients.append(client)
        if wait:
            client.wait_event("connected")
        return client

    yield open_client
    for client in clients:
        client.disconnect()


@pytest.fixture
def fresh():
    """Names that no other test uses, so that tests can share a gateway and a Redis."""
    number = next(numbers)
    return SimpleNamespace(market=f"market{number}", creator=f"creator{number}", user=f"user{number}",
                           address=f"0x{number:040x}")


@pytest.fixture
def trade(redis, fresh):
    """trade(n, **fields): publishes trade number n in the fresh market."""
    def publish_trade(number=0, **fields):
        publishing.publish(redis, "market:trade", trade_data(fresh, number, **fields))
    return publish_trade


def trade_data(fresh, number=0, **fields) -> dict:
    example = publishing.examples()["market:trade"]["example"]
    return example | {"marketId": fresh.market, "trader": fresh.address, "tradeId": f"trade{number}"} | fields
