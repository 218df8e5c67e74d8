"""Ways into the rooms: the publisher's command line, and a plain PUBLISH."""
import json
import subprocess
from datetime import datetime, timezone
from pathlib import Path

from harness.gateway import BUILD_DIR, REPOSITORY, SANITIZER_REPORTS, environment
from harness.redis_server import RedisServer

PUBLISH = BUILD_DIR / "publisher" / "guesslyfe-publish"


def examples() -> dict[str, dict]:
    """Every event of the catalogue with its example data."""
    files = sorted((REPOSITORY / "common/schema/events").glob("*.json"))
    return {event["name"]: event for event in (json.loads(path.read_text()) for path in files)}


def run_publish(redis: RedisServer, *arguments: str, stdin: str | None = None, **settings):
    done = subprocess.run([PUBLISH, *arguments], input=stdin or "", text=True, timeout=30, capture_output=True,
                          env=environment(REDIS_HOST=redis.host, REDIS_PORT=redis.port, **settings))
    assert not any(report in done.stderr for report in SANITIZER_REPORTS), done.stderr
    return done


def publish(redis: RedisServer, event: str, data: dict | str, *options: str) -> str:
    """Publishes with the command line tool; data as text goes through untouched."""
    text = data if isinstance(data, str) else json.dumps(data)
    done = run_publish(redis, *options, event, stdin=text)
    assert done.returncode == 0, done.stderr
    return done.stdout


def publish_all(redis: RedisServer, events: list[tuple[str, dict]]) -> None:
    """Many events in their order, by one process."""
    lines = "".join(json.dumps({"event": event, "data": data}) + "\n" for event, data in events)
    done = run_publish(redis, "--bulk", stdin=lines)
    assert done.returncode == 0, done.stderr


def payload(event: str, data: dict) -> str:
    now = datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return json.dumps({"type": event, "timestamp": now, "data": data})


def plain_publish(redis: RedisServer, room: str, message: str | bytes) -> int:
    """The way without our library; returns how many gateways received it."""
    return redis.command("PUBLISH", f"guesslyfe:{{0}}:room:{room}", message)


def plain_event(redis: RedisServer, room: str, event: str, data: dict) -> int:
    return plain_publish(redis, room, f"0 0 {event} {room}\n{payload(event, data)}")
