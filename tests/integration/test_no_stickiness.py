"""Three gateways behind a proxy that gives each request to the next of them, as no session would like it."""
import sys
import time
from queue import Empty

import pytest

from conftest import trade_data
from harness import publishing
from harness.clients import settle
from harness.gateway import REPOSITORY
from harness.redis_server import RedisServer
from harness.tokens import mint

sys.path.append(str(REPOSITORY / "tests" / "fleet"))  # whose proxy it is

from fleet.proxies import Ours, missing  # noqa: E402

GATEWAYS = 3
NOTICED = 3  # seconds after which polls that wait for a dead gateway have been answered, with some to spare
POLLING = {"transports": ["polling"]}
UPGRADING = {"transports": ["polling", "websocket"]}
RECOVER = {"recovery": True}
COMING_BACK = {"reconnection": True, "reconnectionDelay": 50, "reconnectionDelayMax": 200}

KINDS = pytest.mark.parametrize("version,options", [
    (4, POLLING), (3, POLLING), ("python", POLLING), (4, UPGRADING), (3, UPGRADING), ("python", UPGRADING)],
    ids=lambda value: str(value) if not isinstance(value, dict) else "+".join(value["transports"]))


class Fleet:
    """Gateways and the proxy before them; its url is where clients go."""

    def __init__(self, start, directory, **settings):
        self.gateways = [start(**settings) for _ in range(GATEWAYS)]
        self.proxy = Ours(directory, [gateway.port for gateway in self.gateways])
        self.url = self.proxy.url

    def sum(self, name: str, label: str | None = None) -> float:
        return sum(gateway.metrics()[(name, label) if label else name] for gateway in self.living())

    def living(self):
        return [gateway for gateway in self.gateways if not gateway.killed]

    def kill(self, number: int) -> None:
        """The proxy is not told: it tries the next one where one refuses."""
        self.gateways[number].kill()

    def stop(self) -> None:
        self.proxy.stop()


@pytest.fixture(scope="module", autouse=True)
def needs_the_proxy():
    if why := missing("ours"):
        pytest.exit(why, 3)


@pytest.fixture(scope="module")
def fleet(module_gateway, tmp_path_factory):
    """One for all tests that leave it as it was."""
    fleet = Fleet(module_gateway, tmp_path_factory.mktemp("proxy"))
    yield fleet
    fleet.stop()


@pytest.fixture
def own_fleet(start_gateway, tmp_path_factory):
    """
    Where the WebSocket is lost at the instant in which the official client gives polling up for it, the client does
    neither, until its heartbeat is overdue. So that is soon here.
    """
    fleet = Fleet(start_gateway, tmp_path_factory.mktemp("proxy"), PING_INTERVAL=2000, PING_TIMEOUT=3000)
    yield fleet
    fleet.stop()


def numbers_of(client) -> list[int]:
    return [int(data["tradeId"].removeprefix("trade")) for data in client.data("market:trade")]


def wait_for_trade(client, number: int, seconds: float = 20) -> None:
    client.wait_for(lambda: f"trade{number}" in [data["tradeId"] for data in client.data("market:trade")],
                    f"trade{number}", seconds)


def has_all_to(client, last: int) -> None:
    """From the first that it got, each once and in order."""
    wait_for_trade(client, last)
    numbers = numbers_of(client)
    assert numbers == list(range(numbers[0], last + 1))


@pytest.fixture
def stream(redis, fresh):
    """Trades in the fresh market, one after the other until end(); that says how many there were."""
    running = publishing.Stream(redis, lambda number: ("market:trade", trade_data(fresh, number)))
    yield running
    if not running.ending.is_set():
        running.end()


# --- All is well ---


@KINDS
def test_events_come_once_and_in_order(fleet, connect, fresh, stream, version, options):
    before = {name: fleet.sum(name) for name in ("relay_asked_total", "sessions_moved_in_total")}
    clients = []
    for number in range(6):
        client = connect(fleet, mint(f"user{number}"), version=version, **options)
        assert client.subscribe("market", fresh.market)["success"]
        clients.append(client)
    stream.wait_more(100)
    last = stream.end() - 1
    for client in clients:
        has_all_to(client, last)
        settle(client)
        assert client.all("disconnect") == []
    assert fleet.sum("relay_asked_total") > before["relay_asked_total"]
    moved = fleet.sum("sessions_moved_in_total") - before["sessions_moved_in_total"]
    assert (moved > 0) == ("websocket" in options["transports"])


def test_no_gateway_is_asked_more_than_others(fleet, connect, fresh):
    """Or the proxy would have kept clients together, and nothing above been shown."""
    client = connect(fleet, version=4, **POLLING)
    before = fleet.proxy.counts().requests
    for _ in range(30):
        settle(client)
    after = fleet.proxy.counts().requests
    shares = [after[gateway.port] - before[gateway.port] for gateway in fleet.gateways]
    assert min(shares) > sum(shares) / len(shares) / 2, shares


@pytest.mark.parametrize("version", [4, 3])
def test_acks_are_not_lost_by_an_upgrade(fleet, connect, version):
    """What is emitted before, while, and after the session moves."""
    for _ in range(5):
        client = connect(fleet, version=version, wait=False, **UPGRADING)
        answers = [client.begin("ping") for _ in range(50)]
        while not client.all("upgrade"):
            answers.append(client.begin("ping"))
            time.sleep(0.001)
        answers += [client.begin("ping") for _ in range(50)]
        assert all(answer.get(timeout=15)["answer"][0]["pong"] for answer in answers)
        client.disconnect()


@pytest.mark.parametrize("version,options", [(4, POLLING), (4, UPGRADING), ("python", POLLING)], ids=str)
def test_rooms_are_as_they_were(fleet, connect, fresh, version, options):
    client = connect(fleet, mint("alice", fresh.address), version=version, **options)
    for number in range(3):
        assert client.subscribe("market", f"{fresh.market}{number}")["success"]
    assert client.unsubscribe("market", f"{fresh.market}1")["success"]
    if "websocket" in options["transports"]:
        client.wait("upgrade")
    rooms = client.call("getRooms")
    assert sorted(rooms) == sorted([f"user:{fresh.address}", "global:all", f"market:{fresh.market}0",
                                    f"market:{fresh.market}2"])


def test_a_client_that_has_moved_recovers(fleet, connect, redis, fresh):
    client = connect(fleet, mint("alice"), version=4, auth=RECOVER, **UPGRADING)
    client.subscribe("market", fresh.market)
    client.wait("upgrade")
    publishing.publish(redis, "market:trade", trade_data(fresh, 0))
    client.wait_event("market:trade")
    client.drop()
    client.wait("disconnect")
    publishing.publish(redis, "market:trade", trade_data(fresh, 1))
    client.reconnect()
    assert client.wait("connect", 2)["recovered"]
    client.wait_event("connected", 2)
    assert numbers_of(client) == [0, 1]


def test_large_messages_go_through(fleet, connect, redis, fresh):
    """Several times what a packet of the network holds, in both directions."""
    client = connect(fleet, mint("alice"), version=4, **POLLING)
    client.subscribe("market", fresh.market)
    publishing.plain_event(redis, f"market:{fresh.market}", "market:trade", trade_data(fresh, 0, trader="x" * 200000))
    assert len(client.wait_event("market:trade")["data"]["trader"]) == 200000
    answer = client.call("subscribe", {"room": "market", "id": "y" * 300000})
    assert not answer["success"]
    settle(client)
    assert client.all("disconnect") == []


# --- Gateways that go ---


def comes_back(client, fresh) -> None:
    """However often it took: it is in its room at the end. What it asks of a gateway that has died is lost."""
    for _ in range(5):
        try:
            assert client.call("subscribe", {"room": "market", "id": fresh.market}, seconds=4)["success"]
            return
        except Empty:
            continue
    raise AssertionError(f"it does not come back: {client.happenings[-20:]}")


@pytest.mark.parametrize("options", [POLLING, UPGRADING], ids=["polling", "upgrading"])
def test_a_gateway_killed_while_clients_arrive_costs_nothing(own_fleet, connect, fresh, stream, options):
    clients = []
    for number in range(24):
        client = connect(own_fleet, mint(f"user{number}"), version=4, wait=False, auth=RECOVER, **COMING_BACK, **options)
        client.begin("subscribe", {"room": "market", "id": fresh.market})
        clients.append(client)
        if number == 16:  # the first have events already, others are on their way
            own_fleet.kill(1)
    for client in clients:
        comes_back(client, fresh)
    stream.wait_more(50)
    last = stream.end() - 1
    for client in clients:
        has_all_to(client, last)
    assert any(client.all("disconnect") for client in clients)


def test_polls_for_a_dead_gateway_do_not_wait(own_fleet, connect, fresh, stream):
    """Its clients hear of it within seconds, and have missed nothing when they are back."""
    clients = []
    for number in range(9):
        clients.append(connect(own_fleet, mint(f"user{number}"), version=4, auth=RECOVER, **COMING_BACK,
                               **POLLING))
        assert clients[-1].subscribe("market", fresh.market)["success"]
    own_fleet.kill(0)
    time.sleep(NOTICED)
    lost = [client for client in clients if client.all("disconnect")]
    assert 0 < len(lost) < len(clients)
    for client in lost:
        client.wait("connect", 2)
        assert client.all("connect")[1]["recovered"]
    stream.wait_more(20)
    last = stream.end() - 1
    for client in clients:
        has_all_to(client, last)
    assert own_fleet.sum("relay_failures_total", "gone") > 0


# --- Redis goes ---


@pytest.fixture
def own_redis(tmp_path):
    redis = RedisServer(tmp_path / "redis", "--appendfsync", "always")
    yield redis
    redis.stop()


@pytest.fixture
def fleet_on_own_redis(own_redis, start_gateway, tmp_path):
    fleet = Fleet(start_gateway, tmp_path / "proxy", redis=own_redis)
    yield fleet
    fleet.stop()


def test_polling_clients_outlive_a_restart_of_redis(own_redis, fleet_on_own_redis, connect, fresh):
    clients = []
    for number in range(6):
        clients.append(connect(fleet_on_own_redis, mint(f"user{number}"), version=4, auth=RECOVER, **COMING_BACK,
                               **POLLING))
        assert clients[-1].subscribe("market", fresh.market)["success"]
    publishing.publish(own_redis, "market:trade", trade_data(fresh, 0))
    for client in clients:
        wait_for_trade(client, 0)
    own_redis.kill()
    own_redis.start()
    for gateway in fleet_on_own_redis.gateways:
        gateway.wait_ready()
    for number in range(1, 4):
        publishing.publish(own_redis, "market:trade", trade_data(fresh, number))
    for client in clients:
        has_all_to(client, 3)
        assert numbers_of(client)[0] == 0
