"""Publishing: the library, and redis-benchmark running the same script at the same depth."""

import json
import re
import shutil
import subprocess

from comparison.servers import NotHere
from shared.gateway import SCRIPT
from shared.machine import Redis

WINDOW = 1000  # the library's own default
SECONDS = 300
ROOMS = 1000
RATE = re.compile(r"([\d.]+) requests per second")

# The payload of publish/publish.c; redis-benchmark puts 12 digits where a name says __rand_int__.
PAYLOAD = json.dumps({
    "type": "market:trade", "timestamp": "2026-01-01T00:00:00.000Z",
    "data": {
        "marketId": "1", "tradeId": "0000000001", "trader": "0x" + "0" * 40, "direction": "buy",
        "outcome": 1, "amount": "9", "shares": "9", "price": "65", "newYesPrice": "65",
        "newNoPrice": "35", "timestamp": "2026-01-01T00:00:00.000Z"}}, separators=(",", ":"))
MARKET = "market:__rand_int__"
USER = "user:0x" + "0" * 28 + "__rand_int__"


def _library(machine, redis, build, mode, events):
    done = machine.run([build / "tests/bench/publish", mode, str(events)], machine.server_core,
                       SECONDS, {"REDIS_HOST": "127.0.0.1", "REDIS_PORT": str(redis.port)})
    if done.returncode != 0:
        raise RuntimeError(f"publish {mode}: {done.stderr.strip()}")
    return json.loads(done.stdout)


def _script(redis):
    done = subprocess.run(["redis-cli", "-p", str(redis.port), "-x", "script", "load"],
                          input=SCRIPT.read_text(), capture_output=True, text=True, check=True)
    return done.stdout.strip()


def _benchmark(machine, redis, depth, events):
    if shutil.which("redis-benchmark") is None:
        raise NotHere("redis-benchmark is not installed (Debian's redis-tools)")
    prefix = "guesslyfe:{0}:"
    command = ["redis-benchmark", "-p", str(redis.port), "-c", "1", "-P", str(depth),
               "-r", str(ROOMS), "-n", str(events), "-q",
               "EVALSHA", _script(redis), "3", f"{prefix}clock",
               f"{prefix}log:{MARKET}", f"{prefix}log:{USER}",
               "market:trade", f"{MARKET},{USER}", PAYLOAD, "0",
               f"{prefix}room:{MARKET}", "100", "300", f"{prefix}room:{USER}", "50", "86400"]
    done = machine.run(command, machine.server_core, SECONDS)
    rates = RATE.findall(done.stdout)
    if done.returncode != 0 or not rates:
        raise RuntimeError(f"redis-benchmark: {done.stdout[-300:]} {done.stderr}")
    return {"work": "publish", "per_second": float(rates[-1]), "events": events, "depth": depth}


def measure(machine, build, events):
    """Yields (who, key, line); each begins with an empty Redis."""
    for key, depth, count in (("single", 1, events // 4), ("bulk", WINDOW, events)):
        with Redis(machine) as redis:
            yield "library", key, _library(machine, redis, build, key, count)
        with Redis(machine) as redis:
            yield "redis-benchmark", key, _benchmark(machine, redis, depth, count)
