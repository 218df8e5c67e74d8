"""Redis behind Sentinel: both programs find the primary, and follow it when it changes."""
import json
import subprocess
import time

import pytest

from conftest import trade_data
from harness.certificates import Certificates
from harness.clients import settle
from harness.gateway import GATEWAY, SECRET, environment
from harness.publishing import PUBLISH, run_publish
from harness.sentinel import FAILOVER_SECONDS, MASTER, SentinelWorld
from harness.tokens import mint
from harness.wait import free_port, until

PATIENT = {"PUBLISH_TIMEOUT": 1000 * FAILOVER_SECONDS}
TRADE = "market:trade"
NEWS = ["system:maintenance", '{"enabled":true,"message":"m"}']
USAGE, UNREACHABLE, REFUSED = 2, 4, 5


@pytest.fixture
def make_world(tmp_path):
    worlds = []

    def make(**passwords) -> SentinelWorld:
        worlds.append(SentinelWorld(tmp_path / f"world{len(worlds)}", **passwords))
        return worlds[-1]

    yield make
    for world in worlds:
        world.stop()


@pytest.fixture
def start(start_gateway):
    """A gateway that knows the sentinels and no Redis."""
    return lambda world, **settings: start_gateway(redis=world, **world.settings, **settings)


@pytest.fixture
def member(connect, fresh):
    def connect_member(gateway):
        client = connect(gateway, mint("alice", fresh.address))
        client.subscribe("market", fresh.market)
        return client

    return connect_member


def publish(world, fresh, number: int, **settings) -> None:
    """By the command line, which finds the primary itself."""
    done = run_publish(world, TRADE, stdin=json.dumps(trade_data(fresh, number)),
                       **(world.settings | PATIENT | settings))
    assert done.returncode == 0, done.stderr


def wait_subscribed(server, fresh) -> None:
    channel = f"guesslyfe:{{0}}:room:market:{fresh.market}"
    until(lambda: server.subscribers(channel) == 1, "the gateway is subscribed at the new primary", 30)


def stored(server, fresh) -> list[str]:
    entries = server.command("LRANGE", f"guesslyfe:{{0}}:log:market:{fresh.market}", 0, -1)
    return [json.loads(entry.split(b"\n", 1)[1])["data"]["tradeId"] for entry in entries]


def trades(client) -> list[str]:
    settle(client)
    return [data["tradeId"] for data in client.data(TRADE)]


@pytest.mark.parametrize("change", ["kill_primary", "stop_primary", "switch_primary"])
def test_a_failover(make_world, start, member, fresh, change):
    """What is published meanwhile waits; what is published afterwards arrives, once; clients stay."""
    world = make_world()
    gateway = start(world)
    client = member(gateway)
    publish(world, fresh, 1)
    client.wait_event(TRADE)

    old = getattr(world, change)()
    publish(world, fresh, 2)
    new = world.wait_for_failover(old)
    wait_subscribed(new, fresh)
    publish(world, fresh, 3)
    until(lambda: "trade3" in trades(client), "what is published at the new primary arrives")
    if change != "switch_primary":  # there the old primary may take it, and keep it for itself
        assert stored(new, fresh)[-2:] == ["trade2", "trade3"]

    if change == "stop_primary":
        old.resume()
    elif change == "kill_primary":
        old.start()
    until(lambda: old.command("ROLE")[0] == b"slave", "the old primary has become a replica", 30)
    losses = gateway.log().count("redis lost")
    publish(world, fresh, 4)
    until(lambda: "trade4" in trades(client), "the gateway stays with the new primary")
    assert gateway.log().count("redis lost") == losses
    assert trades(client).count("trade3") == 1
    assert client.all("disconnect") == []


def test_a_planned_failover_is_told_by_the_sentinels(make_world, start):
    """Before anything breaks: the log says where the primary went."""
    world = make_world()
    gateway = start(world)
    until(lambda: subscribers_of_sentinels(world) == 2, "each of the gateway's connections has a sentinel to listen to")
    old = world.switch_primary()
    world.wait_for_failover(old)
    gateway.wait_log("redis lost")
    gateway.wait_redis("up", 30)
    lost = next(line for line in gateway.log().splitlines() if "redis lost" in line)
    assert f"127.0.0.1:{old.port}: the primary is at 127.0.0.1:" in lost and "says Sentinel" in lost


def subscribers_of_sentinels(world) -> int:
    return sum(client.get("name") == "guesslyfe-gateway" and int(client["sub"]) == 1
               for sentinel in world.sentinels for client in sentinel.client.client_list())


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_passwords_of_both(make_world, start, member, fresh, tmp_path, tls):
    certificates = Certificates(tmp_path / "certificates") if tls else None
    world = make_world(password="of-redis", sentinel_password="of-sentinel", certificates=certificates)
    client = member(start(world))
    publish(world, fresh, 1)
    client.wait_event(TRADE)
    begun = time.monotonic()
    done = run_publish(world, *NEWS, **(world.settings | PATIENT | {"REDIS_SENTINEL_PASSWORD": "wrong"}))
    assert done.returncode == UNREACHABLE
    assert f"no sentinel told where {MASTER} is" in done.stderr and "WRONGPASS" in done.stderr
    done = run_publish(world, *NEWS, **(world.settings | PATIENT | {"REDIS_PASSWORD": "wrong"}))
    assert done.returncode == REFUSED
    assert "AUTH refused: WRONGPASS" in done.stderr
    assert time.monotonic() - begun < FAILOVER_SECONDS / 2


def nowhere() -> dict:
    return {"REDIS_SENTINELS": f"127.0.0.1:{free_port()},[::1]:{free_port()}", "REDIS_SENTINEL_MASTER": MASTER}


def test_without_sentinels_the_publisher_gives_up_at_once(redis):
    begun = time.monotonic()
    done = run_publish(redis, *NEWS, **nowhere(), **PATIENT)
    assert done.returncode == UNREACHABLE
    assert f"no sentinel told where {MASTER} is: connect to 127.0.0.1:" in done.stderr
    assert "nothing was written" in done.stderr
    assert time.monotonic() - begun < FAILOVER_SECONDS / 2


def test_without_sentinels_the_gateway_waits(redis, start_gateway):
    """It does not fall back on REDIS_HOST, which is there."""
    gateway = start_gateway(ready=False, **nowhere())
    gateway.wait_log(f"no sentinel told where {MASTER} is", 2)
    assert gateway.health()["redis"] == "down"


WRONG = [({"REDIS_SENTINELS": "a"}, "REDIS_SENTINEL_MASTER"), ({"REDIS_SENTINEL_MASTER": "m"}, "REDIS_SENTINELS"),
         ({"REDIS_SENTINELS": "a:b", "REDIS_SENTINEL_MASTER": "m"}, "REDIS_SENTINELS is"),
         ({"REDIS_SENTINELS": "::1", "REDIS_SENTINEL_MASTER": "m"}, "brackets")]


@pytest.mark.parametrize("command", [[GATEWAY], [GATEWAY, "--check-config"], [PUBLISH, *NEWS]],
                         ids=["gateway", "checked", "publisher"])
@pytest.mark.parametrize("settings,words", WRONG)
def test_settings_that_make_no_sense(command, settings, words):
    done = subprocess.run(command, env=environment(JWT_SECRET=SECRET, PORT=0, OPS_PORT=0, **settings), text=True,
                          stdin=subprocess.DEVNULL, capture_output=True, timeout=20)
    assert done.returncode == USAGE, done.stderr
    assert words in done.stderr
