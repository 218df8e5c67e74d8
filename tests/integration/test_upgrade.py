"""The move from polling to WebSocket, with events arriving all the while."""
import threading

import pytest

from conftest import trade_data
from harness import publishing
from harness.tokens import mint

TRADES = 1500


class Traffic(threading.Thread):
    """Publishes trades until it has published all of them, steadily."""

    def __init__(self, redis, fresh):
        super().__init__()
        self.redis, self.fresh = redis, fresh
        self.go_on = threading.Event()

    def run(self) -> None:
        for number in range(TRADES):
            publishing.plain_event(self.redis, f"market:{self.fresh.market}", "market:trade",
                                   trade_data(self.fresh, number))
            self.go_on.wait(0.001)


@pytest.mark.parametrize("version", [4, 3])
def test_nothing_is_lost_or_reordered_by_an_upgrade(gateway, connect, redis, fresh, version):
    """Clients connect one after the other while events flow; each has an unbroken sequence to the end."""
    traffic = Traffic(redis, fresh)
    traffic.start()
    clients = []
    for number in range(20):
        client = connect(gateway, mint(f"user{number}"), version=version, wait=False)
        client.emit("subscribe", {"room": "market", "id": fresh.market})
        clients.append(client)
    upgraded_under_traffic = traffic.is_alive()
    traffic.join()
    assert upgraded_under_traffic
    publishing.plain_event(redis, f"market:{fresh.market}", "market:trade", trade_data(fresh, TRADES))
    for client in clients:
        client.wait("upgrade")
        last = f"trade{TRADES}"
        client.wait_for(lambda: any(data["tradeId"] == last for data in client.data("market:trade")), last)
        numbers = [int(data["tradeId"].removeprefix("trade")) for data in client.data("market:trade")]
        assert numbers == list(range(numbers[0], TRADES + 1))
        assert client.all("disconnect") == []


def test_events_go_on_after_the_upgrade_over_the_websocket_alone(gateway, connect, redis, fresh, trade):
    client = connect(gateway)
    client.subscribe("market", fresh.market)
    client.wait("upgrade")
    trade(1)
    client.wait_event("market:trade")


def test_acks_are_not_lost_by_an_upgrade(gateway, connect):
    client = connect(gateway, wait=False)
    answers = [client.begin("ping") for _ in range(200)]
    client.wait("upgrade")
    answers += [client.begin("ping") for _ in range(200)]
    assert all(answer.get(timeout=15)["answer"][0]["pong"] for answer in answers)
