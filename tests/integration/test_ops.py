"""The operations port."""
from datetime import datetime, timezone

from harness.raw import Http
from harness.tokens import mint
from harness.wait import until


def test_healthz(gateway):
    assert gateway.get("/healthz")[0] == 200
    assert gateway.health()["status"] == "ok"


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


def test_unknown_paths_and_methods(gateway):
    assert gateway.get("/nothing")[0] == 404
    assert gateway.get("/socket.io/?EIO=4&transport=polling")[0] == 404


def test_the_client_port_tells_no_statistics(gateway):
    for path in ("/stats", "/healthz"):
        with Http(gateway) as http:
            assert http.request("GET", path)[0] == 404
