"""What an operator does with all gateways at once, by the formats of docs/fleet.md alone."""
import json
import secrets
import time

import redis as redis_py

from harness.wait import DEADLINE

PREFIX = "guesslyfe:"


class Operator:
    """Asks by control messages and collects the answers; looks at the registry; writes revocations."""

    def __init__(self, client: redis_py.Redis):
        self.client = client

    def ask(self, verb: str, seconds: float = DEADLINE, **arguments) -> dict[str, dict]:
        """The answers of all gateways that got the question, by their ids."""
        asker = secrets.token_urlsafe(12)
        with self.client.pubsub(ignore_subscribe_messages=False) as answers:
            answers.subscribe(f"{PREFIX}answer:{asker}")
            assert answers.get_message(timeout=seconds)["type"] == "subscribe"
            receivers = self.send(verb, {"answer": asker} | arguments)
            return self._collect(answers, receivers, seconds)

    def send(self, verb: str, payload: dict | str) -> int:
        text = payload if isinstance(payload, str) else json.dumps(payload)
        return self.client.publish(f"{PREFIX}control", f"0 0 {verb} -\n{text}")

    @staticmethod
    def _collect(answers, count: int, seconds: float) -> dict[str, dict]:
        found, deadline = {}, time.monotonic() + seconds
        while len(found) < count and time.monotonic() < deadline:
            message = answers.get_message(timeout=0.1)
            if message:
                head, _, body = message["data"].decode().partition("\n")
                assert head == "0 0 answer -"
                answer = json.loads(body)
                found[answer.pop("gateway")] = answer
        assert len(found) == count, f"{count} gateways were asked, {found} have answered"
        return found

    def total(self, verb: str, what: str = "disconnected", **arguments) -> int:
        return sum(answer[what] for answer in self.ask(verb, **arguments).values())

    def revoke(self, user: str | None, before: int | None = None) -> int:
        """Tokens issued before that time, or all; how many clients were disconnected."""
        self.client.hset(f"{PREFIX}revoked", user or "*", "-" if before is None else before)
        arguments = {} if user is None else {"user": user}
        return self.total("revoked", **arguments, before=before)

    def unrevoke(self, user: str | None) -> None:
        self.client.hdel(f"{PREFIX}revoked", user or "*")
        self.ask("unrevoked", **({} if user is None else {"user": user}))

    def gateways(self) -> dict[str, dict | None]:
        """The registry: entries by id; None where a gateway was there a minute ago and is gone."""
        ids = [name.decode() for name in self.client.zrange(f"{PREFIX}gateways", 0, -1)]
        entries = self.client.mget([f"{PREFIX}gateway:{name}" for name in ids]) if ids else []
        return {name: json.loads(entry) if entry else None for name, entry in zip(ids, entries)}

    def living(self) -> dict[str, dict]:
        return {name: entry for name, entry in self.gateways().items() if entry}

    def gateway_at(self, port: int) -> dict | None:
        return next((entry for entry in self.living().values() if entry["port"] == port), None)
