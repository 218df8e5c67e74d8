"""The operations port."""
import re
import time
from datetime import datetime, timezone

import pytest

from conftest import trade_data
from harness import publishing
from harness.clients import settle
from harness.gateway import REPOSITORY
from harness.metrics import PREFIX
from harness.raw import Http
from harness.redis_server import RedisServer
from harness.tokens import mint
from harness.wait import until


PATHS = ["/healthz", "/readyz", "/metrics", "/stats"]
# Probes often enough that a test need not wait for them.
PROBING = {"PROBE_INTERVAL": 200, "REDIS_REPLY_TIMEOUT": 2000}
DOCUMENTED = {line.split("|")[1].strip(" `") for line in
              (REPOSITORY / "docs/metrics.md").read_text(encoding="utf-8").splitlines() if line.startswith("| `")}


@pytest.fixture
def own_redis(tmp_path):
    """For a test that does something to it: the other gateways here are to notice nothing."""
    server = RedisServer(tmp_path)
    yield server
    server.stop()


def test_healthz(gateway):
    assert gateway.get("/healthz")[0] == 200
    health = gateway.health()
    assert health.keys() == {"status", "redis", "probeAgeMs", "sessions"}
    assert (health["status"], health["redis"]) == ("ok", "up")
    assert 0 <= health["probeAgeMs"] < 60000


# Readiness


def test_ready_after_the_start(gateway):
    status, readiness = gateway.readiness()
    assert (status, readiness.keys()) == (200, {"status", "probeAgeMs"})
    assert readiness["status"] == "ready"


def test_not_ready_while_redis_is_stopped(own_redis, start_gateway):
    gateway = start_gateway(redis=own_redis, **PROBING)
    own_redis.stop()
    gateway.wait_not_ready("Redis is not connected")
    assert gateway.readiness() == (503, {"status": "not ready", "why": "Redis is not connected"})
    assert (gateway.health()["status"], gateway.health()["redis"]) == ("ok", "down")
    assert (gateway.metrics()["ready"], gateway.metrics()["redis_connected"]) == (0, 0)
    own_redis.start()
    gateway.wait_ready()
    metrics = gateway.metrics()
    assert (metrics["ready"], metrics["redis_connected"], metrics["redis_reconnects_total"]) == (1, 1, 1)
    assert metrics["redis_connection_failures_total"] >= 1


def test_not_ready_while_redis_hangs(own_redis, start_gateway):
    """Long before the connections are given up, which after two missed probes they are."""
    gateway = start_gateway(redis=own_redis, **PROBING)
    own_redis.pause()
    gateway.wait_not_ready("probes missed; the last one came back ")
    gateway.wait_not_ready("Redis is not connected")
    own_redis.resume()
    gateway.wait_ready()
    assert gateway.metrics()["probes_missed_total"] >= 2


def test_not_ready_before_redis_was_ever_there(own_redis, start_gateway):
    own_redis.stop()
    gateway = start_gateway(redis=own_redis, ready=False, **PROBING)
    gateway.wait_not_ready("Redis is not connected")
    assert gateway.health()["probeAgeMs"] is None
    assert "probe_age_seconds" not in gateway.metrics().numbers
    own_redis.start()
    gateway.wait_ready()
    assert gateway.metrics()["probe_age_seconds"] < 60


def test_not_ready_without_the_right_to_publish(redis, start_gateway):
    """Everything else looks well: both connections stand, and nothing that is published would be missed."""
    redis.command("ACL", "SETUSER", "mute", "on", ">secret", "allkeys", "allchannels", "+@all", "-publish")
    gateway = start_gateway(ready=False, REDIS_USER="mute", REDIS_PASSWORD="secret", **PROBING)
    gateway.wait_not_ready("Redis refuses probes")
    assert gateway.health()["redis"] == "up"
    gateway.wait_log("redis refuses what a gateway needs")
    redis.command("ACL", "SETUSER", "mute", "+publish")
    gateway.wait_ready()


# Metrics


def test_metrics_are_those_of_the_document(gateway):
    families = set(gateway.metrics().types)
    assert families == {re.sub(r"\{.*", "", name) for name in DOCUMENTED if not re.match(PREFIX + "workers?", name)}


def test_alerts_are_about_metrics_that_exist():
    text = (REPOSITORY / "docs/operations.md").read_text(encoding="utf-8")
    named = set(re.findall(PREFIX + r"\w+", text))
    assert named and named <= {re.sub(r"\{.*", "", name) for name in DOCUMENTED}


def test_metrics_are_told_as_prometheus_wants_them(gateway):
    with Http(gateway, port=gateway.ops_port) as http:
        status, headers, _ = http.request("GET", "/metrics")
    assert (status, headers["content-type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")


def test_the_start_is_told(start_gateway):
    before = time.time()
    assert before - 1 < start_gateway().metrics()["start_time_seconds"] < time.time() + 1


def test_metrics_follow_a_client(start_gateway, connect, fresh, trade):
    gateway = start_gateway()
    client = connect(gateway, mint(fresh.user), transports=["websocket"])
    client.subscribe("market", fresh.market)
    assert not client.subscribe("market", "")["success"]
    metrics = gateway.metrics()
    assert (metrics["clients"], metrics["clients_connected_total"], metrics["sessions_opened_total"]) == (1, 1, 1)
    assert (metrics["sessions", "websocket"], metrics["sessions", "polling"]) == (1, 0)
    assert (metrics["subscribes_total", "done"], metrics["subscribes_total", "refused"]) == (1, 1)
    assert (metrics["rooms"], metrics["rooms_subscribed"], metrics["connections"]) == (3, 3, 1)
    assert (metrics["messages_total"], metrics["deliveries_total"], metrics["recent_bytes"]) == (0, 0, 0)
    trade()
    client.wait_event("market:trade")
    after = gateway.metrics()
    assert (after["messages_total"], after["deliveries_total"]) == (1, 1)
    assert after["recent_bytes"] > 0
    for grows in ("message_bytes_total", "sent_bytes_total", "sends_total", "received_bytes_total"):
        assert after[grows] > 0
    assert after["sent_bytes_total"] > metrics["sent_bytes_total"]
    client.disconnect()
    until(lambda: gateway.metrics()["clients"] == 0, "no client left")
    until(lambda: gateway.metrics()["connections"] == 0, "its connection has ended")
    assert gateway.metrics().sum("connections_closed_total") == gateway.metrics().sum("sessions_closed_total") == 1


def test_metrics_of_those_who_were_turned_away(start_gateway, connect):
    gateway = start_gateway()
    connect(gateway, None, wait=False).wait("disconnect")
    connect(gateway, "no token", wait=False).wait("disconnect")
    metrics = gateway.metrics()
    assert metrics["authentication_failures_total", "missing"] == 1
    assert metrics["authentication_failures_total", "refused"] == 1
    assert metrics["clients_connected_total"] == 0


def test_metrics_of_recovery(start_gateway, connect, fresh, trade):
    gateway = start_gateway()
    client = connect(gateway, mint(fresh.user), auth={"recovery": True}, transports=["websocket"], reconnection=True,
                     reconnectionDelay=50)
    client.subscribe("market", fresh.market)
    trade(1)
    client.wait_event("market:trade")
    client.drop()
    assert client.wait("connect", 2)["recovered"]
    settle(client)
    metrics = gateway.metrics()
    assert metrics["recoveries_total", "recovered"] == 1
    assert (metrics["recoveries_total", "unknown"], metrics["recoveries_total", "gone"]) == (0, 0)
    assert metrics["recovery_sessions_kept_total"] >= 2
    assert metrics["history_asked_total"] >= metrics["history_from_memory_total"] >= 1


def test_metrics_of_catching_up(own_redis, start_gateway, connect, fresh):
    gateway = start_gateway(redis=own_redis)
    client = connect(gateway, mint(fresh.user))
    client.subscribe("market", fresh.market)
    own_redis.command("CLIENT", "KILL", "TYPE", "pubsub")
    publishing.publish(own_redis, "market:trade", trade_data(fresh))
    client.wait_event("market:trade")
    until(lambda: gateway.metrics()["catch_up_rooms_total"] >= 3, "its rooms are caught up with")
    metrics = gateway.metrics()
    assert metrics["redis_reconnects_total"] == 1
    assert (metrics["catch_up_rooms_behind"], metrics["catch_up_held_bytes"]) == (0, 0)
    assert (metrics["catch_up_lost_total"], metrics["clients_cut_off_total"]) == (0, 0)


# Statistics


def test_stats_fields(gateway):
    stats = gateway.stats()
    assert stats.keys() >= {"connectedClients", "activeRooms", "roomCount", "timestamp"}
    told = datetime.fromisoformat(stats["timestamp"].replace("Z", "+00:00"))
    assert abs((datetime.now(timezone.utc) - told).total_seconds()) < 5


def test_stats_follow_the_clients(start_gateway, connect, fresh):
    gateway = start_gateway()
    assert gateway.stats()["connectedClients"] == 0
    first, second = connect(gateway, mint(fresh.user)), connect(gateway, mint(fresh.user))
    first.subscribe("market", fresh.market)
    second.subscribe("market", fresh.market)
    stats = gateway.stats()
    assert stats["connectedClients"] == 2
    assert sorted(stats["activeRooms"]) == sorted(["global:all", f"market:{fresh.market}", f"user:{fresh.user}"])
    assert stats["roomCount"] == 3
    second.disconnect()
    until(lambda: gateway.stats()["connectedClients"] == 1, "one client left")
    first.disconnect()
    until(lambda: gateway.stats()["connectedClients"] == 0, "no client left")
    until(lambda: gateway.stats()["roomCount"] == 0, "no room left")


# All of them


def test_unknown_paths(gateway):
    assert gateway.get("/nothing")[0] == 404
    assert gateway.get("/socket.io/?EIO=4&transport=polling")[0] == 404


@pytest.mark.parametrize("path", PATHS)
def test_methods(gateway, path):
    with Http(gateway, port=gateway.ops_port) as http:
        status, headers, body = http.request("GET", path)
        assert (status, headers["cache-control"]) == (200, "no-store")
        assert body
        http.send(f"HEAD {path} HTTP/1.1\r\nHost: ops\r\nConnection: close\r\n\r\n")
        head = http.wait_closed()
        assert head.startswith(b"HTTP/1.1 200 ")
        assert head.endswith(b"\r\n\r\n")
    with Http(gateway, port=gateway.ops_port) as http:
        status, headers, _ = http.request("POST", path)
        assert (status, headers["allow"]) == (405, "GET, HEAD")


def test_the_client_port_tells_no_statistics(gateway):
    for path in PATHS:
        with Http(gateway) as http:
            assert http.request("GET", path)[0] == 404
