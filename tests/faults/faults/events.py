"""The events of a campaign: each carries its key, by which it is known wherever it turns up."""
import json
from typing import NamedTuple

from harness.publishing import examples

EXAMPLES = {name: event["example"] for name, event in examples().items()}


class Numbered(NamedTuple):
    key: str
    event: str
    data: dict
    rooms: tuple[str, ...]

    def line(self) -> str:
        """For guesslyfe-publish --bulk."""
        return json.dumps({"event": self.event, "data": self.data, "idempotencyKey": self.key}) + "\n"


def trade(key: str, market: str, trader: str) -> Numbered:
    data = EXAMPLES["market:trade"] | {"marketId": market, "trader": trader, "tradeId": key}
    return Numbered(key, "market:trade", data, (f"market:{market}", f"user:{trader}"))


def resolved(key: str, market: str) -> Numbered:
    data = EXAMPLES["market:resolved"] | {"marketId": market, "reason": key}
    return Numbered(key, "market:resolved", data, (f"market:{market}", "global:all"))


def notification(key: str, user: str) -> Numbered:
    data = EXAMPLES["notification"] | {"userId": user, "notificationId": key}
    return Numbered(key, "notification", data, (f"user:{user}",))


def shares(key: str, creator: str, trader: str) -> Numbered:
    data = EXAMPLES["shares:trade"] | {"creatorId": creator, "trader": trader, "tradeId": key}
    return Numbered(key, "shares:trade", data, (f"creator:{creator}", f"user:{trader}"))


def announcement(key: str) -> Numbered:
    return Numbered(key, "system:announcement", EXAMPLES["system:announcement"] | {"id": key}, ("global:all",))


def key_of(event: str, data: dict) -> str:
    field = {"notification": "notificationId", "system:announcement": "id", "market:resolved": "reason"}
    return data[field.get(event, "tradeId")]
